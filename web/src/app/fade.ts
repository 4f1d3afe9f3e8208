/** fade is a Svelte transition of opacity only; none with reduced motion. */
export function fade(_node: Element): { duration: number; css: (t: number) => string } {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return { duration: still ? 0 : 120, css: (t) => `opacity: ${t}` };
}
