// The rows of a comparison: one list for the virtual scroller. Rows of a file
// are kept while the file, its comments and the way it is shown stay the same.
import type { DiffFile, DiffHunk } from "../../api/types.gen";
import { type Line, linesOf, noteOf, type Pair, pairsOf, partners, sectionOf } from "../../data/diff";
import type { Row } from "../../ui/virtual";
import type { Comment } from "./comments.svelte";

export type ReviewRow = Row & { file: number } & (
    | { kind: "file" }
    | { kind: "note"; text: string }
    | { kind: "hunk"; label: string; section: string }
    | { kind: "line"; line: Line; hunk: HunkRows }
    | { kind: "pair"; pair: Pair; hunk: HunkRows }
    | { kind: "ending"; text: string }
    | { kind: "more"; failed: boolean }
    | { kind: "comment"; comment: Comment }
    | { kind: "editor" }
    | { kind: "page" }
  );

/** A hunk with what its rows share. */
export interface HunkRows {
  hunk: DiffHunk;
  lines: Line[];
  partner: Map<Line, Line>;
}

export interface RowOptions {
  split: boolean;
  folded: (f: DiffFile) => boolean;
  comments: readonly Comment[];
  draft: Omit<Comment, "id"> | undefined;
  failed: (path: string) => boolean;
  ignoring: boolean;
  more: boolean;
}

const heights = { file: 41, note: 44, hunk: 28, line: 20, ending: 24, more: 44, comment: 84, editor: 148 };

const hunkCache = new WeakMap<DiffHunk, HunkRows>();
function hunkRows(h: DiffHunk): HunkRows {
  let r = hunkCache.get(h);
  if (!r) {
    const lines = linesOf(h);
    hunkCache.set(h, (r = { hunk: h, lines, partner: partners(lines) }));
  }
  return r;
}

interface Cached {
  key: string;
  rows: ReviewRow[];
}
const cache = new WeakMap<DiffFile, Cached>();

/** rowsOf lists the rows of all files. */
export function rowsOf(files: readonly DiffFile[], o: RowOptions): ReviewRow[] {
  const out: ReviewRow[] = [];
  files.forEach((f, i) => {
    const own = o.comments.filter((c) => c.path === f.path);
    const draft = o.draft?.path === f.path ? o.draft : undefined;
    const key = `${i} ${o.split} ${o.folded(f)} ${o.failed(f.path)} ${o.ignoring} ${own.map((c) => c.id)} ${draft ? `${draft.side}${draft.line}` : ""}`;
    let c = cache.get(f);
    if (c?.key !== key) {
      c = { key, rows: fileRows(f, i, o, own, draft) };
      cache.set(f, c);
    }
    for (const r of c.rows) out.push(r);
  });
  if (o.more) out.push({ key: "page", height: heights.more, measured: false, file: files.length - 1, kind: "page" });
  return out;
}

function fileRows(f: DiffFile, file: number, o: RowOptions, comments: readonly Comment[], draft: RowOptions["draft"]): ReviewRow[] {
  const p = f.path;
  const rows: ReviewRow[] = [{ key: `f ${p}`, height: heights.file, measured: false, file, kind: "file" }];
  if (o.folded(f)) return rows;
  const note = noteOf(f, o.ignoring);
  if (note) rows.push({ key: `n ${p}`, height: heights.note, measured: false, file, kind: "note", text: note });
  (f.hunks ?? []).forEach((h, hi) => {
    const hunk = hunkRows(h);
    const at = `${p} ${hi}`;
    rows.push({ key: `h ${at}`, height: heights.hunk, measured: false, file, kind: "hunk", label: sectionOf(h), section: h.section ?? "" });
    const said = (l: Line | undefined, side: "old" | "new"): void => {
      const line = l && (side === "old" ? l.old : l.new);
      if (line === undefined) return;
      for (const c of comments) if (c.side === side && c.line === line) rows.push({ key: `c ${c.id}`, height: heights.comment, measured: false, file, kind: "comment", comment: c });
      if (draft?.side === side && draft.line === line) rows.push({ key: `e ${p}`, height: heights.editor, measured: false, file, kind: "editor" });
    };
    if (o.split) {
      pairsOf(hunk.lines).forEach((pair, i) => {
        rows.push({ key: `p ${at} ${i}`, height: heights.line, measured: false, file, kind: "pair", pair, hunk });
        said(pair.left, "old");
        said(pair.right, "new");
      });
    } else {
      for (const line of hunk.lines) {
        rows.push({ key: `l ${at} ${line.at}`, height: heights.line, measured: false, file, kind: "line", line, hunk });
        if (line.sign !== "+") said(line, "old");
        if (line.sign !== "-") said(line, "new");
      }
    }
    const ending = h.oldNoNewline && h.newNoNewline ? "No newline at the end of the file" : h.oldNoNewline ? "The old file has no newline at its end" : h.newNoNewline ? "The new file has no newline at its end" : "";
    if (ending) rows.push({ key: `x ${at}`, height: heights.ending, measured: false, file, kind: "ending", text: ending });
  });
  if (f.pending || f.next) rows.push({ key: `m ${p} ${f.next ?? 0}`, height: heights.more, measured: false, file, kind: "more", failed: o.failed(p) });
  return rows;
}

/** widest is the length of the longest line, in characters, a tab as four. */
export function widest(files: readonly DiffFile[]): number {
  let n = 0;
  for (const f of files) for (const h of f.hunks ?? []) for (const l of h.lines ?? []) n = Math.max(n, l.length + 3 * (l.split("\t").length - 1));
  return Math.min(n, 2_000);
}
