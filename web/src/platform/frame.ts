/** hidden windows make no frames. */
export const hidden = (): boolean => typeof document === "undefined" || document.visibilityState === "hidden";

/** inFrame does something once with the next frame, so that what comes meanwhile costs one drawing; at once where no frames are made (a hidden window). It returns the way out. */
export function inFrame(f: () => void): () => void {
  if (hidden()) {
    f();
    return () => {};
  }
  const id = requestAnimationFrame(f);
  return () => cancelAnimationFrame(id);
}

/** inQuiet does something once the page has nothing else to do. */
export function inQuiet(f: () => void): void {
  // WebKit has none.
  if (typeof requestIdleCallback === "function") requestIdleCallback(f, { timeout: 5000 });
  else setTimeout(f, 200);
}
