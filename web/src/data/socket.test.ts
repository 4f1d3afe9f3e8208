import { beforeEach, describe, expect, it, vi } from "vitest";
import type { ClientFrame, ServerFrame } from "../api/types.gen";
import { type Post, Socket, type SocketHost, type Topic, type WebSocketLike, backoff } from "./socket";

class Fake implements WebSocketLike {
  onopen: (() => void) | null = null;
  onmessage: ((e: { data: unknown }) => void) | null = null;
  onclose: ((e: { code: number }) => void) | null = null;
  onerror: (() => void) | null = null;
  sent: ClientFrame[] = [];
  closed = false;
  send(data: string) {
    this.sent.push(JSON.parse(data) as ClientFrame);
  }
  close() {
    this.closed = true;
  }
  say(f: ServerFrame) {
    this.onmessage?.({ data: JSON.stringify(f) });
  }
  take(): ClientFrame[] {
    return this.sent.splice(0);
  }
}

let opened: Fake[] = [];
const host: SocketHost = {
  open: () => {
    const f = new Fake();
    opened.push(f);
    return f;
  },
  setTimeout: (f, ms) => setTimeout(f, ms),
  clearTimeout: (t) => clearTimeout(t as ReturnType<typeof setTimeout>),
  random: () => 0.5,
};

beforeEach(() => {
  opened = [];
  vi.useFakeTimers();
});

function make(topic?: Partial<Topic>) {
  const states: string[] = [];
  const unauthorized = vi.fn();
  const frames: ServerFrame[] = [];
  const s = new Socket({ url: "ws://x/ws", token: () => "T", host, onState: (x) => states.push(x), onUnauthorized: unauthorized });
  s.subscribe({ topic: "shell", cursor: () => undefined, frame: (f) => void frames.push(f), ...topic });
  s.start();
  return { s, states, frames, unauthorized };
}

function welcome(): Fake {
  const ws = opened.at(-1)!;
  ws.onopen?.();
  ws.say({ type: "welcome" });
  return ws;
}

describe("socket", () => {
  it("hands binary messages to their subscription, and sends for one that lives only", () => {
    const got: number[] = [];
    const posts: Post[] = [];
    const { s } = make();
    const leave = s.subscribe({ topic: "terminal:x", cursor: () => 7, tail: 100, frame: () => {}, attached: (p) => void posts.push(p), bytes: (m) => void got.push(m.byteLength) });
    const ws = welcome();
    const [, , subscribe] = ws.take();
    expect(subscribe).toEqual({ type: "subscribe", id: posts[0]!.id, topic: "terminal:x", after: 7, tail: 100 });
    const message = (id: string) => new Uint8Array([1, id.length, ...[...id].map((c) => c.charCodeAt(0)), 0, 0, 0, 0, 0, 0, 0, 0, 42]).buffer;
    ws.onmessage?.({ data: message(posts[0]!.id) });
    ws.onmessage?.({ data: message("nobody") });
    ws.onmessage?.({ data: new ArrayBuffer(1) });
    expect(got).toEqual([13]);
    posts[0]!.send({ type: "resize", id: posts[0]!.id, cols: 1, rows: 2 });
    expect(ws.take()).toEqual([{ type: "resize", id: posts[0]!.id, cols: 1, rows: 2 }]);
    leave();
    ws.take();
    posts[0]!.send({ type: "resize" });
    ws.onmessage?.({ data: message(posts[0]!.id) });
    expect(ws.take()).toEqual([]);
    expect(got).toEqual([13]);
  });

  it("says hello first, and subscribes at once where there is nothing to resume after", () => {
    const { s, states } = make();
    s.subscribe({ topic: "thread:x", cursor: () => 7, frame: () => {} });
    s.subscribe({ topic: "thread:y", cursor: () => undefined, frame: () => {} })();
    const leave = s.subscribe({ topic: "thread:z", cursor: () => undefined, frame: () => {} });
    const ws = opened[0]!;
    expect(ws.sent).toEqual([]);
    ws.onopen?.();
    expect(ws.take()).toEqual([
      { type: "hello", token: "T" },
      { type: "subscribe", id: "s1", topic: "shell" },
      { type: "subscribe", id: "s4", topic: "thread:z" },
    ]);
    leave();
    expect(ws.take()).toEqual([{ type: "unsubscribe", id: "s4" }]);
    ws.say({ type: "welcome" });
    expect(ws.take()).toEqual([{ type: "subscribe", id: "s2", topic: "thread:x", after: 7 }]);
    expect(states).toEqual(["connecting", "open"]);
  });

  it("comes back by itself and resumes after the cursor", () => {
    let cursor: number | undefined;
    const { states } = make({ cursor: () => cursor });
    welcome();
    cursor = 7;
    opened[0]!.onclose?.({ code: 1006 });
    expect(states.at(-1)).toBe("waiting");
    vi.advanceTimersByTime(backoff(0, 0.5));
    expect(opened).toHaveLength(2);
    expect(welcome().take().at(-1)).toEqual({ type: "subscribe", id: "s1", topic: "shell", after: 7 });
  });

  it("backs off to a bound and starts over after a welcome", () => {
    expect([0, 1, 5, 50].map((n) => backoff(n, 0.5))).toEqual([200, 400, 6400, 8000]);
    expect(backoff(0, 0)).toBe(160);
    make();
    for (const wait of [200, 400, 800]) {
      opened.at(-1)!.onclose?.({ code: 1006 });
      const n = opened.length;
      vi.advanceTimersByTime(wait - 1);
      expect(opened).toHaveLength(n);
      vi.advanceTimersByTime(1);
      expect(opened).toHaveLength(n + 1);
    }
    welcome();
    const n = opened.length;
    opened.at(-1)!.onclose?.({ code: 1006 });
    vi.advanceTimersByTime(200);
    expect(opened).toHaveLength(n + 1);
  });

  it("asks for a snapshot under a new id after resync, and drops late frames of the old one", () => {
    const { frames } = make({ cursor: () => 9 });
    const ws = welcome();
    ws.take();
    ws.say({ type: "resync", id: "s1" });
    expect(ws.take()).toEqual([
      { type: "unsubscribe", id: "s1" },
      { type: "subscribe", id: "s2", topic: "shell" },
    ]);
    ws.say({ type: "event", id: "s1" });
    expect(frames).toEqual([]);
    ws.say({ type: "synchronized", id: "s2" });
    expect(frames).toHaveLength(1);
  });

  it("asks again when a topic missed a frame", () => {
    make({ frame: () => "again" });
    const ws = welcome();
    ws.take();
    ws.say({ type: "delta", id: "s1" });
    expect(ws.take().at(-1)).toEqual({ type: "subscribe", id: "s2", topic: "shell" });
  });

  it("notices a dead connection by its heartbeat", () => {
    const { states } = make();
    const ws = welcome();
    ws.take();
    vi.advanceTimersByTime(25_000);
    expect(ws.take()).toEqual([{ type: "ping" }]);
    ws.say({ type: "pong" });
    vi.advanceTimersByTime(25_000);
    expect(ws.take()).toEqual([{ type: "ping" }]);
    vi.advanceTimersByTime(10_000);
    expect(ws.closed).toBe(true);
    expect(states.at(-1)).toBe("waiting");
  });

  it("retries a subscription that was too early, and gives up on one that is wrong", () => {
    const failed = vi.fn();
    make({ failed });
    const ws = welcome();
    ws.take();
    ws.say({ type: "error", id: "s1", error: { code: "not_ready", message: "migrating" } });
    vi.advanceTimersByTime(200);
    expect(ws.take()).toEqual([{ type: "subscribe", id: "s1", topic: "shell" }]);
    ws.say({ type: "error", id: "s1", error: { code: "not_found", message: "no such thread" } });
    expect(failed).toHaveBeenCalledOnce();
  });

  it("takes another welcome as news, and asks again only for what was refused", () => {
    const { s, states } = make();
    s.subscribe({ topic: "thread:x", cursor: () => undefined, frame: () => {} });
    const ws = welcome();
    ws.take();
    ws.say({ type: "error", id: "s2", error: { code: "not_ready", message: "migrating" } });
    ws.say({ type: "welcome" });
    expect(ws.take()).toEqual([{ type: "subscribe", id: "s2", topic: "thread:x" }]);
    vi.advanceTimersByTime(5_000);
    expect(ws.take()).toEqual([]);
    expect(states).toEqual(["connecting", "open"]);
  });

  it("does not loop on a token that is not taken", () => {
    const { unauthorized } = make();
    opened[0]!.onclose?.({ code: 4401 });
    vi.advanceTimersByTime(60_000);
    expect(unauthorized).toHaveBeenCalledOnce();
    expect(opened).toHaveLength(1);
  });

  it("stop ends everything; poke does not wait", () => {
    const { s, states } = make();
    opened[0]!.onclose?.({ code: 1006 });
    s.poke();
    expect(opened).toHaveLength(2);
    s.stop();
    vi.advanceTimersByTime(60_000);
    expect(opened).toHaveLength(2);
    expect(states.at(-1)).toBe("off");
    s.poke();
    expect(opened).toHaveLength(2);
  });
});
