// One terminal as the page follows it: numbered output in, acknowledged once the
// emulator has worked it off; input out, held back while the program's side has
// not taken what was sent. Nothing of it knows how a terminal is drawn.
import type { Error as ApiError, ServerFrame, TerminalView } from "../../api/types.gen";
import { TerminalAck, TerminalInput, TerminalOutput, TerminalTaken, TerminalTyped, TerminalWindow, TopicTerminal } from "../../api/types.gen";
import type { Post, Topic } from "../../data/socket";
import { decodeFrame, encodeFrame } from "./frame";

/** What draws; xterm.js is one. */
export interface Emulator {
  /** done is called when everything up to here has been worked off. */
  write(data: Uint8Array | string, done?: () => void): void;
}

export interface SessionHost {
  emulator: Emulator;
  /** The head changed. */
  onview(v: TerminalView): void;
  /** Whether input goes anywhere now. */
  onlive(live: boolean): void;
  /** The terminal is gone, or cannot be shown. */
  onfailed(e: ApiError): void;
}

/** How much history is asked for; it fills the emulator's scroll-back. */
const tail = 2 * 1024 * 1024;
const ackEvery = TerminalWindow / 8;
const piece = 16 * 1024;
/** Begins anew: the emulator's full reset, in order with what was written before. */
const reset = "\x1bc";

export class TerminalSession implements Topic {
  readonly topic: string;
  readonly tail = tail;
  private post: Post | undefined;
  private live = false;
  /** The number of the next byte; undefined before the first snapshot. */
  private seq: number | undefined;
  /** Counts snapshots: a late end of writing belongs to an older numbering. */
  private epoch = 0;
  private acked = 0;
  private pending = 0;
  private sent = 0;
  private taken = 0;
  private queue: Uint8Array[] = [];
  private size: { cols: number; rows: number; focused: boolean } | undefined;

  constructor(
    id: string,
    private readonly host: SessionHost,
  ) {
    this.topic = TopicTerminal + id;
  }

  cursor(): number | undefined {
    return this.seq;
  }

  attached(post: Post): void {
    this.post = post;
    this.setLive(false);
    // What was typed into the old connection is not sent twice, nor half.
    this.queue = [];
    this.sent = this.taken = 0;
    this.acked = this.seq ?? 0;
  }

  frame(f: ServerFrame): void {
    if (f.type === "snapshot") {
      this.epoch++;
      this.pending = 0;
      this.seq = this.acked = f.seq ?? 0;
      this.host.emulator.write(reset + (f.terminal?.preamble ?? ""));
    }
    if (f.terminal) this.host.onview(f.terminal);
    if (!this.live) {
      this.setLive(true);
      this.tellSize();
    }
  }

  bytes(message: ArrayBuffer): void | "again" {
    const f = decodeFrame(message);
    if (!f) return;
    const { kind, seq, data } = f;
    if (kind === TerminalTaken) {
      this.taken = seq;
      this.flush();
      return;
    }
    if (kind !== TerminalOutput) return;
    if (seq !== this.seq) return "again";
    this.seq += data.length;
    const end = this.seq;
    const { epoch } = this;
    this.pending++;
    this.host.emulator.write(data, () => {
      if (epoch !== this.epoch) return;
      this.pending--;
      // Now and then in a flood, at once at its end.
      if (end <= this.acked || (this.pending > 0 && end - this.acked < ackEvery)) return;
      this.acked = end;
      this.say(TerminalAck, end);
    });
  }

  failed(e: ApiError): void {
    this.setLive(false);
    this.host.onfailed(e);
  }

  /** lost is told when the connection went: input goes nowhere until the next one. */
  lost(): void {
    this.setLive(false);
    this.queue = [];
  }

  type(data: Uint8Array): void {
    if (!this.live) return;
    for (let i = 0; i < data.length; i += piece) this.queue.push(data.subarray(i, i + piece));
    this.flush();
  }

  /** resize tells the size in cells, and whether the person is here. */
  resize(cols: number, rows: number, focused: boolean): void {
    const s = this.size;
    if (s && s.cols === cols && s.rows === rows && s.focused === focused && !focused) return;
    this.size = { cols, rows, focused };
    if (this.live) this.tellSize();
  }

  private tellSize(): void {
    if (this.size && this.post) this.post.send({ type: "resize", id: this.post.id, ...this.size });
  }

  private say(kind: number, seq: number, data?: Uint8Array): void {
    if (this.post) this.post.send(encodeFrame(kind, this.post.id, seq, data));
  }

  private flush(): void {
    for (let next = this.queue[0]; next && this.sent + next.length - this.taken <= TerminalInput; next = this.queue[0]) {
      this.queue.shift();
      this.say(TerminalTyped, this.sent, next);
      this.sent += next.length;
    }
  }

  private setLive(live: boolean): void {
    if (this.live === live) return;
    this.live = live;
    this.host.onlive(live);
  }
}
