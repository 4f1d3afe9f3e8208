import { afterEach, expect, it, vi } from "vitest";
import type { Item, ServerFrame } from "../api/types.gen";
import type { EnvironmentStore } from "./environment.svelte";
import type { Topic } from "./socket";
import { ThreadStore } from "./thread.svelte";

afterEach(() => vi.unstubAllGlobals());

function opened(): { thread: ThreadStore; say: (f: ServerFrame) => void | "again"; cursor: () => number | undefined } {
  let topic: Topic | undefined;
  const env = { subscribe: (t: Topic) => ((topic = t), () => {}) } as unknown as EnvironmentStore;
  const thread = new ThreadStore(env, "t");
  thread.open();
  const item: Item = { id: "m", threadId: "t", turnId: "u", ordinal: 1, kind: "agent_message", createdAt: 1, updatedAt: 1, text: "", live: true };
  const say = (f: ServerFrame) => topic!.frame(f);
  say({ type: "snapshot", seq: 4, thread: { thread: { id: "t", projectId: "p", title: "", agentId: "demo", permission: "supervised", state: "running", createdAt: 1, updatedAt: 1 }, turns: [], items: [item] } });
  return { thread, say, cursor: () => topic!.cursor() };
}
const delta = (text: string, offset: number): ServerFrame => ({ type: "delta", delta: { itemId: "m", field: "text", text, offset } });
const text = (t: ThreadStore) => t.state.items[0]!.text;

it("draws what streams once a frame, and nothing twice or never", () => {
  const frames: (() => void)[] = [];
  vi.stubGlobal("document", { visibilityState: "visible" });
  vi.stubGlobal("requestAnimationFrame", (f: () => void) => frames.push(f));
  vi.stubGlobal("cancelAnimationFrame", (id: number) => (frames[id - 1] = () => {}));
  const { thread, say, cursor } = opened();
  expect(say(delta("a", 0))).toBeUndefined();
  say(delta("b", 1));
  expect(text(thread)).toBe("");
  expect(frames.length).toBe(1);
  expect(say(delta("x", 9))).toBe("again");
  frames.shift()!();
  expect(text(thread)).toBe("ab");
  // What lasts is drawn at once, with all that came before it.
  say(delta("c", 2));
  say({ type: "event", seq: 5, event: { seq: 5, type: "turn.upserted", at: 1, turn: { id: "u", threadId: "t", ordinal: 1, state: "running", queuedAt: 1 } } });
  expect([text(thread), thread.state.turns.length, cursor()]).toEqual(["abc", 1, 5]);
  frames.forEach((f) => f());
  expect(text(thread)).toBe("abc");
});

it("waits for no frame in a window that makes none", () => {
  const none = vi.fn();
  vi.stubGlobal("requestAnimationFrame", none);
  vi.stubGlobal("document", { visibilityState: "hidden" });
  const { thread, say } = opened();
  say(delta("a", 0));
  say(delta("b", 1));
  expect(text(thread)).toBe("ab");
  expect(none).not.toHaveBeenCalled();
});
