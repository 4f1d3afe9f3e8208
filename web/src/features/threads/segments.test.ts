import { describe, expect, it } from "vitest";
import type { Item, Turn, TurnState } from "../../api/types.gen";
import { groupByTurn, segments } from "./segments";

const item = (id: string, kind: Item["kind"], turnId = "u"): Item => ({ id, threadId: "t", turnId, ordinal: 1, kind, createdAt: 1, updatedAt: 1 });
const turn = (id: string, state: TurnState): Turn => ({ id, threadId: "t", ordinal: 1, state, queuedAt: 1 });

describe("segments", () => {
  const items = [item("m", "agent_message"), item("a", "tool_call"), item("b", "reasoning"), item("c", "tool_call"), item("d", "tool_call"), item("n", "agent_message")];
  it("folds many steps of a finished turn", () => {
    expect(segments(items, turn("u", "completed")).map((s) => s.kind)).toEqual(["item", "steps", "item"]);
  });
  it("shows every step while the turn runs, and few steps always", () => {
    expect(segments(items, turn("u", "running"))).toHaveLength(6);
    expect(segments(items.slice(0, 3), turn("u", "completed"))).toHaveLength(3);
  });
  it("never hides a pending approval", () => {
    const pending: Item = { ...item("p", "approval"), approval: { state: "pending", title: "x", options: [] } };
    expect(segments([...items.slice(1, 5), pending], turn("u", "interrupted")).at(-1)).toMatchObject({ kind: "item", item: { id: "p" } });
  });
});

describe("groupByTurn", () => {
  it("leaves queued turns out and keeps items of unknown turns", () => {
    const g = groupByTurn([turn("u", "running"), turn("q", "queued")], [item("a", "user_message"), item("b", "user_message", "q"), item("c", "notice", "zz")]);
    expect(g.map((x) => [x.id, x.items.length])).toEqual([
      ["u", 1],
      ["zz", 1],
    ]);
  });
});
