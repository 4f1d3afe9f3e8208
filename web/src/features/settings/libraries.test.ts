import { expect, it } from "vitest";
import goMod from "../../../../go.mod?raw";
import pack from "../../../package.json";
import { libraries } from "./libraries";

const tools = ["@sveltejs/vite-plugin-svelte", "axe-core", "svelte-check", "typescript", "vite", "vitest"];
const tests = ["github.com/chromedp/cdproto", "github.com/chromedp/chromedp", "github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "go.uber.org/goleak", "pgregory.net/rapid"];

it("names every library that is shipped, and no other", () => {
  const page = Object.keys({ ...pack.devDependencies, ...(pack as { dependencies?: object }).dependencies }).filter((n) => !tools.includes(n));
  const direct = [...goMod.matchAll(/^\t([^\s]+) v[^\s]+$/gm)].map((m) => m[1]!).filter((n) => !tests.includes(n));
  expect(direct.length).toBeGreaterThan(5);
  expect(libraries.map((l) => l[0]).sort(), "keep libraries.ts in step with go.mod and package.json; list tools and what only tests use above").toEqual([...page, ...direct].sort());
});
