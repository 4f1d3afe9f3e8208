import { describe, expect, it } from "vitest";
import type { Delta, Item, ServerFrame, Thread, Turn } from "../api/types.gen";
import { type ThreadState, emptyShell, emptyThread, reduceShell, reduceThread } from "./reduce";

const item = (id: string, ordinal: number, more: Partial<Item> = {}): Item => ({ id, threadId: "t", turnId: "u", ordinal, kind: "agent_message", createdAt: 1, updatedAt: 1, ...more });
const thread = (more: Partial<Thread> = {}): Thread => ({ id: "t", projectId: "p", title: "T", agentId: "demo", permission: "supervised", createdAt: 1, updatedAt: 1, ...more });
const turn = (id: string, ordinal: number): Turn => ({ id, threadId: "t", ordinal, state: "running", queuedAt: 1 });
const ev = (seq: number, e: object): ServerFrame => ({ type: "event", seq, event: { seq, at: 1, ...e } as never });
const delta = (d: Delta): ServerFrame => ({ type: "delta", delta: d });

function run(frames: ServerFrame[], from: ThreadState = emptyThread): ThreadState {
  return frames.reduce((s, f) => {
    const n = reduceThread(s, f);
    if (n === "again") throw new Error("again");
    return n;
  }, from);
}

const snapshot = (items: Item[]): ServerFrame => ({ type: "snapshot", seq: 5, thread: { thread: thread(), turns: [turn("u", 1)], items } });

describe("thread", () => {
  it("orders what comes out of order and replaces by id", () => {
    const s = run([snapshot([item("b", 2), item("a", 1)]), ev(6, { type: "item.upserted", item: item("d", 4) }), ev(7, { type: "item.upserted", item: item("c", 3) }), ev(8, { type: "item.upserted", item: item("a", 1, { text: "new" }) })]);
    expect(s.items.map((i) => i.id)).toEqual(["a", "b", "c", "d"]);
    expect(s.items[0]!.text).toBe("new");
    expect(s.seq).toBe(8);
  });

  it("moves an item whose ordinal changed", () => {
    const s = run([snapshot([item("a", 1), item("b", 2)]), ev(6, { type: "item.upserted", item: item("a", 3) })]);
    expect(s.items.map((i) => i.id)).toEqual(["b", "a"]);
  });

  it("a removed turn takes its items along", () => {
    const s = run([snapshot([item("a", 1)]), ev(6, { type: "turn.removed", removedId: "u" })]);
    expect(s.turns).toEqual([]);
    expect(s.items).toEqual([]);
  });

  it("appends text at byte offsets, beyond ASCII", () => {
    const s = run([snapshot([item("a", 1, { live: true, text: "grüß" })]), delta({ itemId: "a", field: "text", offset: 6, text: " 🌊" }), delta({ itemId: "a", field: "text", offset: 11, text: "!" })]);
    expect(s.items[0]!.text).toBe("grüß 🌊!");
  });

  it("takes only the unseen part of a delta that overlaps the snapshot", () => {
    const s = run([snapshot([item("a", 1, { live: true, text: "hello" })]), delta({ itemId: "a", field: "text", offset: 3, text: "lo wörld" })]);
    expect(s.items[0]!.text).toBe("hello wörld");
    expect(run([delta({ itemId: "a", field: "text", offset: 0, text: "hel" })], s)).toBe(s);
  });

  it("notices a gap", () => {
    const s = run([snapshot([item("a", 1, { live: true, text: "x" })])]);
    expect(reduceThread(s, delta({ itemId: "a", field: "text", offset: 2, text: "y" }))).toBe("again");
    expect(reduceThread(s, delta({ itemId: "zz", field: "text", offset: 0, text: "y" }))).toBe("again");
  });

  it("appends tool output and keeps the rest of the tool", () => {
    const tool = { kind: "execute", title: "npm test", status: "running" as const };
    const s = run([snapshot([]), delta({ item: item("a", 1, { kind: "tool_call", live: true, tool }) }), delta({ itemId: "a", field: "output", text: "one\n" }), delta({ itemId: "a", field: "output", offset: 4, text: "two" })]);
    expect(s.items[0]!.tool).toEqual({ ...tool, output: "one\ntwo" });
  });

  it("ignores a late delta of a finished item", () => {
    const s = run([snapshot([item("a", 1, { text: "done" })])]);
    expect(reduceThread(s, delta({ itemId: "a", field: "text", offset: 0, text: "do" }))).toBe(s);
  });

  it("keeps untouched items identical, so that they are not drawn again", () => {
    const s = run([snapshot([item("a", 1), item("b", 2, { live: true })])]);
    const n = run([delta({ itemId: "b", field: "text", offset: 0, text: "x" })], s);
    expect(n.items[0]).toBe(s.items[0]);
    expect(n.turns).toBe(s.turns);
  });

  it("survives null lists", () => {
    const s = run([{ type: "snapshot", seq: 1, thread: { thread: thread(), turns: null as never, items: null as never } }]);
    expect(s.items).toEqual([]);
  });
});

describe("shell", () => {
  const project = { id: "p", name: "P", path: "/p", git: true, createdAt: 1 };
  it("follows projects and threads", () => {
    let s = reduceShell(emptyShell, { type: "snapshot", seq: 3, shell: { projects: [project], threads: [thread()] } });
    s = reduceShell(s, ev(4, { type: "thread.upserted", thread: thread({ state: "running" }) }));
    expect(s.threads).toHaveLength(1);
    expect(s.threads[0]!.state).toBe("running");
    s = reduceShell(s, ev(5, { type: "project.removed", removedId: "p" }));
    expect(s).toEqual({ projects: [], threads: [], seq: 5 });
    expect(reduceShell(s, { type: "synchronized", seq: 9 }).seq).toBe(9);
  });
});
