// Differences as the page shows them: rows of a file, words that changed within
// a line, the wording of what is no text. Plain TypeScript, no DOM.
import type { DiffFile, DiffHunk } from "../api/types.gen";

export interface Line {
  sign: " " | "+" | "-";
  old?: number;
  new?: number;
  text: string;
  /** Where it stands in its hunk. */
  at: number;
}

/** A block of the two sides: a line of each, where there is one. */
export interface Pair {
  left?: Line;
  right?: Line;
}

/** A line longer than this is cut on screen. */
export const longestLine = 2_000;

/** linesOf numbers a hunk's lines. A carriage return at the end is not shown. */
export function linesOf(h: DiffHunk): Line[] {
  let o = h.oldStart;
  let n = h.newStart;
  return (h.lines ?? []).map((l, at) => {
    const text = l.slice(1).replace(/\r$/, "");
    if (l[0] === "+") return { sign: "+", new: n++, text, at };
    if (l[0] === "-") return { sign: "-", old: o++, text, at };
    return { sign: " ", old: o++, new: n++, text, at };
  });
}

/** pairsOf puts what was taken away beside what came in its place. */
export function pairsOf(lines: readonly Line[]): Pair[] {
  const out: Pair[] = [];
  let del: Line[] = [];
  let add: Line[] = [];
  const flush = () => {
    for (let i = 0; i < Math.max(del.length, add.length); i++) out.push({ left: del[i], right: add[i] });
    del = [];
    add = [];
  };
  for (const l of lines) {
    if (l.sign === "-") {
      if (add.length) flush();
      del.push(l);
    } else if (l.sign === "+") add.push(l);
    else {
      flush();
      out.push({ left: l, right: l });
    }
  }
  flush();
  return out;
}

/** partners finds for each changed line of a hunk the one it is compared with, by their places. */
export function partners(lines: readonly Line[]): Map<Line, Line> {
  const out = new Map<Line, Line>();
  for (const p of pairsOf(lines)) {
    if (p.left && p.right && p.left !== p.right) {
      out.set(p.left, p.right);
      out.set(p.right, p.left);
    }
  }
  return out;
}

export type Range = readonly [number, number];
const word = /[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu;
/** Past this many words the middle is marked as a whole. */
const mostWords = 160;

/** changedWords marks what differs between two lines; nothing where they have too little in common for marks to help. */
export function changedWords(a: string, b: string): { a: Range[]; b: Range[] } {
  const none = { a: [], b: [] };
  if (a.length > longestLine || b.length > longestLine || a === b) return none;
  const x = a.match(word) ?? [];
  const y = b.match(word) ?? [];
  let head = 0;
  while (head < x.length && head < y.length && x[head] === y[head]) head++;
  let tail = 0;
  while (tail < x.length - head && tail < y.length - head && x[x.length - 1 - tail] === y[y.length - 1 - tail]) tail++;
  const mx = x.slice(head, x.length - tail);
  const my = y.slice(head, y.length - tail);
  const kept = mx.length > mostWords || my.length > mostWords ? { x: new Set<number>(), y: new Set<number>() } : common(mx, my);
  // Small islands of punctuation between changes say nothing by themselves.
  const same = x.slice(0, head).concat(x.slice(x.length - tail), mx.filter((_, i) => kept.x.has(i))).join("").replace(/\s/g, "").length;
  const size = Math.max(a.replace(/\s/g, "").length, b.replace(/\s/g, "").length);
  if (size > 0 && same / size < 0.25) return none;
  return { a: ranges(x, head, mx, kept.x), b: ranges(y, head, my, kept.y) };
}

function common(x: string[], y: string[]): { x: Set<number>; y: Set<number> } {
  const w = y.length + 1;
  const best = new Uint16Array((x.length + 1) * w);
  for (let i = x.length - 1; i >= 0; i--) {
    for (let j = y.length - 1; j >= 0; j--) best[i * w + j] = x[i] === y[j] ? best[(i + 1) * w + j + 1]! + 1 : Math.max(best[(i + 1) * w + j]!, best[i * w + j + 1]!);
  }
  const kept = { x: new Set<number>(), y: new Set<number>() };
  for (let i = 0, j = 0; i < x.length && j < y.length; ) {
    if (x[i] === y[j]) {
      kept.x.add(i++);
      kept.y.add(j++);
    } else if (best[(i + 1) * w + j]! >= best[i * w + j + 1]!) i++;
    else j++;
  }
  return kept;
}

function ranges(words: string[], head: number, middle: string[], kept: Set<number>): Range[] {
  let at = words.slice(0, head).reduce((n, s) => n + s.length, 0);
  const out: [number, number][] = [];
  middle.forEach((s, i) => {
    if (!kept.has(i)) {
      const last = out.at(-1);
      if (last && last[1] === at) last[1] = at + s.length;
      else out.push([at, at + s.length]);
    }
    at += s.length;
  });
  return out;
}

const modes: Record<string, string> = { "100644": "plain", "100755": "executable", "120000": "link", "160000": "submodule" };

/** noteOf says what a file without hunks is about, "" when there is nothing to say. */
export function noteOf(f: DiffFile, ignoring = false): string {
  const notes: string[] = [];
  const old = f.oldMode ? (modes[f.oldMode] ?? f.oldMode) : "";
  const now = f.newMode ? (modes[f.newMode] ?? f.newMode) : "";
  if (f.oldCommit || f.newCommit) return `Submodule: ${(f.oldCommit ?? "").slice(0, 10) || "none"} → ${(f.newCommit ?? "").slice(0, 10) || "none"}`;
  if (old && now && old !== now) notes.push(`Mode: ${old} → ${now}.`);
  if (f.binary) notes.push(`Binary file${sizes(f)}, not shown.`);
  else if (!f.hunks?.length && !f.pending) {
    if (f.status === "renamed") notes.push("Renamed without other changes.");
    else if (f.status === "mode" && !notes.length) notes.push("Only the file's mode changed.");
    else if (f.status === "added" && !f.additions) notes.push("Empty file.");
    else if (f.status === "deleted" && !f.deletions) notes.push("An empty file was deleted.");
    else if (!notes.length) notes.push(ignoring ? "Only white space changed." : "No text changes.");
  }
  return notes.join(" ");
}

function sizes(f: DiffFile): string {
  const had = f.oldBytes !== undefined ? bytes(f.oldBytes) : "";
  const has = f.newBytes !== undefined ? bytes(f.newBytes) : "";
  if (had && has) return ` (${had} → ${has})`;
  return had || has ? ` (${had || has})` : "";
}

export function bytes(n: number): string {
  if (n < 1024) return `${n} B`;
  if (n < 1024 * 1024) return `${(n / 1024).toFixed(n < 10_240 ? 1 : 0)} KB`;
  return `${(n / 1024 / 1024).toFixed(1)} MB`;
}

/** sectionOf is what stands above a hunk. */
export function sectionOf(h: DiffHunk): string {
  return `@@ -${h.oldStart},${h.oldLines} +${h.newStart},${h.newLines} @@`;
}

/** A folder of the file tree; chains of folders with nothing else are one row. */
export interface TreeRow {
  depth: number;
  name: string;
  path: string;
  /** The file's place in the list; undefined for a folder. */
  file?: number;
}

/** treeOf lists folders and files as a tree, in the order of paths: that of the changes beside it. */
export function treeOf(paths: readonly string[]): TreeRow[] {
  type Node = Map<string, Node | number>;
  const root: Node = new Map();
  paths.forEach((p, i) => {
    const parts = p.split("/");
    let at = root;
    for (const part of parts.slice(0, -1)) {
      const key = `${part}/`;
      let next = at.get(key);
      if (!(next instanceof Map)) at.set(key, (next = new Map()));
      at = next;
    }
    at.set(parts.at(-1)!, i);
  });
  const out: TreeRow[] = [];
  const walk = (n: Node, depth: number, path: string): void => {
    for (const [key, value] of n) {
      if (typeof value === "number") {
        out.push({ depth, name: key, path: paths[value]!, file: value });
        continue;
      }
      let label = key.slice(0, -1);
      let here = value;
      for (let only = [...here]; only.length === 1 && only[0]![1] instanceof Map; only = [...here]) {
        label += `/${only[0]![0].slice(0, -1)}`;
        here = only[0]![1];
      }
      const full = path + label;
      out.push({ depth, name: label, path: full });
      walk(here, depth + 1, `${full}/`);
    }
  };
  walk(root, 0, "");
  return out;
}
