import { describe, expect, it } from "vitest";
import type { DiffFile } from "../api/types.gen";
import { changedWords, linesOf, noteOf, pairsOf, partners, treeOf } from "./diff";

const hunk = (lines: string[]) => ({ oldStart: 10, oldLines: 0, newStart: 20, newLines: 0, lines });

describe("hunks", () => {
  it("numbers both sides", () => {
    const l = linesOf(hunk([" a", "-b\r", "+c", "+d", " e"]));
    expect(l.map((x) => [x.sign, x.old, x.new, x.text])).toEqual([
      [" ", 10, 20, "a"],
      ["-", 11, undefined, "b"],
      ["+", undefined, 21, "c"],
      ["+", undefined, 22, "d"],
      [" ", 12, 23, "e"],
    ]);
  });
  it("puts old beside new", () => {
    const p = pairsOf(linesOf(hunk(["-a", "-b", "+c", " d", "+e", "-f", "+g"])));
    expect(p.map((x) => [x.left?.text, x.right?.text])).toEqual([
      ["a", "c"],
      ["b", undefined],
      ["d", "d"],
      [undefined, "e"],
      ["f", "g"],
    ]);
    const lines = linesOf(hunk(["-a", "+c", " d"]));
    expect(partners(lines).get(lines[0]!)).toBe(lines[1]);
    expect(partners(lines).has(lines[2]!)).toBe(false);
  });
});

describe("words", () => {
  const show = (s: string, r: readonly (readonly [number, number])[]) => r.map(([a, b]) => s.slice(a, b));
  it("marks what changed", () => {
    const a = "const total = sum(items);";
    const b = "const total = sum(items, discount);";
    const m = changedWords(a, b);
    expect(show(a, m.a)).toEqual([]);
    expect(show(b, m.b)).toEqual([", discount"]);
    const n = changedWords("return foo(a, b)", "return bar(a, c)");
    expect(show("return foo(a, b)", n.a)).toEqual(["foo", "b"]);
  });
  it("marks nothing in lines that share nothing", () => {
    expect(changedWords("alpha beta gamma", "one two three")).toEqual({ a: [], b: [] });
    expect(changedWords("x", "x")).toEqual({ a: [], b: [] });
  });
  it("bounds its work", () => {
    const a = "a b ".repeat(400);
    const began = changedWords(a, a + "c");
    expect(began.b).toEqual([[1600, 1601]]);
  });
});

describe("files without text", () => {
  const f = (more: Partial<DiffFile>): DiffFile => ({ path: "x", status: "modified", additions: 0, deletions: 0, ...more });
  it("says what they are", () => {
    expect(noteOf(f({ binary: true, oldBytes: 1024, newBytes: 2048 }))).toBe("Binary file (1.0 KB → 2.0 KB), not shown.");
    expect(noteOf(f({ status: "mode", oldMode: "100644", newMode: "100755" }))).toBe("Mode: plain → executable.");
    expect(noteOf(f({ status: "renamed", oldPath: "y" }))).toBe("Renamed without other changes.");
    expect(noteOf(f({ oldCommit: "1234567890abcdef", newCommit: "fedcba0987654321" }))).toBe("Submodule: 1234567890 → fedcba0987");
    expect(noteOf(f({ status: "added" }))).toBe("Empty file.");
    expect(noteOf(f({}), true)).toBe("Only white space changed.");
    expect(noteOf(f({ pending: true }))).toBe("");
    expect(noteOf(f({ hunks: [hunk(["+a"])] }))).toBe("");
  });
});

describe("tree", () => {
  it("folds chains of folders and puts folders first", () => {
    const t = treeOf(["z.txt", "web/src/a.ts", "web/src/b.ts", "internal/api/x.go"]);
    expect(t.map((r) => `${"  ".repeat(r.depth)}${r.name}${r.file === undefined ? "/" : ""}`)).toEqual(["z.txt", "web/src/", "  a.ts", "  b.ts", "internal/api/", "  x.go"]);
  });
});
