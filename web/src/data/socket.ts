// One WebSocket that stays up: hello with the token, subscriptions that resume
// after their cursor, back-off with jitter, a heartbeat. It never replays a
// command; commands go over HTTP with a command id.
import type { ClientFrame, Error as ApiError, ServerFrame } from "../api/types.gen";
import { isUnauthorized } from "./errors";

export type LinkState = "off" | "connecting" | "open" | "waiting";

/** A Topic consumes the frames of one subscription. */
export interface Topic {
  topic: string;
  /** The last sequence number applied, or undefined to ask for a snapshot. */
  cursor(): number | undefined;
  /** Returns "again" when a frame is missing: a snapshot is asked for. */
  frame(f: ServerFrame): void | "again";
  /** The server refused the subscription for good. */
  failed?(e: ApiError): void;
  /** Bounds the snapshot of a terminal, in bytes. */
  tail?: number;
  /** A new subscription begins, at a (re)connect and after a resync; what is sent by an older one goes nowhere. */
  attached?(post: Post): void;
  /** A binary message (frame.ts) of this subscription; "again" as for frame. */
  bytes?(message: ArrayBuffer): void | "again";
}

/** Post sends what bears the id of one subscription; it does nothing once that is over. */
export interface Post {
  id: string;
  send(data: ClientFrame | Uint8Array<ArrayBuffer>): void;
}

export interface SocketHost {
  open(url: string): WebSocketLike;
  setTimeout(f: () => void, millis: number): unknown;
  clearTimeout(t: unknown): void;
  random(): number;
}

export interface WebSocketLike {
  binaryType?: string;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
  onopen: (() => void) | null;
  onmessage: ((e: { data: unknown }) => void) | null;
  onclose: ((e: { code: number }) => void) | null;
  onerror: (() => void) | null;
}

export interface SocketOptions {
  url: string;
  /** Asked at every connect: sessions are renewed while the page lives. */
  token(): string;
  onState(state: LinkState): void;
  onWelcome?(f: ServerFrame): void;
  onUnauthorized(): void;
  host?: SocketHost;
}

const browserHost: SocketHost = {
  open: (url) => new WebSocket(url) as unknown as WebSocketLike,
  setTimeout: (f, ms) => setTimeout(f, ms),
  clearTimeout: (t) => clearTimeout(t as ReturnType<typeof setTimeout>),
  random: Math.random,
};

const firstDelay = 200;
const maxDelay = 8_000;
const connectMillis = 10_000;
const quietMillis = 25_000;
const pongMillis = 10_000;
/** Close code of a server that does not take the token: signing in again helps, reconnecting does not. */
const closedUnauthorized = 4401;

/** backoff returns the wait before attempt n (0 first), with a fifth of jitter. */
export function backoff(n: number, random: number): number {
  return Math.min(maxDelay, firstDelay * 2 ** Math.min(n, 10)) * (0.8 + 0.4 * random);
}

interface Subscription {
  id: string;
  topic: Topic;
  fresh: boolean;
  /** Sent and not refused on this connection. */
  active: boolean;
  retries: number;
  timer: unknown;
}

export class Socket {
  private ws: WebSocketLike | null = null;
  private subs = new Map<string, Subscription>();
  private next = 1;
  private attempt = 0;
  private timer: unknown = null;
  private heart: unknown = null;
  private welcomed = false;
  private running = false;
  private readonly host: SocketHost;

  constructor(private readonly o: SocketOptions) {
    this.host = o.host ?? browserHost;
  }

  start(): void {
    if (this.running) return;
    this.running = true;
    this.attempt = 0;
    this.connect();
  }

  stop(): void {
    this.running = false;
    this.clearTimers();
    this.drop();
    this.o.onState("off");
  }

  /** poke reconnects at once when the socket is waiting: the network or the window came back. */
  poke(): void {
    if (!this.running || this.ws) return;
    this.attempt = 0;
    this.connect();
  }

  subscribe(topic: Topic): () => void {
    const s: Subscription = { id: `s${this.next++}`, topic, fresh: false, active: false, retries: 0, timer: null };
    this.subs.set(s.id, s);
    if (this.welcomed) this.sendSubscribe(s);
    return () => {
      if (!this.subs.delete(s.id)) return;
      this.host.clearTimeout(s.timer);
      if (s.active) this.send({ type: "unsubscribe", id: s.id });
    };
  }

  /** forgetCursors makes every subscription ask for a snapshot: the backend is another one now. */
  forgetCursors(): void {
    for (const s of this.subs.values()) s.fresh = true;
  }

  private connect(): void {
    this.clearTimers();
    this.o.onState("connecting");
    let ws: WebSocketLike;
    try {
      ws = this.host.open(this.o.url);
    } catch {
      this.wait();
      return;
    }
    this.ws = ws;
    ws.binaryType = "arraybuffer";
    ws.onopen = () => {
      this.send({ type: "hello", token: this.o.token() });
      // Who has nothing to resume after need not know who answers.
      for (const s of this.subs.values()) if (s.topic.cursor() === undefined) this.sendSubscribe(s);
    };
    ws.onmessage = (e) => {
      if (this.ws !== ws) return;
      if (e.data instanceof ArrayBuffer) this.receiveBytes(e.data);
      else this.receive(String(e.data));
    };
    ws.onerror = () => {};
    ws.onclose = (e) => {
      if (this.ws !== ws) return;
      this.drop();
      if (e.code === closedUnauthorized) this.unauthorized();
      else this.wait();
    };
    this.timer = this.host.setTimeout(() => this.lost(), connectMillis);
  }

  private wait(): void {
    this.clearTimers();
    if (!this.running) return;
    this.o.onState("waiting");
    this.timer = this.host.setTimeout(() => this.connect(), backoff(this.attempt++, this.host.random()));
  }

  private lost(): void {
    this.drop();
    this.wait();
  }

  /** The same token would be refused again: no reconnect. */
  private unauthorized(): void {
    this.stop();
    this.o.onUnauthorized();
  }

  private drop(): void {
    const ws = this.ws;
    this.ws = null;
    this.welcomed = false;
    for (const s of this.subs.values()) {
      this.host.clearTimeout(s.timer);
      s.active = false;
    }
    if (ws) {
      ws.onclose = null;
      ws.onmessage = null;
      ws.close();
    }
  }

  private clearTimers(): void {
    this.host.clearTimeout(this.timer);
    this.host.clearTimeout(this.heart);
    this.timer = this.heart = null;
  }

  private send(f: ClientFrame): void {
    this.ws?.send(JSON.stringify(f));
  }

  private beat(): void {
    this.host.clearTimeout(this.heart);
    this.heart = this.host.setTimeout(() => {
      this.send({ type: "ping" });
      this.heart = this.host.setTimeout(() => this.lost(), pongMillis);
    }, quietMillis);
  }

  private receive(data: string): void {
    let f: ServerFrame;
    try {
      f = JSON.parse(data) as ServerFrame;
    } catch {
      return;
    }
    this.beat();
    if (f.type === "welcome") {
      // Another welcome on the same connection tells of a new phase: what was refused too early is asked again.
      const first = !this.welcomed;
      this.host.clearTimeout(this.timer);
      this.welcomed = true;
      this.attempt = 0;
      this.o.onWelcome?.(f);
      if (first) this.o.onState("open");
      for (const s of [...this.subs.values()]) if (!s.active) this.sendSubscribe(s);
      return;
    }
    if (f.type === "error" && !f.id) {
      if (f.error && isUnauthorized(f.error)) this.unauthorized();
      return;
    }
    const s = f.id ? this.subs.get(f.id) : undefined;
    if (!s) return;
    if (f.type === "error") this.refused(s, f.error);
    else if (f.type === "resync" || s.topic.frame(f) === "again") this.again(s);
    else if (f.type === "synchronized") s.retries = 0;
  }

  private receiveBytes(message: ArrayBuffer): void {
    this.beat();
    // Length and characters of the id, see docs/protocol.md.
    const b = new Uint8Array(message);
    const s = this.subs.get(String.fromCharCode(...b.subarray(2, 2 + (b[1] ?? 0))));
    if (s?.active && s.topic.bytes?.(message) === "again") this.again(s);
  }

  private sendSubscribe(s: Subscription): void {
    const { topic, tail } = s.topic;
    const after = s.fresh ? undefined : s.topic.cursor();
    s.fresh = false;
    s.active = true;
    this.host.clearTimeout(s.timer);
    s.topic.attached?.(this.post(s));
    this.send({ type: "subscribe", id: s.id, topic, ...(after !== undefined && { after }), ...(tail !== undefined && { tail }) });
  }

  private post(s: Subscription): Post {
    const { ws } = this;
    const { id } = s;
    return {
      id,
      send: (data) => {
        if (this.ws === ws && s.id === id && s.active && this.subs.has(id)) ws!.send(data instanceof Uint8Array ? data : JSON.stringify(data));
      },
    };
  }

  /** again subscribes under a new id, so that late frames of the old one are dropped. */
  private again(s: Subscription): void {
    this.send({ type: "unsubscribe", id: s.id });
    this.subs.delete(s.id);
    s.id = `s${this.next++}`;
    s.fresh = true;
    this.subs.set(s.id, s);
    this.sendSubscribe(s);
  }

  private refused(s: Subscription, e: ApiError | undefined): void {
    s.active = false;
    const retry = !e || e.retryable || e.code === "not_ready" || e.code === "unavailable" || e.code === "timeout";
    if (!retry) {
      s.topic.failed?.(e);
      return;
    }
    s.timer = this.host.setTimeout(
      () => {
        if (this.welcomed && !s.active && this.subs.get(s.id) === s) this.sendSubscribe(s);
      },
      backoff(s.retries++, this.host.random()),
    );
  }
}

export function socketURL(base: string): string {
  return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}${base}/ws`;
}
