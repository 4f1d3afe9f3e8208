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
  /** Turns that were there before: a later one with this text is this prompt. */
  before: ReadonlySet<string>;
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
  pending = $derived(this.sent.filter((p) => !this.state.items.some((i) => i.kind === "user_message" && i.text === p.text && !p.before.has(i.turnId))));
  private arrived = new Set<string>();

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
        this.settle();
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

  /** settle forgets sent prompts that the log has had, also when they have left it again. */
  private settle(): void {
    if (this.sent.length === 0) return;
    for (const t of this.state.turns) this.arrived.add(t.id);
    if (this.sent.some((p) => p.turnId && this.arrived.has(p.turnId))) this.sent = this.sent.filter((p) => !p.turnId || !this.arrived.has(p.turnId));
  }

  async send(text: string): Promise<void> {
    const p: PendingPrompt = { commandId: newCommandId(), text, before: new Set(this.state.turns.map((t) => t.id)) };
    this.sent = [...this.sent, p];
    try {
      const turn = await this.env.call<Turn>(MethodTurnStart, { threadId: this.id, text }, { commandId: p.commandId });
      this.sent = this.sent.map((x) => (x === p ? { ...p, turnId: turn.id } : x));
      this.settle();
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
