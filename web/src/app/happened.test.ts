import { describe, expect, it } from "vitest";
import type { Thread } from "../api/types.gen";
import { happened, wanting } from "./happened";

const t = (o: Partial<Thread>) => ({ id: "1", state: "running", ...o }) as Thread;

describe("what is worth telling", () => {
  it("is a question, an end and a failure, once", () => {
    for (const [old, now, want] of [
      [t({}), t({ state: "waiting", asking: "approval" }), "approval"],
      [t({ state: "waiting", asking: "approval" }), t({ state: "waiting", asking: "approval", title: "x" }), undefined],
      [t({ state: "waiting", asking: "approval" }), t({ state: "waiting", asking: "question" }), "question"],
      [t({}), t({ state: "waiting", asking: "plan" }), "plan"],
      [t({}), t({ state: "completed" }), "done"],
      [t({ state: "completed" }), t({ state: "completed", unread: true }), undefined],
      [t({}), t({ state: "failed" }), "failed"],
      [t({}), t({ state: "interrupted" }), undefined],
      [undefined, t({ state: "completed" }), undefined],
      [undefined, t({ state: "waiting", asking: "question" }), "question"],
      [t({}), t({ state: "completed", archivedAt: 1 }), undefined],
    ] as const)
      expect(happened(old, now)).toBe(want);
  });
  it("counts what waits for a person", () => {
    expect([t({ state: "waiting" }), t({ state: "completed", unread: true }), t({ state: "completed" }), t({ unread: true, archivedAt: 1 })].map(wanting)).toEqual([true, true, false, false]);
  });
});
