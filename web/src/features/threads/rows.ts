// A thread's state as the rows that are drawn. What changes while text
// arrives is one row; the others keep their identity, whatever their number.
import type { Approval, Item, Turn } from "../../api/types.gen";
import type { PendingPrompt } from "../../data/thread.svelte";
import { guess } from "./guess";
import type { Row } from "../../ui/virtual";

type Content =
  | { kind: "head"; earlier: boolean }
  | { kind: "tail"; later: boolean }
  | { kind: "prompt"; item: Item; turn: Turn | undefined }
  | { kind: "pending"; prompt: PendingPrompt }
  | { kind: "fold"; turn: Turn; items: Item[]; open: boolean }
  | { kind: "steps"; items: Item[]; open: boolean }
  | { kind: "item"; item: Item; inside: boolean; waiting: boolean; approval: Approval | undefined }
  | { kind: "working"; turn: Turn; step: Item | undefined }
  | { kind: "reason"; turn: Turn; prompt: Item | undefined }
  | { kind: "footer"; turn: Turn; answer: Item | undefined }
  | { kind: "changes"; turn: Turn };

export type TimelineRow = Row & Content;
export type RowOf<K extends Content["kind"]> = Row & Extract<Content, { kind: K }>;

export interface Source {
  turns: Turn[];
  items: Item[];
  pending: PendingPrompt[];
  earlier: boolean;
  later: boolean;
  /** Keys of folds and groups that are open. */
  open: ReadonlySet<string>;
}

/** From this many steps in a row on they are one line that opens. */
const groupedFrom = 4;
/** Of the steps an agent is at, the newest stay in sight. */
const newest = 3;

export function isFinal(t: Turn | undefined): boolean {
  return t?.state === "completed" || t?.state === "interrupted" || t?.state === "failed";
}

function isStep(i: Item): boolean {
  return i.kind === "tool_call" || i.kind === "reasoning" || i.kind === "unknown" || i.kind === "approval" || i.kind === "question";
}

/** A question or approval that waits is shown in the composer's place, not in the log. */
export function isWaiting(i: Item): boolean {
  return (i.kind === "approval" && i.approval?.state === "pending") || (i.kind === "question" && i.question?.state === "pending");
}

interface Group {
  id: string;
  turn: Turn | undefined;
  items: Item[];
  rows: TimelineRow[];
  dirty: boolean;
}

/** Rows keeps a thread's rows up to date. */
export class Rows {
  private turns: readonly Turn[] = [];
  private items: readonly Item[] = [];
  private open: ReadonlySet<string> = new Set();
  private groups = new Map<string, Group>();
  private order: Group[] = [];
  private edges = new Map<string, TimelineRow>();

  /** update gives the rows of the newest state. */
  update(s: Source): TimelineRow[] {
    this.takeTurns(s.turns);
    this.takeItems(s.items);
    if (s.open !== this.open) for (const g of this.order) g.dirty = true;
    this.open = s.open;
    const out: TimelineRow[] = [this.edge({ kind: "head", earlier: s.earlier }, "head")];
    for (const g of this.order) {
      if (g.turn?.state === "queued") continue;
      if (g.dirty) this.build(g);
      for (const r of g.rows) out.push(r);
    }
    for (const p of s.pending) out.push(this.edge({ kind: "pending", prompt: p }, `pending ${p.commandId}`));
    out.push(this.edge({ kind: "tail", later: s.later }, "tail"));
    return out;
  }

  private edge(c: Content, key: string): TimelineRow {
    const r = keep(this.edges.get(key), c, key);
    if (this.edges.size > 64) this.edges.clear();
    this.edges.set(key, r);
    return r;
  }

  private takeTurns(turns: readonly Turn[]): void {
    if (turns === this.turns) return;
    const gone = new Set(this.turns);
    let moved = turns.length !== this.turns.length;
    turns.forEach((t, i) => {
      gone.delete(t);
      const old = this.turns[i];
      if (old === t) return;
      if (old?.id !== t.id) moved = true;
      const g = this.group(t.id);
      // A turn that leaves the queue stands where its ordinal says.
      if ((g.turn?.state === "queued") !== (t.state === "queued")) moved = true;
      g.turn = t;
      g.dirty = true;
    });
    const ids = new Set(turns.map((t) => t.id));
    for (const t of gone) {
      if (ids.has(t.id)) continue;
      const g = this.groups.get(t.id);
      if (g) (g.turn = undefined), (g.dirty = true);
    }
    this.turns = turns;
    if (moved) this.sort();
  }

  private takeItems(items: readonly Item[]): void {
    const old = this.items;
    if (items === old) return;
    let head = 0;
    const most = Math.min(items.length, old.length);
    while (head < most && items[head] === old[head]) head++;
    let tail = 0;
    while (tail < most - head && items[items.length - 1 - tail] === old[old.length - 1 - tail]) tail++;
    const gone = old.slice(head, old.length - tail);
    const come = items.slice(head, items.length - tail);
    this.items = items;
    // The usual case: one item in its place.
    if (gone.length === 1 && come.length === 1 && gone[0]!.id === come[0]!.id && gone[0]!.turnId === come[0]!.turnId) {
      const g = this.group(come[0]!.turnId);
      const at = g.items.lastIndexOf(gone[0]!);
      if (at >= 0) {
        g.items = g.items.slice();
        g.items[at] = come[0]!;
        g.dirty = true;
        return;
      }
    }
    const left = new Set(gone);
    for (const id of new Set(gone.map((i) => i.turnId))) {
      const g = this.group(id);
      g.items = g.items.filter((i) => !left.has(i));
      g.dirty = true;
    }
    const touched = new Set<Group>();
    let moved = gone.length > 0;
    for (const i of come) {
      if (!this.groups.has(i.turnId)) moved = true;
      const g = this.group(i.turnId);
      if (!touched.has(g)) (g.items = g.items.slice()), (g.dirty = true), touched.add(g);
      if (g.items.length === 0 || !g.turn) moved = true;
      g.items.push(i);
    }
    for (const g of touched) g.items.sort((a, b) => a.ordinal - b.ordinal || (a.id < b.id ? -1 : 1));
    if (moved) this.sort();
  }

  private group(id: string): Group {
    let g = this.groups.get(id);
    if (!g) this.groups.set(id, (g = { id, turn: undefined, items: [], rows: [], dirty: true }));
    return g;
  }

  /** Turns stand in their own order; items of a turn that is not known before the first turn with later ones. */
  private sort(): void {
    const known: Group[] = [];
    const stray: Group[] = [];
    for (const [id, g] of this.groups) {
      if (g.turn) known.push(g);
      else if (g.items.length) stray.push(g);
      else this.groups.delete(id);
    }
    known.sort((a, b) => a.turn!.ordinal - b.turn!.ordinal);
    stray.sort((a, b) => a.items[0]!.ordinal - b.items[0]!.ordinal);
    this.order = [];
    for (const g of known) {
      while (stray.length && g.items.length && stray[0]!.items[0]!.ordinal < g.items[0]!.ordinal) this.order.push(stray.shift()!);
      this.order.push(g);
    }
    this.order.push(...stray);
  }

  private build(g: Group): void {
    g.dirty = false;
    const before = new Map(g.rows.map((r) => [r.key, r]));
    const out: TimelineRow[] = [];
    const add = (c: Content, key: string) => out.push(keep(before.get(key), c, key));
    const { turn } = g;
    const prompt = g.items.find((i) => i.kind === "user_message");
    const approvals = new Map<string, Approval>();
    const tools = new Set(g.items.filter((i) => i.kind === "tool_call").map((i) => i.id));
    for (const i of g.items) if (i.approval?.toolItemId && tools.has(i.approval.toolItemId)) approvals.set(i.approval.toolItemId, i.approval);
    const first = g.items.indexOf(prompt!);
    // An approval that has its tool call is told there.
    const body = g.items.filter((i, at) => at !== first && !isWaiting(i) && i.kind !== "revert" && !(i.approval?.toolItemId && tools.has(i.approval.toolItemId)));
    const one = (item: Item, inside: boolean) => {
      const approval = approvals.get(item.id);
      if (item.kind === "user_message") add({ kind: "prompt", item, turn }, item.id);
      else if (item.kind !== "agent_message" || item.text) add({ kind: "item", item, inside, waiting: approval?.state === "pending", approval }, item.id);
    };
    const steps = (items: Item[], inside: boolean, visible: number) => {
      const hidden = items.length - visible >= groupedFrom - (visible ? 1 : 0) ? items.slice(0, items.length - visible) : [];
      if (hidden.length) {
        const key = `steps ${hidden[0]!.id}`;
        const open = this.open.has(key);
        add({ kind: "steps", items: hidden, open }, key);
        if (open) for (const i of hidden) one(i, true);
      }
      for (const i of items.slice(hidden.length)) one(i, inside);
    };
    const flow = (items: Item[], live: boolean) => {
      let run: Item[] = [];
      for (const i of items) {
        if (isStep(i)) run.push(i);
        else steps(run, false, 0), (run = []), one(i, false);
      }
      steps(run, false, live ? newest : 0);
    };
    if (prompt) add({ kind: "prompt", item: prompt, turn }, prompt.id);
    const answer = body.findLast((i) => i.kind === "agent_message" && !!i.text);
    if (turn?.state === "completed") {
      // What led to the answer is one line; what went wrong on the way stays in sight.
      const at = answer ? body.indexOf(answer) : body.length;
      const way = body.slice(0, at);
      if (way.some(isStep)) {
        const key = `fold ${turn.id}`;
        const open = this.open.has(key);
        const told = way.filter((i) => i.kind === "user_message" || (i.kind === "notice" && i.level !== "info" && i.level !== undefined));
        add({ kind: "fold", turn, items: way, open }, key);
        if (open) for (const i of way) one(i, true);
        else for (const i of told) one(i, false);
        flow(body.slice(at), false);
      } else flow(body, false);
    } else flow(body, !isFinal(turn));
    if (turn?.state === "running" || turn?.state === "waiting") add({ kind: "working", turn, step: body.findLast((i) => i.live || i.tool?.status === "running") }, `working ${turn.id}`);
    if (turn?.state === "interrupted" || turn?.state === "failed") add({ kind: "reason", turn, prompt }, `reason ${turn.id}`);
    if (turn?.changes?.files?.length) add({ kind: "changes", turn }, `changes ${turn.id}`);
    if (turn && isFinal(turn)) add({ kind: "footer", turn, answer }, `footer ${turn.id}`);
    // A person reverted it after the turn's end.
    for (const i of g.items) if (i.kind === "revert") one(i, false);
    g.rows = out;
  }
}

function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((v, i) => v === b[i]);
}

/** keep gives the old row when it says the same, else a new one that begins with the old one's height. */
function keep(old: TimelineRow | undefined, c: Content, key: string): TimelineRow {
  if (old?.kind === c.kind) {
    if (Object.entries(c).every(([k, v]) => equal((old as unknown as Record<string, unknown>)[k], v))) return old;
    return { ...c, key, height: old.height, measured: old.measured };
  }
  return { ...c, key, height: guess(c), measured: false };
}

export type { Content };
