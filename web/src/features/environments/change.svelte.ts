// A mode change as the page walks through it: asked, running, waiting for the
// new primary's threads, failed. What the desktop reports wins over what was
// asked here, so a reload in the middle shows the same dialog.
import type { Error as ApiError, ModeChange, ModeConfig } from "../../api/types.gen";
import { app } from "../../data/app.svelte";
import { CallError, toApiError } from "../../data/errors";
import { toasts } from "../../ui/toast.svelte";

export type Stage = "none" | "confirm" | "running" | "syncing" | "failed";

class Change {
  proposal = $state.raw<ModeConfig | undefined>(undefined);
  private asked = $state(false);
  private before = $state("");
  private settled = $state.raw<ModeChange | undefined>(undefined);
  /** The call itself failed, e.g. a distro name that was refused. */
  private refused = $state.raw<ApiError | undefined>(undefined);
  /** The call got no answer: only the desktop's reports tell how it ends. */
  private unanswered = $state(false);
  cancelling = $state(false);

  /** The change of the topic, or the answer of the call where that is newer. */
  now = $derived.by(() => {
    const reported = app.environments?.change;
    // What failed before this proposal is not its outcome.
    const live = reported?.id === this.before ? undefined : reported;
    const own = this.settled;
    if (own && (!live || live.id === own.id || live.startedAt < own.startedAt)) return own;
    return live;
  });

  /** It was cancelled while the distro was still looked up: no change began, so none is reported. */
  private neverBegan = $derived(this.refused?.code === "cancelled" && this.now?.phase !== "failed");

  stage = $derived.by<Stage>(() => {
    const c = this.now;
    if (c && c.phase !== "done" && c.phase !== "failed") return "running";
    // The answer was lost on its way, the new configuration runs: an error of ours does not take that back.
    if (this.unanswered && this.proposal && reached(this.proposal)) return "syncing";
    if (this.refused && c?.phase !== "failed") return this.cancelling && !this.neverBegan ? "running" : "failed";
    if (this.asked && !this.settled) return "running";
    if (c?.phase === "failed") return "failed";
    if (this.asked && this.settled?.phase === "done") return "syncing";
    return this.proposal ? "confirm" : "none";
  });

  error = $derived(this.now?.phase === "failed" ? (this.now.error ?? this.refused) : this.refused);
  /** It was cancelled or rolled back because somebody said so: nothing to explain. */
  calledOff = $derived(this.stage === "failed" && (this.neverBegan ? this.cancelling : this.now?.error?.code === "cancelled" && this.now.rolledBack === true));
  target = $derived(this.stage === "confirm" ? this.proposal : (this.now?.to ?? this.proposal));

  propose(to: ModeConfig): void {
    this.clear();
    this.before = app.environments?.change?.id ?? "";
    this.proposal = to;
  }

  async start(): Promise<void> {
    const to = this.proposal ?? this.now?.to;
    if (!to) return;
    this.before = app.environments?.change?.id ?? "";
    this.proposal = to;
    this.asked = true;
    this.settled = this.refused = undefined;
    this.cancelling = this.unanswered = false;
    try {
      this.settled = await app.changeMode(to);
    } catch (e) {
      // A change that was begun and failed is also in the topic, with its step and log; that one is shown.
      this.unanswered = !(e instanceof CallError) || e.status === 0;
      this.refused = toApiError(e);
      this.asked = false;
    }
  }

  async cancel(): Promise<void> {
    this.cancelling = true;
    try {
      await app.cancelMode();
    } catch (e) {
      this.cancelling = false;
      toasts.error(e);
    }
  }

  async dismiss(): Promise<void> {
    const failed = this.now?.phase === "failed";
    this.clear();
    if (!failed) return;
    try {
      await app.dismissMode();
    } catch (e) {
      toasts.error(e);
    }
  }

  clear(): void {
    this.before = app.environments?.change?.phase === "failed" ? app.environments.change.id : "";
    this.proposal = this.settled = this.refused = undefined;
    this.asked = this.cancelling = this.unanswered = false;
  }
}

/** targets are the environments that a configuration runs. */
export function targets(to: ModeConfig): string[] {
  const wsl = `wsl:${to.distro || "default"}`;
  return to.mode === "local" ? ["local"] : to.mode === "both" ? ["local", wsl] : [wsl];
}

function reached(to: ModeConfig): boolean {
  const now = app.environments?.config;
  return !!now && now.mode === to.mode && (now.distro ?? "") === (to.distro ?? "");
}

export const change = new Change();
