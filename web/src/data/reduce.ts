// Pure reducers: a snapshot, events in order and live deltas give the state
// the page draws. States are replaced, never changed, so that only what has
// changed is drawn again.
import type { Delta, Event, Item, Project, ServerFrame, Thread, Turn } from "../api/types.gen";
import { type Island, before, fromSnapshot, wantedItem, wantedTurn } from "./history";

export interface ShellState {
  projects: Project[];
  threads: Thread[];
  seq: number | undefined;
}

export const emptyShell: ShellState = { projects: [], threads: [], seq: undefined };

/** reduceShell applies one frame of topic shell; others are ignored. */
export function reduceShell(s: ShellState, f: ServerFrame): ShellState {
  if (f.type === "snapshot" && f.shell) {
    return { projects: f.shell.projects ?? [], threads: f.shell.threads ?? [], seq: f.seq ?? 0 };
  }
  if (f.type === "synchronized") return { ...s, seq: later(s.seq, f.seq) };
  if (f.type !== "event" || !f.event) return s;
  const e = f.event;
  const seq = later(s.seq, f.seq ?? e.seq);
  switch (e.type) {
    case "project.upserted":
      return e.project ? { ...s, seq, projects: upsert(s.projects, e.project) } : s;
    case "project.removed":
      return { projects: without(s.projects, e.removedId), threads: s.threads.filter((t) => t.projectId !== e.removedId), seq };
    case "thread.upserted":
      return e.thread ? { ...s, seq, threads: upsert(s.threads, e.thread) } : s;
    case "thread.removed":
      return { ...s, seq, threads: without(s.threads, e.removedId) };
    default:
      return { ...s, seq };
  }
}

export interface ThreadState {
  thread: Thread | undefined;
  turns: Turn[];
  items: Item[];
  seq: number | undefined;
  removed: boolean;
  /** Every item from this ordinal on is here; earlier says that there are older ones. */
  from: number;
  earlier: boolean;
  island: Island | undefined;
}

export const emptyThread: ThreadState = { thread: undefined, turns: [], items: [], seq: undefined, removed: false, from: 0, earlier: false, island: undefined };

/** reduceThread applies one frame of a thread's topic; "again" means that a delta was missed. */
export function reduceThread(s: ThreadState, f: ServerFrame): ThreadState | "again" {
  if (f.type === "snapshot" && f.thread) return fromSnapshot(s, f.thread, f.seq ?? 0);
  if (f.type === "synchronized") return { ...s, seq: later(s.seq, f.seq) };
  if (f.type === "event" && f.event) return reduceThreadEvent(s, f.event, later(s.seq, f.seq ?? f.event.seq));
  if (f.type === "delta" && f.delta) return reduceDelta(s, f.delta);
  return s;
}

function reduceThreadEvent(s: ThreadState, e: Event, seq: number | undefined): ThreadState {
  switch (e.type) {
    case "thread.upserted":
      return e.thread ? { ...s, seq, thread: e.thread } : s;
    case "thread.removed":
      return { ...s, seq, removed: true };
    case "turn.upserted": {
      const t = e.turn;
      if (!t) return s;
      return { ...s, seq, turns: wantedTurn(s, t) ? upsertOrdered(s.turns, t) : s.turns, island: s.island && { ...s.island, turns: replaced(s.island.turns, t) } };
    }
    case "turn.removed":
      return { ...s, seq, turns: without(s.turns, e.removedId), items: s.items.filter((i) => i.turnId !== e.removedId) };
    case "item.upserted": {
      const i = e.item;
      if (!i) return s;
      return { ...s, seq, items: wantedItem(s, i) ? upsertOrdered(s.items, i) : s.items, island: s.island && { ...s.island, items: replaced(s.island.items, i) } };
    }
    case "item.removed":
      return { ...s, seq, items: without(s.items, e.removedId), island: s.island && { ...s.island, items: without(s.island.items, e.removedId) } };
    default:
      return { ...s, seq };
  }
}

function reduceDelta(s: ThreadState, d: Delta): ThreadState | "again" {
  if (d.item) return { ...s, items: upsertOrdered(s.items, d.item) };
  const at = indexOf(s.items, d.itemId);
  const item = s.items[at];
  if (!item) return "again";
  if (!item.live) return s; // the durable item has arrived before its last delta
  const output = d.field === "output";
  const have = byteLength(item, output);
  const offset = d.offset ?? 0;
  if (have < offset) return "again";
  const bytes = encoder.encode(d.text ?? "");
  if (have >= offset + bytes.length) return s;
  const fresh = have === offset ? (d.text ?? "") : decoder.decode(bytes.subarray(have - offset));
  const next: Item = output ? { ...item, tool: { kind: "other", title: "", status: "running", ...item.tool, output: (item.tool?.output ?? "") + fresh } } : { ...item, text: (item.text ?? "") + fresh };
  lengths.set(next, { ...lengths.get(item), [output ? "output" : "text"]: offset + bytes.length });
  const items = s.items.slice();
  items[at] = next;
  return { ...s, items };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
// Byte lengths of live texts, so that a delta does not cost the whole text again.
const lengths = new WeakMap<Item, { text?: number; output?: number }>();

function byteLength(item: Item, output: boolean): number {
  const known = lengths.get(item)?.[output ? "output" : "text"];
  return known ?? encoder.encode((output ? item.tool?.output : item.text) ?? "").length;
}

function later(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : Math.max(a, b);
}

interface Identified {
  id: string;
}

function indexOf<T extends Identified>(list: T[], id: string | undefined): number {
  // Changes are nearly always near the end.
  for (let i = list.length - 1; i >= 0; i--) if (list[i]!.id === id) return i;
  return -1;
}

function upsert<T extends Identified>(list: T[], v: T): T[] {
  const at = indexOf(list, v.id);
  if (at < 0) return [...list, v];
  const next = list.slice();
  next[at] = v;
  return next;
}

function without<T extends Identified>(list: T[], id: string | undefined): T[] {
  return list.filter((x) => x.id !== id);
}

interface Ordered extends Identified {
  ordinal: number;
}

function replaced<T extends Identified>(list: T[], v: T): T[] {
  return indexOf(list, v.id) < 0 ? list : upsert(list, v);
}

function upsertOrdered<T extends Ordered>(list: T[], v: T): T[] {
  const at = indexOf(list, v.id);
  if (at >= 0 && list[at]!.ordinal === v.ordinal) {
    const next = list.slice();
    next[at] = v;
    return next;
  }
  const next = at < 0 ? list.slice() : without(list, v.id);
  let i = next.length;
  while (i > 0 && before(next[i - 1]!, v) > 0) i--;
  next.splice(i, 0, v);
  return next;
}
