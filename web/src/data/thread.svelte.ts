// An open thread: its topic, reduced, and prompts that were sent but are not
// in the log yet.
import type { ApprovalAnswer, Attachment, Error as ApiError, Item, ItemOutputPart, QuestionAnswerPart, Reverted, SearchHits, Thread, ThreadHistory, ThreadPart, ThreadUpdate, Turn } from "../api/types.gen";
import { MethodApprovalAnswer, MethodItemOutput, MethodQuestionAnswer, MethodRevertUndo, MethodSearch, MethodThreadHistory, MethodThreadSeen, MethodThreadUpdate, MethodTurnEdit, MethodTurnStart, MethodTurnStop, MethodTurnUnqueue, TopicThread } from "../api/types.gen";
import { hidden, inFrame } from "../platform/frame";
import { newCommandId } from "./door";
import type { EnvironmentStore } from "./environment.svelte";
import { shown, trimmed, withEarlier, withIsland, withIslandEarlier, withIslandLater } from "./history";
import { type ThreadState, emptyThread, reduceThread } from "./reduce";
import { askingOf } from "./words";

/** A Message is what a composer hands over. */
export interface Message {
  text: string;
  attachments?: Attachment[];
  /** Into the running turn instead of behind it. */
  steer?: boolean;
}

export interface PendingPrompt {
  commandId: string;
  text: string;
  attachments: Attachment[];
  turnId?: string;
  /** Turns that were there before: a later one with this text is this prompt. */
  before: ReadonlySet<string>;
}

/** A reader at the end of a long thread keeps trimTo items once there are more than trimAbove. */
const trimAbove = 3000;
const trimTo = 600;

export class ThreadStore {
  state = $state.raw<ThreadState>(emptyThread);
  synchronized = $state(false);
  error = $state.raw<ApiError | undefined>(undefined);
  private sent = $state.raw<PendingPrompt[]>([]);
  private leave: (() => void) | undefined;
  /** What of the history is being loaded. */
  loading = $state<"earlier" | "later" | "around" | undefined>(undefined);
  /** What the timeline draws: the newest part, or a place far from it. */
  view = $derived(shown(this.state));

  turns = $derived(this.state.turns.filter((t) => t.state !== "queued"));
  running = $derived(this.state.turns.find((t) => t.state === "running" || t.state === "waiting"));
  approvals = $derived(this.state.items.filter((i) => i.kind === "approval" && i.approval?.state === "pending"));
  /** What waits for a person: approvals and questions, the oldest first. */
  waiting = $derived(this.state.items.filter((i) => askingOf(i) !== ""));
  asking = $derived(askingOf(this.waiting[0]));
  prompts = $derived(new Map(this.state.items.filter((i) => i.kind === "user_message").map((i) => [i.turnId, i])));
  queued = $derived(this.state.turns.filter((t) => t.state === "queued").map((turn) => ({ turn, text: this.prompts.get(turn.id)?.text ?? "" })));
  /** Sent prompts whose turn is not in the log yet: shown at once. */
  pending = $derived(this.sent.filter((p) => !this.state.items.some((i) => i.kind === "user_message" && i.text === p.text && !p.before.has(i.turnId))));
  private arrived = new Set<string>();
  /** What has come since the last frame was drawn, and the way to call its drawing off. */
  private ahead: ThreadState | undefined;
  private undraw: (() => void) | undefined;

  constructor(
    readonly env: EnvironmentStore,
    readonly id: string,
  ) {}

  open(): void {
    this.leave ??= this.env.subscribe({
      topic: TopicThread + this.id,
      cursor: () => this.now.seq,
      frame: (f) => {
        const next = reduceThread(this.now, f);
        if (next === "again") return "again";
        if (f.type === "delta") {
          this.drawSoon(next);
          return;
        }
        this.draw(next);
        this.settle();
        if (f.type === "synchronized") {
          this.synchronized = true;
          this.error = undefined;
        }
      },
      failed: (e) => (this.error = e),
    });
  }

  /** now is the newest state, also what is not drawn yet. */
  private get now(): ThreadState {
    return this.ahead ?? this.state;
  }
  /** drawSoon draws text that streams with the next frame: several deltas of a frame are one change of the document. */
  private drawSoon(s: ThreadState): void {
    const waits = this.ahead !== undefined;
    this.ahead = s;
    if (!waits || hidden()) this.undraw = inFrame(() => this.draw(this.now));
  }
  private draw(s: ThreadState): void {
    this.undraw?.();
    this.undraw = undefined;
    this.ahead = undefined;
    this.state = s;
  }

  close(): void {
    this.undraw?.();
    this.leave?.();
    this.leave = undefined;
  }

  /** settle forgets sent prompts that the log has had, also when they have left it again. */
  private settle(): void {
    if (this.sent.length === 0) return;
    for (const t of this.state.turns) this.arrived.add(t.id);
    if (this.sent.some((p) => p.turnId && this.arrived.has(p.turnId))) this.sent = this.sent.filter((p) => !p.turnId || !this.arrived.has(p.turnId));
  }

  async send({ text, attachments = [], steer }: Message): Promise<void> {
    const p: PendingPrompt = { commandId: newCommandId(), text, attachments, before: new Set(this.state.turns.map((t) => t.id)) };
    this.sent = [...this.sent, p];
    try {
      const turn = await this.env.call<Turn>(MethodTurnStart, { threadId: this.id, text, attachmentIds: attachments.map((a) => a.id), steer }, { commandId: p.commandId });
      this.sent = this.sent.map((x) => (x === p ? { ...p, turnId: turn.id } : x));
      this.settle();
    } catch (e) {
      this.sent = this.sent.filter((x) => x !== p);
      throw e;
    }
  }

  private async load(what: "earlier" | "later" | "around", part: Omit<ThreadHistory, "threadId">, take: (p: ThreadPart) => void): Promise<void> {
    if (this.loading) return;
    this.loading = what;
    try {
      take(await this.env.call<ThreadPart>(MethodThreadHistory, { threadId: this.id, ...part }));
    } finally {
      this.loading = undefined;
    }
  }

  /** loadEarlier puts another part in front of what is shown; nothing happens where there is none or one is being loaded. */
  async loadEarlier(limit?: number): Promise<void> {
    if (!this.view.earlier) return;
    const island = this.state.island !== undefined;
    const at = island ? this.state.island?.items[0]?.ordinal : this.state.from;
    if (at === undefined) return;
    await this.load("earlier", { before: at, limit }, (p) => this.draw(island ? withIslandEarlier(this.now, at, p) : withEarlier(this.now, at, p)));
  }

  /** loadLater goes on from a place far away towards the newest items. */
  async loadLater(limit?: number): Promise<void> {
    const at = this.state.island?.items.at(-1)?.ordinal;
    if (at === undefined) return;
    await this.load("later", { after: at, limit }, (p) => this.draw(withIslandLater(this.now, at, p)));
  }

  /** loadAround makes an item visible, wherever it is; rejects with not_found when it is gone. */
  async loadAround(itemId: string): Promise<void> {
    if (this.view.items.some((i) => i.id === itemId)) return;
    if (this.state.items.some((i) => i.id === itemId && i.ordinal >= this.state.from)) return this.toLatest();
    await this.load("around", { around: itemId }, (p) => this.draw(withIsland(this.now, p)));
  }

  /** toLatest goes back from a place far away to the newest items. */
  toLatest(): void {
    if (this.now.island) this.draw({ ...this.now, island: undefined });
  }

  /** trim lets go of old items of a long thread; call it while the reader is at the end. */
  trim(): void {
    if (!this.state.island && this.state.items.length > trimAbove) this.draw(trimmed(this.now, trimTo));
  }

  /** seen tells that a person has seen the thread as it is. */
  async seen(): Promise<void> {
    if (this.state.thread?.unread) await this.env.call(MethodThreadSeen, { threadId: this.id });
  }

  /** output reads a part of a tool call's whole output. */
  output(itemId: string, offset = 0, limit?: number): Promise<ItemOutputPart> {
    return this.env.call(MethodItemOutput, { itemId, offset, limit });
  }

  /** find looks for words in this thread's messages. */
  find(text: string, signal?: AbortSignal): Promise<SearchHits> {
    return this.env.call(MethodSearch, { text, threadId: this.id, archived: true, limit: 200 }, { signal });
  }

  /** edit changes the text of a queued turn. */
  edit(turnId: string, text: string): Promise<Item> {
    return this.env.call(MethodTurnEdit, { turnId, text }, { commandId: newCommandId() });
  }

  /** undoRevert takes a revert back, or its undo. */
  undoRevert(revertId: string): Promise<Reverted> {
    return this.env.call(MethodRevertUndo, { threadId: this.id, revertId }, { commandId: newCommandId(), timeoutMillis: 60_000 });
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

  /** reply answers a question; without answers it is left open. */
  reply(itemId: string, answers: QuestionAnswerPart[] | undefined): Promise<Item> {
    return this.env.call(MethodQuestionAnswer, answers ? { threadId: this.id, itemId, answers } : { threadId: this.id, itemId, cancel: true }, { commandId: newCommandId() });
  }

  update(change: Omit<ThreadUpdate, "threadId">): Promise<Thread> {
    return this.env.call(MethodThreadUpdate, { threadId: this.id, ...change }, { commandId: newCommandId() });
  }
}
