import { describe, expect, it } from "vitest";
import { fileFor } from "./colours";
import { languageOf } from "./languages";

describe("fileFor", () => {
  it.each([
    ["ts", "typescript"],
    ["TypeScript", "typescript"],
    ["js", "javascript"],
    ["go", "go"],
    ["golang", "go"],
    ["bash", "shellscript"],
    ["console", "shellscript"],
    ["c++", "c"],
    ["dockerfile", "docker"],
    ["yaml", "yaml"],
    ["nonsense", ""],
  ])("%s", (lang, grammar) => {
    expect(languageOf(fileFor(lang))).toBe(grammar);
  });
});
