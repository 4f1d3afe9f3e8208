import { expect, it } from "vitest";
import { exactly, joinPath, moment } from "./words";

it("joins a project's file to its folder in the environment's own form", () => {
  expect(joinPath("/home/dev/shop", "src/a b.go")).toBe("/home/dev/shop/src/a b.go");
  expect(joinPath("/", "a")).toBe("/a");
  expect(joinPath("C:\\Users\\dev\\", "src/a.go")).toBe("C:\\Users\\dev\\src\\a.go");
  expect(joinPath("\\\\wsl.localhost\\Ubuntu\\srv", "a/b")).toBe("\\\\wsl.localhost\\Ubuntu\\srv\\a\\b");
});

it("writes numbers with all their digits, and times with their day when it is not today", () => {
  expect([0, 999, 1000, 12345, 1234567].map(exactly)).toEqual(["0", "999", "1,000", "12,345", "1,234,567"]);
  const now = new Date(2026, 4, 7, 15, 30).getTime();
  const at = (y: number, m: number, d: number) => moment(new Date(y, m, d, 9, 5).getTime(), now);
  const time = at(2026, 4, 7);
  expect(time).toMatch(/^0?9.05( AM)?$/);
  expect(at(2026, 4, 6)).toMatch(/6.*9.05/);
  expect(at(2026, 4, 6)).not.toContain("2026");
  expect(at(2025, 4, 6)).toMatch(/2025.*9.05/);
});
