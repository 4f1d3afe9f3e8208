import { describe, expect, it } from "vitest";
import { best, fuzzy, pieces } from "./fuzzy";

describe("fuzzy", () => {
  it("matches letters in order, words in any order, and nothing else", () => {
    for (const [q, t, want] of [
      ["", "anything", true],
      ["ntr", "New thread", true],
      ["thread new", "New thread", true],
      ["stb", "Show or hide the sidebar", true],
      ["xyz", "New thread", false],
      ["dn", "New thread", false],
      ["été", "Un été", true],
    ] as const)
      expect(!!fuzzy(q, t), `${q} in ${t}`).toBe(want);
  });
  it("prefers beginnings of words and whole words", () => {
    const order = (q: string, list: string[]) => best(q, list, (x) => x, () => "", 10).map((x) => x.item);
    expect(order("ter", ["Show the filter", "Terminal", "Later"])[0]).toBe("Terminal");
    expect(order("nt", ["Find a note", "New thread"])[0]).toBe("New thread");
    expect(order("set", ["Reset", "Settings: General"])[0]).toBe("Settings: General");
  });
  it("finds by other words, behind those whose own text fits", () => {
    const r = best("dark", [{ t: "Theme", w: "dark light" }, { t: "Dark mode", w: "" }], (x) => x.t, (x) => x.w, 5);
    expect(r.map((x) => x.item.t)).toEqual(["Dark mode", "Theme"]);
  });
  it("marks what matched", () => {
    expect(pieces("abcd", [1, 2])).toEqual([
      { text: "a", hit: false },
      { text: "bc", hit: true },
      { text: "d", hit: false },
    ]);
    const m = fuzzy("sb", "sideBar")!;
    expect(m.marks).toEqual([0, 4]);
  });
});
