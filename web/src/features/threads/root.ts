import { getContext, setContext } from "svelte";
import type { ThreadStore } from "../../data/thread.svelte";

// The thread that a timeline shows and the path of its project, for everything drawn in it.
const rootKey = Symbol("project root");
const threadKey = Symbol("thread");

export function provideRoot(root: () => string, thread: () => ThreadStore | undefined = () => undefined): void {
  setContext(rootKey, root);
  setContext(threadKey, thread);
}

export function projectRoot(): () => string {
  return getContext<(() => string) | undefined>(rootKey) ?? (() => "");
}

export function openThread(): () => ThreadStore | undefined {
  return getContext<(() => ThreadStore | undefined) | undefined>(threadKey) ?? (() => undefined);
}
