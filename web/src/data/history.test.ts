import { describe, expect, it } from "vitest";
import type { Item, ServerFrame, Thread, ThreadPart, Turn } from "../api/types.gen";
import { shown, trimmed, withEarlier, withIsland, withIslandEarlier, withIslandLater } from "./history";
import { type ThreadState, emptyThread, reduceThread } from "./reduce";

const item = (n: number, more: Partial<Item> = {}): Item => ({ id: `i${n}`, threadId: "t", turnId: `u${Math.ceil(n / 10)}`, ordinal: n, kind: "agent_message", createdAt: 1, updatedAt: 1, ...more });
const items = (from: number, to: number): Item[] => Array.from({ length: to - from + 1 }, (_, k) => item(from + k));
const turn = (n: number, state: Turn["state"] = "completed"): Turn => ({ id: `u${n}`, threadId: "t", ordinal: n, state, queuedAt: 1 });
const turns = (from: number, to: number): Turn[] => Array.from({ length: to - from + 1 }, (_, k) => turn(from + k));
const thread: Thread = { id: "t", projectId: "p", title: "T", agentId: "demo", permission: "supervised", createdAt: 1, updatedAt: 1 };
const snapshot = (from: number, to: number, more: object = {}, seq = 5): ServerFrame => ({ type: "snapshot", seq, thread: { thread, turns: turns(Math.ceil(from / 10), Math.ceil(to / 10)), items: items(from, to), earlier: from > 1, ...more } });
const part = (from: number, to: number, last: number): ThreadPart => ({ turns: turns(Math.ceil(from / 10), Math.ceil(to / 10)), items: items(from, to), earlier: from > 1, later: to < last });
const apply = (s: ThreadState, f: ServerFrame): ThreadState => {
  const n = reduceThread(s, f);
  if (n === "again") throw new Error("again");
  return n;
};
const upsert = (i: Item, seq = 6): ServerFrame => ({ type: "event", seq, event: { type: "item.upserted", seq, at: 1, item: i } });
const ordinals = (list: { ordinal: number }[]) => list.map((x) => x.ordinal);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, k) => from + k);
const tail = apply(emptyThread, snapshot(81, 100));

describe("a part of a thread", () => {
  it("grows to its beginning, in order and once", () => {
    let s = withEarlier(tail, 81, part(41, 80, 100));
    expect([s.from, s.earlier]).toEqual([41, true]);
    expect(withEarlier(s, 81, part(41, 80, 100))).toBe(s);
    s = withEarlier(s, 41, part(1, 40, 100));
    expect(ordinals(s.items)).toEqual(range(1, 100));
    expect(ordinals(s.turns)).toEqual(range(1, 10));
    expect(shown(s)).toMatchObject({ earlier: false, later: false });
  });

  it("leaves out events about what is not loaded, but not what is open", () => {
    let s = apply(tail, upsert(item(7, { text: "late" })));
    expect(ordinals(s.items)).toEqual(range(81, 100));
    s = apply(s, { type: "event", seq: 7, event: { type: "turn.upserted", seq: 7, at: 1, turn: turn(1) } });
    expect(ordinals(s.turns)).toEqual(range(9, 10));
    s = apply(s, upsert(item(8, { live: true, text: "a" }), 8));
    expect(s.items[0]!.ordinal).toBe(8);
    s = apply(s, { type: "delta", delta: { itemId: "i8", field: "text", offset: 1, text: "b" } });
    s = apply(s, upsert(item(8, { text: "abc" }), 9));
    expect(s.items[0]).toMatchObject({ text: "abc" });
    expect([s.from, s.seq]).toEqual([81, 9]);
    // What lies before the gap finds its place once the gap is closed, as the events left it.
    s = withEarlier(withEarlier(s, 81, part(6, 80, 100)), 6, part(1, 5, 100));
    expect(ordinals(s.items)).toEqual(range(1, 100));
    expect(s.items[7]!.text).toBe("abc");
  });

  it("holds the prompt of a long running turn from the snapshot on", () => {
    const s = apply(emptyThread, snapshot(81, 100, { open: [item(3, { kind: "user_message", turnId: "u10" })] }));
    expect(ordinals(s.items)).toEqual([3, ...range(81, 100)]);
    expect(s.from).toBe(81);
  });

  it("keeps what was loaded over another snapshot that joins it", () => {
    const s = withEarlier(tail, 81, part(41, 80, 100));
    const next = apply(s, snapshot(91, 120, {}, 30));
    expect(ordinals(next.items)).toEqual(range(41, 120));
    expect([next.from, next.earlier]).toEqual([41, true]);
    expect(ordinals(next.turns)).toEqual(range(5, 12));
  });

  it("starts over where a snapshot leaves a gap or is of another log", () => {
    const s = withEarlier(tail, 81, part(41, 80, 100));
    expect(ordinals(apply(s, snapshot(301, 320, {}, 300)).items)).toEqual(range(301, 320));
    expect(ordinals(apply(s, snapshot(91, 110, {}, 2)).items)).toEqual(range(91, 110));
  });

  it("lets go of old items of a long thread", () => {
    const all = apply(emptyThread, snapshot(1, 100));
    const s = trimmed(apply(all, upsert(item(4, { live: true }))), 20);
    expect(ordinals(s.items)).toEqual([4, ...range(81, 100)]);
    expect([s.from, s.earlier]).toEqual([81, true]);
    expect(ordinals(s.turns)).toEqual([1, 9, 10]);
    expect(trimmed(s, 50)).toBe(s);
  });
});

describe("a place far away", () => {
  it("is shown alone, while the tail goes on", () => {
    let s = withIsland(tail, part(21, 40, 100));
    expect(ordinals(shown(s).items)).toEqual(range(21, 40));
    expect(shown(s)).toMatchObject({ earlier: true, later: true });
    s = apply(s, upsert(item(101)));
    s = apply(s, upsert(item(30, { text: "edited" }), 7));
    expect(shown(s).items[9]!.text).toBe("edited");
    expect(s.items.at(-1)!.ordinal).toBe(101);
    s = withIslandEarlier(s, 21, part(1, 20, 100));
    expect(shown(s)).toMatchObject({ earlier: false, later: true });
  });

  it("joins the tail once it is reached", () => {
    let s = withIsland(tail, part(21, 40, 100));
    s = withIslandLater(s, 40, part(41, 70, 100));
    expect(s.island).toBeDefined();
    s = withIslandLater(s, 70, part(71, 90, 100));
    expect(s.island).toBeUndefined();
    expect(ordinals(shown(s).items)).toEqual(range(21, 100));
    expect([s.from, s.earlier]).toEqual([21, true]);
  });

  it("joins at once when it is near", () => {
    const s = withIsland(tail, part(70, 90, 100));
    expect(ordinals(shown(s).items)).toEqual(range(70, 100));
    expect(shown(withIsland(tail, part(85, 95, 100))).items).toHaveLength(20);
  });

  it("ignores answers that come too late", () => {
    const s = withIsland(tail, part(21, 40, 100));
    expect(withIslandLater(s, 39, part(40, 60, 100))).toBe(s);
    expect(withIslandEarlier(tail, 21, part(1, 20, 100))).toBe(tail);
  });
});
