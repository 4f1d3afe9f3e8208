// Unified diffs: the parser of a file's hunks and a line diff of two texts.

export interface DiffLine {
  kind: "same" | "add" | "del" | "note";
  text: string;
  old?: number;
  new?: number;
}

export interface Hunk {
  /** What follows the second @@, usually the enclosing function. */
  section: string;
  header: string;
  lines: DiffLine[];
}

const header = /^@@+ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@+ ?(.*)$/;

/** parsePatch reads hunks; lines before the first are skipped, unknown ones become notes. It never throws. */
export function parsePatch(patch: string): Hunk[] {
  const hunks: Hunk[] = [];
  let current: Hunk | undefined;
  let o = 0;
  let n = 0;
  const lines = patch.split("\n");
  if (lines.at(-1) === "") lines.pop();
  for (const line of lines) {
    const m = header.exec(line);
    if (m) {
      o = Number(m[1]);
      n = Number(m[2]);
      current = { header: line, section: m[3] ?? "", lines: [] };
      hunks.push(current);
      continue;
    }
    if (!current) continue;
    const text = line.slice(1).replace(/\r$/, "");
    switch (line[0]) {
      case "+":
        current.lines.push({ kind: "add", text, new: n++ });
        break;
      case "-":
        current.lines.push({ kind: "del", text, old: o++ });
        break;
      case "\\":
        current.lines.push({ kind: "note", text: text.trim() });
        break;
      case " ":
      case undefined:
        current.lines.push({ kind: "same", text, old: o++, new: n++ });
        break;
      default:
        current.lines.push({ kind: "note", text: line });
    }
  }
  return hunks;
}

/** Past this many cells the middle is shown as replaced instead of compared line by line. */
const maxCells = 1_000_000;

/** diffTexts compares two texts by line and keeps `context` lines around changes. */
export function diffTexts(oldText: string, newText: string, context = 3): Hunk[] {
  const a = split(oldText);
  const b = split(newText);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const all: DiffLine[] = [];
  for (let i = 0; i < head; i++) all.push({ kind: "same", text: a[i]!, old: i + 1, new: i + 1 });
  middle(all, a.slice(head, a.length - tail), b.slice(head, b.length - tail), head);
  for (let i = tail; i > 0; i--) all.push({ kind: "same", text: a[a.length - i]!, old: a.length - i + 1, new: b.length - i + 1 });
  return cut(all, context);
}

function split(text: string): string[] {
  if (text === "") return [];
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function middle(out: DiffLine[], a: string[], b: string[], at: number): void {
  const del = (i: number) => out.push({ kind: "del", text: a[i]!, old: at + i + 1 });
  const add = (j: number) => out.push({ kind: "add", text: b[j]!, new: at + j + 1 });
  if (a.length * b.length > maxCells) {
    a.forEach((_, i) => del(i));
    b.forEach((_, j) => add(j));
    return;
  }
  const w = b.length + 1;
  const lcs = new Uint32Array((a.length + 1) * w);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lcs[i * w + j] = a[i] === b[j] ? lcs[(i + 1) * w + j + 1]! + 1 : Math.max(lcs[(i + 1) * w + j]!, lcs[i * w + j + 1]!);
    }
  }
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      out.push({ kind: "same", text: a[i]!, old: at + i + 1, new: at + j + 1 });
      i++;
      j++;
    } else if (i < a.length && (j >= b.length || lcs[(i + 1) * w + j]! >= lcs[i * w + j + 1]!)) del(i++);
    else add(j++);
  }
}

function cut(all: DiffLine[], context: number): Hunk[] {
  const keep = new Uint8Array(all.length);
  all.forEach((l, i) => {
    if (l.kind === "same") return;
    keep.fill(1, Math.max(0, i - context), Math.min(all.length, i + context + 1));
  });
  const hunks: Hunk[] = [];
  let current: Hunk | undefined;
  all.forEach((l, i) => {
    if (!keep[i]) {
      current = undefined;
      return;
    }
    if (!current) {
      current = { header: "", section: "", lines: [] };
      hunks.push(current);
    }
    current.lines.push(l);
  });
  return hunks;
}

export function countLines(hunks: Hunk[]): { additions: number; deletions: number } {
  let additions = 0;
  let deletions = 0;
  for (const h of hunks) for (const l of h.lines) l.kind === "add" ? additions++ : l.kind === "del" && deletions++;
  return { additions, deletions };
}
