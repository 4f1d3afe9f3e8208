import { describe, expect, it, vi } from "vitest";
import { Commands } from "./commands.svelte";
import { parseKeys, sameStroke, showKeys, strokeOf, writeStroke } from "./keys";
import { parseWhen } from "./when";

const press = (key: string, o: Partial<KeyboardEvent> = {}) =>
  ({ key, code: /^[a-z]$/.test(key) ? `Key${key.toUpperCase()}` : "", ctrlKey: false, altKey: false, shiftKey: false, metaKey: false, isComposing: false, defaultPrevented: false, preventDefault: vi.fn(), stopPropagation: vi.fn(), ...o }) as unknown as KeyboardEvent;

describe("when", () => {
  const env: Record<string, boolean | string> = { a: true, b: false, os: "mac", n: "3" };
  const is = (t: string) => parseWhen(t)((x) => env[x]);
  it("follows precedence, negation and comparison", () => {
    for (const [text, want] of [
      ["", true],
      ["a", true],
      ["!a", false],
      ["b || a && !b", true],
      ["(b || a) && b", false],
      ["os == mac", true],
      ["os == 'mac' && n != 4", true],
      ["missing", false],
      ["missing == ''", true],
      ["!(a && b) && true", true],
    ] as const)
      expect(is(text), text).toBe(want);
  });
  it("tells what is wrong and where", () => {
    for (const [text, says] of [
      ["a &&", "at the end"],
      ["a b", '"b"'],
      ["(a", '")" is missing'],
      ["a == ", "a value is missing"],
      ["a & b", "unexpected"],
      ["&& a", "a name is missing"],
      ["(".repeat(500), "too deep"],
    ] as const)
      expect(() => parseWhen(text), text).toThrow(says);
  });
});

describe("keys", () => {
  it("reads, writes and shows strokes", () => {
    expect(parseKeys("Mod+Shift+P", false)).toEqual([{ ctrl: true, alt: false, shift: true, meta: false, key: "p" }]);
    expect(parseKeys("mod+k", true)[0]!.meta).toBe(true);
    expect(parseKeys("g t", false)).toHaveLength(2);
    for (const k of ["mod+shift+p", "alt+up", "f2", "mod+plus", "escape", "mod+space"]) for (const mac of [true, false]) expect(writeStroke(parseKeys(k, mac)[0]!, mac)).toBe(k);
    expect(showKeys("mod+shift+down", false)).toEqual([["Ctrl", "Shift", "↓"]]);
    expect(showKeys("mod+k", true)).toEqual([["⌘", "K"]]);
    for (const bad of ["", "mod+", "mod+qq", "a b c", "a+b", "f25"]) expect(() => parseKeys(bad, false), bad).toThrow();
  });
  it("matches what the keyboard says, on other layouts too", () => {
    const k = (s: string) => parseKeys(s, false)[0]!;
    expect(sameStroke(strokeOf(press("K", { shiftKey: true, ctrlKey: true, code: "KeyK" }))!, k("ctrl+shift+k"))).toBe(true);
    expect(sameStroke(strokeOf(press("л", { ctrlKey: true, code: "KeyK" }))!, k("ctrl+k"))).toBe(true);
    expect(sameStroke(strokeOf(press("Dead", { altKey: true, code: "KeyN" }))!, k("alt+n"))).toBe(true);
    expect(sameStroke(strokeOf(press("?", { shiftKey: true }))!, k("?"))).toBe(true);
    expect(strokeOf(press("Shift"))).toBeUndefined();
    expect(strokeOf(press("Dead"))).toBeUndefined();
  });
});

describe("commands", () => {
  const make = () => {
    const c = new Commands(false);
    const ran: string[] = [];
    const cmd = (id: string, key?: string | string[], when?: string) => ({ id, title: id, group: "g", key, when, run: () => void ran.push(id) });
    const leave = c.register([cmd("a", "mod+a"), cmd("b", ["mod+b", "x"], "ready"), cmd("chord", "g t")]);
    return { c, ran, leave };
  };
  it("runs what fits, the person's rows before the defaults", () => {
    const { c, ran } = make();
    expect(c.press(press("a", { ctrlKey: true }))).toBe(true);
    expect(c.press(press("b", { ctrlKey: true }))).toBe(false);
    c.set({ ready: true });
    expect(c.press(press("b", { ctrlKey: true }))).toBe(true);
    c.rows = [{ key: "mod+a", command: "b" }];
    c.press(press("a", { ctrlKey: true }));
    expect(ran).toEqual(["a", "b", "b"]);
    expect(c.keyOf("b")).toBe("mod+a");
  });
  it("takes keys away and tells bad rows", () => {
    const { c, ran } = make();
    c.rows = [
      { key: "mod+a", command: "-a" },
      { key: "mod+nonsense", command: "a" },
      { key: "mod+1", command: "a", when: "&&" },
      { key: "mod+2", command: "" },
    ];
    expect(c.press(press("a", { ctrlKey: true }))).toBe(false);
    expect(ran).toEqual([]);
    expect(c.bad.map((b) => b.row)).toEqual([1, 2, 3]);
    expect(c.keyOf("a")).toBeUndefined();
  });
  it("waits for a second stroke", () => {
    const { c, ran } = make();
    expect(c.press(press("g"))).toBe(true);
    expect(c.pending?.key).toBe("g");
    expect(c.press(press("t"))).toBe(true);
    expect(ran).toEqual(["chord"]);
    c.press(press("g"));
    expect(c.press(press("q"))).toBe(false);
    expect(c.pending).toBeUndefined();
  });
  it("offers what can be done, and nothing of what has left", () => {
    const { c, leave } = make();
    expect(c.available().map((x) => x.id)).toEqual(["a", "chord"]);
    const errors: unknown[] = [];
    c.onerror = (e) => errors.push(e);
    const gone = c.register([{ id: "a", title: "over", group: "g", run: () => Promise.reject(new Error("no")) }]);
    expect(c.get("a")!.title).toBe("over");
    expect(c.run("a")).toBe(true);
    gone();
    leave();
    expect(c.available()).toEqual([]);
    expect(c.run("a")).toBe(false);
  });
});
