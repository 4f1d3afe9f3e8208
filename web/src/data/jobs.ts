// What takes a while in a backend, as it goes on: a clone, a set-up script.
import type { Error as ApiError, Job } from "../api/types.gen";
import { TopicJob } from "../api/types.gen";
import type { EnvironmentStore } from "./environment.svelte";

/** followJob hands on a job's states until it ends or the returned function is called; failed means that it is not known. */
export function followJob(env: EnvironmentStore, id: string, took: (j: Job) => void, failed: (e: ApiError) => void): () => void {
  let leave: (() => void) | undefined = undefined;
  let over = false;
  const end = () => {
    over = true;
    leave?.();
  };
  leave = env.subscribe({
    topic: TopicJob + id,
    cursor: () => undefined,
    frame: (f) => {
      if (!f.job || over) return;
      if (f.job.state !== "running") end();
      took(f.job);
    },
    failed: (e) => {
      end();
      failed(e);
    },
  });
  if (over) leave();
  return end;
}
