import { describe, expect, it } from "vitest";
import html from "../../index.html?raw";
import logo from "./Logo.svelte?raw";
import tokens from "./tokens.css?raw";

/** The values of a name in the order in which they are written: light, dark by the system, dark by choice. */
const all = (text: string, name: string) => [...text.matchAll(new RegExp(`${name}: ([^;]+);`, "g"))].map((m) => m[1]);

describe("the frame before the script", () => {
  it("has the colours of the tokens", () => {
    for (const [boot, token] of [
      ["--boot-bg", "--bg"],
      ["--boot-side", "--bg-rail"],
      ["--boot-line", "--line"],
      ["--boot-text", "--text"],
      ["--boot-deck", "--accent"],
    ] as const)
      expect(all(html, boot), boot).toEqual(all(tokens, token));
  });
  it("has the logo's paths", () => {
    for (const m of logo.matchAll(/ d="([^"]+)"/g)) expect(html).toContain(m[1]);
  });
});
