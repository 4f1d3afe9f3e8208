import { createCssVariablesTheme, createHighlighterCore } from "@shikijs/core";
import { createJavaScriptRegexEngine } from "@shikijs/engine-javascript";
import { describe, expect, it } from "vitest";
import { pieces } from ".";
import { kinds, tokenRow } from "./protocol";

describe("pieces", () => {
  it("cuts by tokens and marks", () => {
    expect(pieces("let a = 1", [3, 1, 5, 0, 1, 4], [[4, 9]])).toEqual([
      { text: "let", look: "k1" },
      { text: " ", look: "" },
      { text: "a = ", look: " mark" },
      { text: "1", look: "k4 mark" },
    ]);
    expect(pieces("ab", undefined)).toEqual([{ text: "ab", look: "" }]);
    expect(pieces("", [])).toEqual([]);
    expect(pieces("ab", [5, 1])).toEqual([{ text: "ab", look: "k1" }]);
  });
});

describe("the theme's names", () => {
  it("are the ones the kinds list", async () => {
    const h = await createHighlighterCore({ themes: [createCssVariablesTheme({ name: "ours", variablePrefix: "--", fontStyle: false })], langs: [(await import("@shikijs/langs/go")).default], engine: createJavaScriptRegexEngine() });
    const rows = h.codeToTokensBase('func Total() string { return "x" } // sum', { lang: "go", theme: "ours", tokenizeTimeLimit: 0 }).map(tokenRow);
    const named = rows[0]!.flatMap((v, i) => (i % 2 ? [kinds[v]] : []));
    expect(named).toContain("token-keyword");
    expect(named).toContain("token-function");
    expect(named).toContain("token-string-expression");
    expect(named).toContain("token-comment");
    expect(rows[0]!.reduce((n, v, i) => n + (i % 2 ? 0 : v), 0)).toBe(41);
  });
});
