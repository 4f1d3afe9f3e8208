// What is checked out in a place: the backend keeps it in its projects and threads
// while somebody subscribes.
import type { Thread } from "../api/types.gen";
import { TopicHead } from "../api/types.gen";
import type { EnvironmentStore } from "./environment.svelte";

/** followHead has the branch of a project, or of a thread's own worktree, kept true until the returned function is called. */
export function followHead(env: EnvironmentStore, projectId: string, threadId?: string): () => void {
  return env.subscribe({ topic: TopicHead + projectId + (threadId ? `/${threadId}` : ""), cursor: () => undefined, frame: () => {} });
}

/** headText is what to show of it; "" for nothing. */
export function headText(at: Pick<Thread, "branch" | "detachedAt"> | undefined): string {
  return at?.branch || (at?.detachedAt ? `Detached at ${at.detachedAt.slice(0, 8)}` : "");
}
