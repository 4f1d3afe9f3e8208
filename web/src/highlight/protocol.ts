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
