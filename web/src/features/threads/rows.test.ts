import { describe, expect, it } from "vitest";
import type { Item, Turn, TurnState } from "../../api/types.gen";
import { Rows, type Source } from "./rows";

let ordinal = 0;
const item = (id: string, kind: Item["kind"], turnId = "u1", more: Partial<Item> = {}): Item => ({ id, threadId: "t", turnId, ordinal: ++ordinal, kind, text: kind.endsWith("message") ? id : undefined, createdAt: 1, updatedAt: 1, ...more });
const turn = (id: string, state: TurnState): Turn => ({ id, threadId: "t", ordinal: Number(id.slice(1)), state, queuedAt: 1 });
const source = (turns: Turn[], items: Item[], more: Partial<Source> = {}): Source => ({ turns, items, pending: [], earlier: false, later: false, open: new Set(), ...more });
const keys = (r: Rows, s: Source) => r.update(s).map((x) => x.key);

const worked = () => [item("p", "user_message"), item("m", "agent_message"), item("a", "tool_call"), item("b", "reasoning"), item("c", "tool_call"), item("d", "tool_call"), item("n", "agent_message")];

describe("Rows", () => {
  it("folds the way to the answer of a completed turn, and opens it", () => {
    const r = new Rows();
    const items = worked();
    const turns = [turn("u1", "completed")];
    expect(keys(r, source(turns, items))).toEqual(["head", "p", "fold u1", "n", "footer u1", "tail"]);
    expect(keys(r, source(turns, items, { open: new Set(["fold u1"]) }))).toEqual(["head", "p", "fold u1", "m", "a", "b", "c", "d", "n", "footer u1", "tail"]);
  });

  it("leaves an answer without steps as it is", () => {
    expect(keys(new Rows(), source([turn("u1", "completed")], [item("p", "user_message"), item("n", "agent_message")]))).toEqual(["head", "p", "n", "footer u1", "tail"]);
  });

  it("tells a revert behind the turn after which it was made", () => {
    const revert = item("r", "revert", "u1", { revert: { turnId: "u1", turn: 1, state: "done", files: ["a"], total: 1 } });
    expect(keys(new Rows(), source([turn("u1", "completed"), turn("u2", "running")], [...worked(), revert, item("q", "user_message", "u2")]))).toEqual(["head", "p", "fold u1", "n", "footer u1", "r", "q", "working u2", "tail"]);
  });

  it("keeps what a failed turn said in sight and groups its steps", () => {
    expect(keys(new Rows(), source([turn("u1", "failed")], worked()))).toEqual(["head", "p", "m", "steps a", "n", "reason u1", "footer u1", "tail"]);
  });

  it("keeps the newest steps of a running turn in sight", () => {
    const items = [...worked().slice(0, 6), item("e", "tool_call"), item("f", "tool_call")];
    expect(keys(new Rows(), source([turn("u1", "running")], items))).toEqual(["head", "p", "m", "steps a", "d", "e", "f", "working u1", "tail"]);
    expect(keys(new Rows(), source([turn("u1", "running")], items.slice(0, 5)))).toEqual(["head", "p", "m", "a", "b", "c", "working u1", "tail"]);
  });

  it("tells an approval at its tool call, and leaves what waits to the card", () => {
    const approval = (state: "pending" | "approved", toolItemId?: string) => ({ state, title: "x", options: [], toolItemId });
    const rows = new Rows().update(source([turn("u1", "waiting")], [item("a", "tool_call"), item("x", "approval", "u1", { approval: approval("approved", "a") }), item("b", "tool_call"), item("y", "approval", "u1", { approval: approval("pending", "b") }), item("z", "approval", "u1", { approval: approval("approved") })]));
    expect(rows.map((x) => x.key)).toEqual(["head", "a", "b", "z", "working u1", "tail"]);
    expect(rows.map((x) => x.kind === "item" && x.waiting)).toEqual([false, false, true, false, false, false]);
  });

  it("leaves queued turns out and keeps items of unknown turns where they came", () => {
    const items = [item("o", "notice", "zz"), item("a", "user_message"), item("q", "user_message", "u2")];
    const r = new Rows();
    expect(keys(r, source([turn("u1", "running"), turn("u2", "queued")], items))).toEqual(["head", "o", "a", "working u1", "tail"]);
    expect(keys(r, source([turn("u1", "completed"), turn("u2", "running")], items))).toEqual(["head", "o", "a", "footer u1", "q", "working u2", "tail"]);
  });

  it("changes one row for one delta, whatever the length", () => {
    const turns: Turn[] = [];
    let items: Item[] = [];
    for (let n = 1; n <= 2000; n++) {
      turns.push(turn(`u${n}`, n < 2000 ? "completed" : "running"));
      items.push(item(`p${n}`, "user_message", `u${n}`), item(`t${n}`, "tool_call", `u${n}`), item(`m${n}`, "agent_message", `u${n}`, { live: n === 2000 }));
    }
    const r = new Rows();
    const before = r.update(source(turns, items));
    before.forEach((x, i) => ((x.height = 100 + i), (x.measured = true)));
    items = items.slice();
    items[items.length - 1] = { ...items.at(-1)!, text: "more" };
    const after = r.update(source(turns, items));
    // The working line tells of the live item, too.
    expect(after.filter((x, i) => x !== before[i]).map((x) => x.key)).toEqual(["m2000", "working u2000"]);
    const m = after.find((x) => x.key === "m2000")!;
    expect([m.height, m.measured]).toEqual([before.find((x) => x.key === "m2000")!.height, true]);
  });

  it("keeps rows that were there when earlier ones come, and forgets what is removed", () => {
    const late = [item("p2", "user_message", "u2", { ordinal: 50 }), item("m2", "agent_message", "u2", { ordinal: 51 })];
    const r = new Rows();
    const before = r.update(source([turn("u2", "completed")], late));
    const early = [item("p1", "user_message", "u1", { ordinal: 1 }), item("m1", "agent_message", "u1", { ordinal: 2 })];
    const after = r.update(source([turn("u1", "completed"), turn("u2", "completed")], [...early, ...late]));
    expect(after.map((x) => x.key)).toEqual(["head", "p1", "m1", "footer u1", "p2", "m2", "footer u2", "tail"]);
    expect(after.find((x) => x.key === "m2")).toBe(before.find((x) => x.key === "m2"));
    expect(keys(r, source([turn("u1", "completed")], early))).toEqual(["head", "p1", "m1", "footer u1", "tail"]);
  });

  it("agrees with a fresh look after any change", () => {
    let seed = 11;
    const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
    const states: TurnState[] = ["queued", "running", "waiting", "completed", "failed", "interrupted"];
    const kinds: Item["kind"][] = ["user_message", "agent_message", "tool_call", "reasoning", "notice"];
    let turns: Turn[] = [];
    let items: Item[] = [];
    const r = new Rows();
    for (let n = 0; n < 500; n++) {
      const id = `u${1 + random(6)}`;
      if (random(3) === 0) {
        const t = turn(id, states[random(states.length)]!);
        turns = [...turns.filter((x) => x.id !== id), ...(random(5) ? [t] : [])].sort((a, b) => a.ordinal - b.ordinal);
      } else if (items.length && random(3) === 0) {
        const at = random(items.length);
        items = random(3) ? items.map((x, i) => (i === at ? { ...x, text: `${n}` } : x)) : items.filter((_, i) => i !== at);
      } else items = [...items, item(`i${n}`, kinds[random(kinds.length)]!, id)];
      expect(keys(r, source(turns, items))).toEqual(keys(new Rows(), source(turns, items)));
    }
  });
});
