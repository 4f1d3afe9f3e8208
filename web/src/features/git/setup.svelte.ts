// The set-up of a thread's worktree, while somebody looks at the thread.
import type { Error as ApiError, Job } from "../../api/types.gen";
import { MethodJobCancel, MethodWorktreeSetup } from "../../api/types.gen";
import { newCommandId } from "../../data/door";
import type { EnvironmentStore } from "../../data/environment.svelte";
import { toApiError } from "../../data/errors";
import { followJob } from "../../data/jobs";

/** Set-ups that were put away, by thread and start. */
const away = new Set<string>();

export class Setup {
  job = $state.raw<Job | undefined>(undefined);
  error = $state.raw<ApiError | undefined>(undefined);
  busy = $state(false);
  /** It went on under somebody's eyes, or did not succeed: else there is nothing to tell. */
  shown = $state(false);
  private leave: (() => void) | undefined;

  constructor(
    private readonly env: EnvironmentStore,
    private readonly threadId: string,
  ) {}

  follow(id: string): void {
    this.close();
    this.leave = followJob(
      this.env,
      id,
      (j) => {
        this.job = j;
        if (j.state !== "done") this.shown = !away.has(`${this.threadId} ${j.startedAt}`);
      },
      // Forgotten, or of a backend that has ended since.
      () => (this.job = undefined),
    );
  }
  close(): void {
    this.leave?.();
    this.leave = undefined;
  }
  dismiss(): void {
    if (this.job) away.add(`${this.threadId} ${this.job.startedAt}`);
    this.shown = false;
  }
  private async run(f: () => Promise<void>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.error = undefined;
    try {
      await f();
    } catch (e) {
      this.error = toApiError(e);
    } finally {
      this.busy = false;
    }
  }
  again(): Promise<void> {
    return this.run(async () => {
      const j = await this.env.call<Job>(MethodWorktreeSetup, { threadId: this.threadId }, { commandId: newCommandId() });
      this.job = j;
      this.shown = true;
      this.follow(j.id);
    });
  }
  stop(): Promise<void> {
    return this.run(async () => {
      if (this.job) this.job = await this.env.call<Job>(MethodJobCancel, { jobId: this.job.id }, { commandId: newCommandId() });
    });
  }
}
