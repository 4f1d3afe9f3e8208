import { describe, expect, it } from "vitest";
import { plainTerminal } from "./ansi";

describe("plainTerminal", () => {
  it.each([
    ["plain\ntext\n", "plain\ntext\n"],
    ["\u001b[1;32mok\u001b[0m 3 passed", "ok 3 passed"],
    ["\u001b]8;;https://example.com\u0007link\u001b]8;;\u0007", "link"],
    ["a\r\nb\r\n", "a\nb\n"],
    ["10%\r50%\r100%", "100%"],
    ["downloading\rdone", "doneloading"],
    ["cut \u001b[3", "cut "],
    ["bell\u0007 tab\tkept", "bell tab\tkept"],
  ])("%j", (from, to) => {
    expect(plainTerminal(from)).toBe(to);
  });
});
