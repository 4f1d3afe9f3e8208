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
