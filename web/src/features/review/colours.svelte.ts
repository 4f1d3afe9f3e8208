// Colours and marked words of the lines in view, found when a hunk is shown first.
import { changedWords, type Line, type Range } from "../../data/diff";
import { highlight, type LineTokens } from "../../highlight";
import type { HunkRows } from "./rows";

interface Sides {
  old?: Map<Line, LineTokens>;
  new?: Map<Line, LineTokens>;
}

const known = new WeakMap<HunkRows, Sides>();
let version = $state(0);

/** colour asks for a hunk's colours, once. */
export function colour(path: string, h: HunkRows): void {
  if (known.has(h)) return;
  const sides: Sides = {};
  known.set(h, sides);
  for (const side of ["old", "new"] as const) {
    const lines = h.lines.filter((l) => l.sign !== (side === "old" ? "+" : "-"));
    // Unchanged lines get the new side's colours; an old side without changes needs none.
    if (side === "old" && !h.lines.some((l) => l.sign === "-")) continue;
    void highlight(path, lines.map((l) => l.text)).then((rows) => {
      if (!rows) return;
      const of = new Map<Line, LineTokens>();
      lines.forEach((l, i) => rows[i] && of.set(l, rows[i]));
      sides[side] = of;
      version++;
    });
  }
}

export function tokensOf(h: HunkRows, l: Line): LineTokens | undefined {
  void version;
  const s = known.get(h);
  return l.sign === "-" ? s?.old?.get(l) : (s?.new?.get(l) ?? s?.old?.get(l));
}

const marked = new WeakMap<Line, Range[]>();

/** marksOf tells which words of a changed line are new, or went. */
export function marksOf(h: HunkRows, l: Line): Range[] {
  if (l.sign === " ") return [];
  let m = marked.get(l);
  if (!m) {
    const other = h.partner.get(l);
    if (!other) m = [];
    else {
      const r = l.sign === "-" ? changedWords(l.text, other.text) : changedWords(other.text, l.text);
      m = l.sign === "-" ? r.a : r.b;
    }
    marked.set(l, m);
  }
  return m;
}
