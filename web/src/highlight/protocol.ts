// What goes between the page and the highlighting worker.

/** The kinds of tokens, as Shiki's theme of variables names them; the first is plain text. */
export const kinds = ["foreground", "token-keyword", "token-string", "token-comment", "token-constant", "token-function", "token-parameter", "token-punctuation", "token-string-expression", "token-link"];

export interface Ask {
  id: number;
  lang: string;
  lines: string[];
}

export interface Answer {
  id: number;
  /** For each line lengths and kinds by turns; absent when it could not be done. */
  lines?: number[][];
}

/** tokenRow makes lengths and kinds of a line's tokens; neighbours of one kind are one. */
export function tokenRow(tokens: readonly { content: string; color?: string }[]): number[] {
  const row: number[] = [];
  for (const t of tokens) {
    const kind = Math.max(0, kinds.indexOf(t.color?.slice("var(--".length, -1) ?? ""));
    if (row.length && row.at(-1) === kind) row[row.length - 2]! += t.content.length;
    else row.push(t.content.length, kind);
  }
  return row;
}
