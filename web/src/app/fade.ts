import { stillness } from "../platform";

/** fade is a Svelte transition of opacity only; none with reduced motion. */
export function fade(_node: Element): { duration: number; css: (t: number) => string } {
  const still = stillness();
  return { duration: still ? 0 : 120, css: (t) => `opacity: ${t}` };
}
