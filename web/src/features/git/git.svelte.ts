// The Git state of a place while somebody looks at it, and what can be done
// with it. The backend watches the files; nothing is asked again by a clock.
import type { Error as ApiError, GitBranches, GitCommitted, GitMessage, GitPlace, GitPullRequest, GitStatus, GitTransfer } from "../../api/types.gen";
import { MethodGitBranchCreate, MethodGitBranches, MethodGitCommit, MethodGitFetch, MethodGitMessage, MethodGitPull, MethodGitPullRequest, MethodGitPullRequestOpen, MethodGitPush, MethodGitStage, MethodGitStatus, MethodGitSwitch, MethodGitUnstage, TopicGit } from "../../api/types.gen";
import { newCommandId } from "../../data/door";
import type { EnvironmentStore } from "../../data/environment.svelte";
import { toApiError } from "../../data/errors";

/** Git over a network takes its time; the backend has its own bound. */
const transferMillis = 180_000;

export type Work = "" | "stage" | "commit" | "message" | "switch" | "push" | "pull" | "fetch" | "request";

export class GitStore {
  status = $state.raw<GitStatus | undefined>(undefined);
  branches = $state.raw<GitBranches | undefined>(undefined);
  request = $state.raw<GitPullRequest | undefined>(undefined);
  /** The last thing that went wrong, and what it was. */
  error = $state.raw<{ what: string; error: ApiError } | undefined>(undefined);
  work = $state<Work>("");
  message = $state("");

  constructor(
    readonly env: EnvironmentStore,
    readonly place: GitPlace,
  ) {}

  /** watch follows the status until the returned function is called. */
  watch(): () => void {
    const topic = TopicGit + this.place.projectId + (this.place.threadId ? `/${this.place.threadId}` : "");
    const leave = this.env.subscribe({
      topic,
      cursor: () => undefined,
      frame: (f) => {
        if (f.git) this.status = f.git;
      },
      // A backend without the topic: asked once instead.
      failed: () => void this.look(),
    });
    if (!this.status) void this.look();
    return leave;
  }

  async look(): Promise<void> {
    try {
      this.status = await this.env.call<GitStatus>(MethodGitStatus, this.place);
    } catch (e) {
      if (!this.status) this.error = { what: "The state of the repository can't be read", error: toApiError(e) };
    }
  }

  private async run<T>(work: Work, what: string, method: string, params: object, millis = 60_000): Promise<T | undefined> {
    if (this.work) return undefined;
    this.work = work;
    this.error = undefined;
    try {
      return await this.env.call<T>(method, { ...this.place, ...params }, { commandId: newCommandId(), timeoutMillis: millis });
    } catch (e) {
      this.error = { what, error: toApiError(e) };
      return undefined;
    } finally {
      this.work = "";
    }
  }
  private take(s: GitStatus | undefined): boolean {
    if (s) this.status = s;
    return !!s;
  }

  async stage(paths: string[] | "all"): Promise<void> {
    this.take(await this.run<GitStatus>("stage", "Not staged", MethodGitStage, paths === "all" ? { all: true } : { paths }));
  }
  async unstage(paths: string[] | "all"): Promise<void> {
    this.take(await this.run<GitStatus>("stage", "Still staged", MethodGitUnstage, paths === "all" ? { all: true } : { paths }));
  }
  /** commit records what is staged, or everything where nothing is. */
  async commit(o: { amend?: boolean; push?: boolean }): Promise<GitCommitted | undefined> {
    const all = !this.status?.staged && !o.amend;
    const c = await this.run<GitCommitted>("commit", "Nothing was committed", MethodGitCommit, { message: this.message.trim(), amend: o.amend || undefined, push: o.push || undefined, all: all || undefined }, transferMillis);
    if (!c) return undefined;
    this.take(c.status);
    this.message = "";
    if (c.pushError) this.error = { what: "Committed, but not pushed", error: c.pushError };
    return c;
  }
  async suggest(): Promise<void> {
    const m = await this.run<GitMessage>("message", "No message could be suggested", MethodGitMessage, {}, transferMillis);
    if (m) this.message = m.message;
  }
  async loadBranches(): Promise<void> {
    try {
      const b = await this.env.call<GitBranches>(MethodGitBranches, this.place);
      this.branches = { ...b, branches: b.branches ?? [] };
    } catch (e) {
      this.error = { what: "The branches can't be listed", error: toApiError(e) };
    }
  }
  async switchTo(branch: string): Promise<boolean> {
    return this.take(await this.run<GitStatus>("switch", "The branch was not switched", MethodGitSwitch, { branch }));
  }
  async create(name: string, from: string): Promise<boolean> {
    return this.take(await this.run<GitStatus>("switch", "The branch was not made", MethodGitBranchCreate, { name, from: from || undefined }));
  }
  async push(force = false): Promise<boolean> {
    return this.take((await this.run<GitTransfer>("push", "Not pushed", MethodGitPush, { force: force || undefined }, transferMillis))?.status);
  }
  async pull(how?: "merge" | "rebase"): Promise<boolean> {
    return this.take((await this.run<GitTransfer>("pull", "Not pulled", MethodGitPull, { how }, transferMillis))?.status);
  }
  async fetch(): Promise<boolean> {
    return this.take((await this.run<GitTransfer>("fetch", "Not fetched", MethodGitFetch, { prune: true }, transferMillis))?.status);
  }
  async lookForRequest(): Promise<void> {
    try {
      this.request = await this.env.call<GitPullRequest>(MethodGitPullRequest, this.place, { timeoutMillis: 30_000 });
    } catch (e) {
      this.request = { error: toApiError(e) };
    }
  }
  async openRequest(o: { title: string; body: string; draft: boolean }): Promise<boolean> {
    const r = await this.run<GitPullRequest>("request", "No pull request was opened", MethodGitPullRequestOpen, { title: o.title || undefined, body: o.body || undefined, draft: o.draft || undefined }, transferMillis);
    if (r) this.request = r;
    return !!r;
  }
}

const all = new Map<string, GitStore>();

export function gitOf(env: EnvironmentStore, place: GitPlace): GitStore {
  const key = `${env.id} ${place.projectId} ${place.threadId ?? ""}`;
  let g = all.get(key);
  if (!g || g.env !== env) {
    g = new GitStore(env, place);
    all.delete(key);
    all.set(key, g);
    if (all.size > 8) all.delete(all.keys().next().value!);
  }
  return g;
}
