import { describe, expect, it } from "vitest";
import { grouped, moved } from "./list";
import { asked, askOf, offeredScopes, type PaletteScope, turned } from "./scopes";

const ids = (files: boolean) => offeredScopes(files).map((s) => s.id);

describe("scopes", () => {
  it("offers files in a project alone", () => {
    expect(ids(true)).toEqual(["all", "commands", "threads", "files", "messages"]);
    expect(ids(false)).toEqual(["all", "commands", "threads", "messages"]);
    expect(askOf("files")).toBe("Find a file of this project");
  });
  it("takes a sign in front of the text for a scope, where all is looked through", () => {
    for (const [text, chosen, files, scope, query, rest] of [
      ["", "all", true, "all", "", ""],
      [" a b ", "all", true, "all", "a b", " a b "],
      [">", "all", true, "commands", "", ""],
      ["> new", "all", true, "commands", "new", " new"],
      ["#a", "all", true, "threads", "a", "a"],
      ["/a", "all", true, "files", "a", "a"],
      ["/a", "all", false, "all", "/a", "/a"],
      ["?a", "all", true, "messages", "a", "a"],
      ["a>", "all", true, "all", "a>", "a>"],
      [">a", "threads", true, "threads", ">a", ">a"],
    ] as [string, PaletteScope, boolean, PaletteScope, string, string][])
      expect(asked(text, chosen, offeredScopes(files)), `${text} in ${chosen}`).toEqual({ scope, query, rest });
  });
  it("turns around both ends", () => {
    for (const [files, from, by, to] of [
      [true, "all", 1, "commands"],
      [true, "messages", 1, "all"],
      [true, "all", -1, "messages"],
      [false, "threads", 1, "messages"],
    ] as [boolean, PaletteScope, number, PaletteScope][])
      expect(turned(offeredScopes(files), from, by), `${by} from ${from}`).toBe(to);
  });
});

describe("list", () => {
  it("groups neighbours and keeps places", () => {
    const row = (group: string, id: string) => ({ group, id });
    expect(grouped([])).toEqual([]);
    expect(grouped([row("a", "1"), row("a", "2"), row("b", "3")])).toEqual([
      { name: "a", rows: [{ row: row("a", "1"), i: 0 }, { row: row("a", "2"), i: 1 }] },
      { name: "b", rows: [{ row: row("b", "3"), i: 2 }] },
    ]);
  });
  it("goes where the key says, and never outside", () => {
    for (const [key, ctrlKey, at, n, want] of [
      ["ArrowDown", false, 0, 3, 1],
      ["ArrowDown", false, 2, 3, 0],
      ["ArrowUp", false, 0, 3, 2],
      ["ArrowDown", false, 0, 0, 0],
      ["ArrowUp", false, 0, 0, 0],
      ["PageDown", false, 1, 20, 9],
      ["PageDown", false, 15, 20, 19],
      ["PageDown", false, 0, 0, 0],
      ["PageUp", false, 9, 20, 1],
      ["PageUp", false, 3, 20, 0],
      ["Home", true, 7, 20, 0],
      ["End", true, 7, 20, 19],
      ["End", true, 0, 0, 0],
      ["Home", false, 7, 20, undefined],
      ["End", false, 7, 20, undefined],
      ["Enter", false, 7, 20, undefined],
      ["a", false, 7, 20, undefined],
    ] as [string, boolean, number, number, number | undefined][])
      expect(moved({ key, ctrlKey }, at, n), `${key} at ${at} of ${n}`).toBe(want);
  });
});
