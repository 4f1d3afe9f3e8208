import { expect, it } from "vitest";
import { joinPath } from "./words";

it("joins a project's file to its folder in the environment's own form", () => {
  expect(joinPath("/home/dev/shop", "src/a b.go")).toBe("/home/dev/shop/src/a b.go");
  expect(joinPath("/", "a")).toBe("/a");
  expect(joinPath("C:\\Users\\dev\\", "src/a.go")).toBe("C:\\Users\\dev\\src\\a.go");
  expect(joinPath("\\\\wsl.localhost\\Ubuntu\\srv", "a/b")).toBe("\\\\wsl.localhost\\Ubuntu\\srv\\a\\b");
});
