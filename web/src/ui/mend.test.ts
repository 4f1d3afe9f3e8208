import { describe, expect, it } from "vitest";
import { mend } from "./mend";

describe("mend", () => {
  it.each([
    ["so **bold", "so **bold**"],
    ["so **bold**", "so **bold**"],
    ["so **", "so "],
    ["an *em", "an *em*"],
    ["* a list\n* of two", "* a list\n* of two"],
    ["2 * 3 = 6", "2 * 3 = 6"],
    ["run `npm te", "run `npm te`"],
    ["a `*` and", "a `*` and"],
    ["see [the docs](https://exa", "see the docs"],
    ["see [the do", "see the do"],
    ["see [x](https://example.com) now", "see [x](https://example.com) now"],
    ["an array `a[0", "an array `a[0`"],
    ["**bold with `code", "**bold with `code`"],
    ["~~old", "~~old~~"],
    ["done\n", "done\n"],
    ["", ""],
  ])("%j", (raw, want) => {
    expect(mend(raw)).toBe(want);
  });
});
