import { describe, expect, it } from "vitest";
import type { ServerFrame, Terminal } from "../../api/types.gen";
import { TerminalAck, TerminalInput, TerminalOutput, TerminalTaken, TerminalTyped } from "../../api/types.gen";
import type { Post } from "../../data/socket";
import { arrange, beside } from "./arrange";
import { decodeFrame, encodeFrame } from "./frame";
import { useOf } from "./keys";
import { TerminalSession } from "./session";

const text = (s: string) => new TextEncoder().encode(s);

/** An emulator that works things off when it is told to, and a server's end. */
function make() {
  const written: string[] = [];
  const due: (() => void)[] = [];
  const sent: { kind: number; seq: number; data: string }[] = [];
  const frames: unknown[] = [];
  const live: boolean[] = [];
  const s = new TerminalSession("x", {
    emulator: {
      write: (data, done) => {
        written.push(typeof data === "string" ? data : new TextDecoder().decode(data));
        if (done) due.push(done);
      },
    },
    onview: () => {},
    onlive: (l) => live.push(l),
    onfailed: () => {},
  });
  const post: Post = {
    id: "s1",
    send: (data) => {
      if (!(data instanceof Uint8Array)) return void frames.push(data);
      const f = decodeFrame(data.buffer)!;
      expect(f.id).toBe("s1");
      sent.push({ kind: f.kind, seq: f.seq, data: new TextDecoder().decode(f.data) });
    },
  };
  const bytes = (kind: number, seq: number, data: Uint8Array) => s.bytes(encodeFrame(kind, "s1", seq, data).buffer);
  const head = { terminal: {} as Terminal, preamble: "<modes>" };
  return { s, bytes, post, written, due, sent, frames, live, snapshot: (seq: number): ServerFrame => ({ type: "snapshot", seq, terminal: head }) };
}

describe("a terminal's session", () => {
  it("begins anew with a snapshot and goes on where it was after a reconnect", () => {
    const t = make();
    t.s.attached(t.post);
    expect(t.s.cursor()).toBeUndefined();
    t.s.frame(t.snapshot(100));
    expect(t.bytes(TerminalOutput, 100, text("abc"))).toBeUndefined();
    expect(t.s.cursor()).toBe(103);
    t.s.attached(t.post);
    t.s.frame({ type: "event", terminal: { terminal: {} as Terminal } });
    t.bytes(TerminalOutput, 103, text("d"));
    expect(t.written).toEqual(["\x1bc<modes>", "abc", "d"]);
    expect(t.live).toEqual([true, false, true]);
  });

  it("asks again when something is missing", () => {
    const t = make();
    t.s.attached(t.post);
    t.s.frame(t.snapshot(0));
    expect(t.bytes(TerminalOutput, 1, text("x"))).toBe("again");
    expect(t.written).toHaveLength(1);
  });

  it("acknowledges what was worked off, now and then in a flood and at its end", () => {
    const t = make();
    t.s.attached(t.post);
    t.s.frame(t.snapshot(0));
    const block = new Uint8Array(20_000);
    for (let i = 0; i < 10; i++) t.bytes(TerminalOutput, i * 20_000, block);
    expect(t.sent).toEqual([]);
    for (const done of t.due) done();
    expect(t.sent).toEqual([80_000, 160_000, 200_000].map((seq) => ({ kind: TerminalAck, seq, data: "" })));
  });

  it("says nothing about output of an older snapshot", () => {
    const t = make();
    t.s.attached(t.post);
    t.s.frame(t.snapshot(0));
    t.bytes(TerminalOutput, 0, text("old"));
    t.s.frame(t.snapshot(5000));
    t.due[0]!();
    expect(t.sent).toEqual([]);
    t.bytes(TerminalOutput, 5000, text("new"));
    t.due[1]!();
    expect(t.sent).toEqual([{ kind: TerminalAck, seq: 5003, data: "" }]);
  });

  it("holds a large paste back until the program's side takes it", () => {
    const t = make();
    t.s.attached(t.post);
    t.s.type(text("lost"));
    t.s.frame(t.snapshot(0));
    const paste = "p".repeat(TerminalInput + 50_000);
    t.s.type(text(paste));
    const sum = () => t.sent.reduce((n, x) => n + x.data.length, 0);
    expect(sum()).toBeLessThanOrEqual(TerminalInput);
    expect(sum()).toBeGreaterThan(TerminalInput - 20_000);
    t.bytes(TerminalTaken, 65_536, new Uint8Array());
    expect(sum()).toBe(paste.length);
    let next = 0;
    for (const x of t.sent) {
      expect(x).toMatchObject({ kind: TerminalTyped, seq: next });
      next += x.data.length;
    }
  });

  it("sends nothing twice, and numbers anew on another connection", () => {
    const t = make();
    t.s.attached(t.post);
    t.s.frame(t.snapshot(0));
    t.s.type(text("a".repeat(TerminalInput + 10)));
    t.s.lost();
    t.s.type(text("typed into nothing"));
    t.sent.length = 0;
    t.s.attached(t.post);
    t.s.frame({ type: "event", terminal: { terminal: {} as Terminal } });
    t.s.type(text("b"));
    expect(t.sent).toEqual([{ kind: TerminalTyped, seq: 0, data: "b" }]);
  });

  it("tells its size once there is somebody to tell, and again when the person comes", () => {
    const t = make();
    t.s.resize(80, 24, false);
    t.s.attached(t.post);
    expect(t.frames).toEqual([]);
    t.s.frame(t.snapshot(0));
    t.s.resize(80, 24, false);
    t.s.resize(80, 24, true);
    t.s.resize(80, 24, true);
    expect(t.frames).toEqual([false, true, true].map((focused) => ({ type: "resize", id: "s1", cols: 80, rows: 24, focused })));
  });
});

describe("tabs", () => {
  it("keep what was arranged, drop what is gone and show what is new", () => {
    expect(arrange([["a", "b"], ["gone"], ["c"]], ["c", "b", "a", "new"])).toEqual([["a", "b"], ["c"], ["new"]]);
    expect(arrange([["a"], ["a"]], ["a"])).toEqual([["a"]]);
  });
  it("take one beside another", () => {
    expect(beside([["a", "b"], ["c"]], "n", "a")).toEqual([["a", "n", "b"], ["c"]]);
    expect(beside([["a"], ["n"]], "n", "a")).toEqual([["a", "n"]]);
    expect(beside([], "n", "a")).toEqual([["n"]]);
  });
});

describe("keys", () => {
  const none = { mac: false, windows: false, selection: false };
  const key = (text: string, e: Partial<KeyboardEvent> = {}) => ({ key: text, code: "", ctrlKey: false, shiftKey: false, altKey: false, metaKey: false, ...e });
  it("are the program's, but for those with Ctrl+Shift and a few", () => {
    for (const [k, about, want] of [
      [key("c", { ctrlKey: true }), none, "program"],
      [key("c", { ctrlKey: true }), { ...none, selection: true }, "copy"],
      [key("C", { ctrlKey: true, shiftKey: true }), none, "copy"],
      [key("V", { ctrlKey: true, shiftKey: true }), none, "browser"],
      [key("v", { ctrlKey: true }), none, "program"],
      [key("v", { ctrlKey: true }), { ...none, windows: true }, "browser"],
      [key("`", { ctrlKey: true, code: "Backquote" }), none, "page"],
      [key("F", { ctrlKey: true, shiftKey: true }), none, "page"],
      [key("k", { ctrlKey: true }), none, "program"],
      [key("j", { ctrlKey: true }), none, "page"],
      [key("j", { ctrlKey: true }), { ...none, mac: true }, "program"],
      [key("F6"), none, "program"],
      [key("F6", { shiftKey: true }), none, "page"],
      [key("ArrowDown", { altKey: true }), none, "program"],
      [key("Escape"), none, "program"],
      [key("F1"), none, "page"],
      [key("Insert", { shiftKey: true }), none, "browser"],
      [key("c", { metaKey: true }), { ...none, mac: true, selection: true }, "copy"],
      [key("k", { metaKey: true }), { ...none, mac: true }, "page"],
      [key("c", { ctrlKey: true }), { ...none, mac: true, selection: true }, "program"],
    ] as const)
      expect(useOf(k, about), JSON.stringify([k, about])).toBe(want);
  });
});
