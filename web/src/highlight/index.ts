// The page's side of the highlighter: asks the worker, keeps what it answered.
import { languageOf } from "../ui/languages";
import "./code.css";
import type { Answer, Ask } from "./protocol";

/** Pieces larger than this are shown without colours. */
const mostLines = 6_000;
const mostChars = 600_000;

/** Tokens of a line: lengths and kinds by turns. */
export type LineTokens = number[];

let worker: Worker | undefined;
let next = 1;
const waiting = new Map<number, (lines: LineTokens[] | undefined) => void>();
let idle: ReturnType<typeof setTimeout> | undefined;
/** A worker that nobody asked for this long is let go, with its grammars. */
const idleMillis = 5 * 60_000;

function start(): Worker {
  const w = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "highlight" });
  w.onmessage = (e: MessageEvent<Answer>) => {
    waiting.get(e.data.id)?.(e.data.lines);
    waiting.delete(e.data.id);
  };
  w.onerror = () => stop();
  return w;
}

function stop(): void {
  worker?.terminate();
  worker = undefined;
  for (const done of waiting.values()) done(undefined);
  waiting.clear();
}

/** highlight answers the tokens of each line, undefined where there are no colours for it. */
export function highlight(path: string, lines: string[]): Promise<LineTokens[] | undefined> {
  const lang = languageOf(path);
  if (!lang || lines.length === 0 || lines.length > mostLines || lines.reduce((n, l) => n + l.length, 0) > mostChars) return Promise.resolve(undefined);
  worker ??= start();
  clearTimeout(idle);
  idle = setTimeout(() => waiting.size === 0 && stop(), idleMillis);
  const id = next++;
  const w = worker;
  return new Promise((done) => {
    waiting.set(id, done);
    w.postMessage({ id, lang, lines } satisfies Ask);
  });
}

export interface Piece {
  text: string;
  /** Class names: the token's kind, and "mark" for what changed within a line. */
  look: string;
}

/** pieces cuts a line by its tokens and by marked ranges. */
export function pieces(text: string, tokens: LineTokens | undefined, marks: readonly (readonly [number, number])[] = []): Piece[] {
  const cuts = new Set([0, text.length]);
  let at = 0;
  const spans: [number, number, number][] = [];
  for (let i = 0; tokens && i + 1 < tokens.length; i += 2) {
    const to = Math.min(text.length, at + tokens[i]!);
    spans.push([at, to, tokens[i + 1]!]);
    cuts.add(to);
    at = to;
  }
  for (const [a, b] of marks) {
    cuts.add(Math.min(a, text.length));
    cuts.add(Math.min(b, text.length));
  }
  const sorted = [...cuts].sort((a, b) => a - b);
  const out: Piece[] = [];
  let s = 0;
  let m = 0;
  for (let i = 0; i + 1 < sorted.length; i++) {
    const from = sorted[i]!;
    const to = sorted[i + 1]!;
    while (s < spans.length && spans[s]![1] <= from) s++;
    while (m < marks.length && marks[m]![1] <= from) m++;
    const kind = spans[s] && spans[s]![0] <= from ? spans[s]![2] : 0;
    const marked = marks[m] !== undefined && marks[m]![0] <= from;
    out.push({ text: text.slice(from, to), look: (kind ? `k${kind}` : "") + (marked ? " mark" : "") });
  }
  return out;
}
