import { getContext, setContext } from "svelte";

// The path of the project that a timeline belongs to, for everything drawn in it.
const key = Symbol("project root");

export function provideRoot(root: () => string): void {
  setContext(key, root);
}

export function projectRoot(): () => string {
  return getContext<(() => string) | undefined>(key) ?? (() => "");
}
