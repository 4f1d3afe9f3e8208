import { describe, expect, it } from "vitest";
import { Quiet } from "./quiet.svelte";

describe("quiet", () => {
  it("nested holds restore once, at the outermost exit, whatever the order", () => {
    const q = new Quiet();
    const a = q.enter();
    const b = q.enter();
    a();
    a();
    expect(q.on).toBe(true);
    b();
    expect(q.on).toBe(false);
    b();
    const c = q.enter();
    expect(q.on).toBe(true);
    c();
    expect(q.on).toBe(false);
  });
});
