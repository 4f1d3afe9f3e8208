// Pure functions about what is loaded of a thread's timeline. The tail holds
// the newest items without a gap and follows the stream; earlier parts are put
// in front of it. A place far away (a search hit) is an island, until loading on
// from it reaches the tail. Older items that still matter (open ones) lie before the gap.
import type { Item, ThreadPart, ThreadSnapshot, Turn } from "../api/types.gen";
import type { ThreadState } from "./reduce";

export interface Island {
  turns: Turn[];
  items: Item[];
  earlier: boolean;
}

export interface Shown {
  turns: Turn[];
  items: Item[];
  /** There is more before, or behind, what is shown; it can be loaded. */
  earlier: boolean;
  later: boolean;
}

/** shown is what the timeline draws. */
export function shown(s: ThreadState): Shown {
  if (s.island) return { ...s.island, later: true };
  return { turns: s.turns, items: s.items, earlier: s.earlier, later: false };
}

interface Ordered {
  id: string;
  ordinal: number;
}

export function before(a: Ordered, b: Ordered): number {
  return a.ordinal - b.ordinal || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

export function ordered<T extends Ordered>(list: T[]): T[] {
  return list.slice().sort(before);
}

/** union keeps what is there and adds what is not. */
function union<T extends Ordered>(there: T[], more: T[]): T[] {
  const ids = new Set(there.map((x) => x.id));
  const fresh = more.filter((x) => !ids.has(x.id));
  return fresh.length === 0 ? there : ordered([...fresh, ...there]);
}

/** isOpen: it streams, or waits for an answer. */
export function isOpen(i: Item): boolean {
  return i.live === true || i.approval?.state === "pending" || i.question?.state === "pending";
}

function isFinal(t: Turn): boolean {
  return t.state === "completed" || t.state === "interrupted" || t.state === "failed";
}

/** wanted: an event's item or turn belongs to what is loaded. */
export function wantedItem(s: ThreadState, i: Item): boolean {
  return !s.earlier || i.ordinal >= s.from || isOpen(i) || s.items.some((x) => x.id === i.id);
}
export function wantedTurn(s: ThreadState, t: Turn): boolean {
  const first = s.turns[0];
  return !s.earlier || !isFinal(t) || !first || t.ordinal >= first.ordinal || s.turns.some((x) => x.id === t.id);
}

/** fromSnapshot takes a snapshot; what was loaded before it stays where it joins without a gap. */
export function fromSnapshot(s: ThreadState, t: ThreadSnapshot, seq: number): ThreadState {
  const items = ordered(t.items ?? []);
  const from = items[0]?.ordinal ?? 0;
  const next: ThreadState = { thread: t.thread, turns: ordered(t.turns ?? []), items: union(items, t.open ?? []), seq, removed: false, from, earlier: t.earlier === true, island: undefined };
  const same = s.thread?.id === t.thread.id && (s.seq ?? 0) <= seq;
  if (!same || !next.earlier) return next;
  const joins = s.from < from && s.items.some((i) => i.ordinal >= from);
  if (!joins) return { ...next, island: s.island };
  const old = s.items.filter((i) => i.ordinal >= s.from && i.ordinal < from && !isOpen(i));
  return { ...next, turns: union(next.turns, s.turns.filter(isFinal)), items: union(next.items, old), from: s.from, earlier: s.earlier, island: s.island };
}

/** withEarlier puts the part before the ordinal at in front of the tail; a part of an older request changes nothing. */
export function withEarlier(s: ThreadState, at: number, p: ThreadPart): ThreadState {
  if (s.from !== at) return s;
  return { ...s, turns: union(s.turns, p.turns ?? []), items: union(s.items, p.items ?? []), from: p.items?.[0]?.ordinal ?? s.from, earlier: p.earlier === true };
}

/** withIsland shows a part far away; one that reaches the tail joins it. */
export function withIsland(s: ThreadState, p: ThreadPart): ThreadState {
  return joined({ ...s, island: { turns: ordered(p.turns ?? []), items: ordered(p.items ?? []), earlier: p.earlier === true } }, p.later !== true);
}

/** withIslandEarlier and withIslandLater extend an island by the part next to the ordinal at. */
export function withIslandEarlier(s: ThreadState, at: number, p: ThreadPart): ThreadState {
  const island = s.island;
  if (!island || island.items[0]?.ordinal !== at) return s;
  return { ...s, island: { turns: union(island.turns, p.turns ?? []), items: union(island.items, p.items ?? []), earlier: p.earlier === true } };
}
export function withIslandLater(s: ThreadState, at: number, p: ThreadPart): ThreadState {
  const island = s.island;
  if (!island || island.items.at(-1)?.ordinal !== at) return s;
  const more = { ...island, turns: union(island.turns, p.turns ?? []), items: union(island.items, p.items ?? []) };
  return joined({ ...s, island: more }, p.later !== true);
}

function joined(s: ThreadState, reached: boolean): ThreadState {
  const island = s.island;
  if (!island) return s;
  const first = island.items[0];
  const last = island.items.at(-1);
  if (!first || !last) return { ...s, island: undefined };
  if (!reached && last.ordinal < s.from) return s;
  if (first.ordinal >= s.from) return { ...s, island: undefined };
  return { ...s, turns: union(s.turns, island.turns), items: union(s.items, island.items), from: first.ordinal, earlier: island.earlier, island: undefined };
}

/** trimmed lets go of all but the newest items and open ones, so that a long thread does not fill the memory. */
export function trimmed(s: ThreadState, keep: number): ThreadState {
  const first = s.items.at(-keep);
  if (s.items.length <= keep || !first || first.ordinal <= s.from) return s;
  const items = s.items.filter((i) => i.ordinal >= first.ordinal || isOpen(i));
  const turnIds = new Set(items.map((i) => i.turnId));
  return { ...s, items, turns: s.turns.filter((t) => turnIds.has(t.id) || !isFinal(t)), from: first.ordinal, earlier: true };
}
