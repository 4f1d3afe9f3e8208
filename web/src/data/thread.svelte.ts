// An open thread: its topic, reduced, and prompts that were sent but are not
// in the log yet.
import type { ApprovalAnswer, Error as ApiError, Item, PermissionMode, Thread, Turn, TurnDiff } from "../api/types.gen";
import { MethodApprovalAnswer, MethodDiffTurn, MethodThreadUpdate, MethodTurnStart, MethodTurnStop, MethodTurnUnqueue, TopicThread } from "../api/types.gen";
import { newCommandId } from "./door";
import type { EnvironmentStore } from "./environment.svelte";
import { type ThreadState, emptyThread, reduceThread } from "./reduce";

export interface PendingPrompt {
  commandId: string;
  text: string;
  turnId?: string;
}

export class ThreadStore {
  state = $state.raw<ThreadState>(emptyThread);
  synchronized = $state(false);
  error = $state.raw<ApiError | undefined>(undefined);
  private sent = $state.raw<PendingPrompt[]>([]);
  private leave: (() => void) | undefined;

  turns = $derived(this.state.turns.filter((t) => t.state !== "queued"));
  running = $derived(this.state.turns.find((t) => t.state === "running" || t.state === "waiting"));
  approvals = $derived(this.state.items.filter((i) => i.kind === "approval" && i.approval?.state === "pending"));
  prompts = $derived(new Map(this.state.items.filter((i) => i.kind === "user_message").map((i) => [i.turnId, i])));
  queued = $derived(this.state.turns.filter((t) => t.state === "queued").map((turn) => ({ turn, text: this.prompts.get(turn.id)?.text ?? "" })));
  /** Sent prompts whose turn is not in the log yet: shown at once. */
  pending = $derived(this.sent.filter((p) => !p.turnId || !this.state.turns.some((t) => t.id === p.turnId)));

  constructor(
    readonly env: EnvironmentStore,
    readonly id: string,
  ) {}

  open(): void {
    this.leave ??= this.env.subscribe({
      topic: TopicThread + this.id,
      cursor: () => this.state.seq,
      frame: (f) => {
        const next = reduceThread(this.state, f);
        if (next === "again") return "again";
        this.state = next;
        if (f.type === "synchronized") {
          this.synchronized = true;
          this.error = undefined;
        }
      },
      failed: (e) => (this.error = e),
    });
  }

  close(): void {
    this.leave?.();
    this.leave = undefined;
  }

  async send(text: string): Promise<void> {
    const p: PendingPrompt = { commandId: newCommandId(), text };
    this.sent = [...this.pending, p];
    try {
      const turn = await this.env.call<Turn>(MethodTurnStart, { threadId: this.id, text }, { commandId: p.commandId });
      this.sent = this.sent.map((x) => (x === p ? { ...p, turnId: turn.id } : x));
    } catch (e) {
      this.sent = this.sent.filter((x) => x !== p);
      throw e;
    }
  }

  stop(): Promise<Thread> {
    return this.env.call(MethodTurnStop, { threadId: this.id }, { commandId: newCommandId() });
  }

  unqueue(turnId: string): Promise<void> {
    return this.env.call(MethodTurnUnqueue, { turnId }, { commandId: newCommandId() });
  }

  answer(itemId: string, optionId: string | undefined): Promise<Item> {
    const a: ApprovalAnswer = optionId === undefined ? { threadId: this.id, itemId, cancel: true } : { threadId: this.id, itemId, optionId };
    return this.env.call(MethodApprovalAnswer, a, { commandId: newCommandId() });
  }

  update(change: { agentId?: string; permission?: PermissionMode }): Promise<Thread> {
    return this.env.call(MethodThreadUpdate, { threadId: this.id, ...change }, { commandId: newCommandId() });
  }

  diff(turnId: string): Promise<TurnDiff> {
    return this.env.call(MethodDiffTurn, { turnId });
  }
}
