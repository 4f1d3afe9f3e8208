// The end of a Markdown text that is still arriving.

/**
 * mend closes what is open at the end of a block, so that half a word in bold is
 * bold already and half a link is its words: nothing jumps when the rest arrives.
 */
export function mend(raw: string): string {
  const end = /\s*$/.exec(raw)![0];
  let text = raw.slice(0, raw.length - end.length);
  // Marks that have nothing in them yet would be shown as they are.
  text = text.replace(/(?:\*{1,3}|_{1,2}|~~|`|!?\[)$/, (m, at: number) => (at > 0 && /[\s([]/.test(text[at - 1] ?? "") ? "" : m));
  const half = /!?\[([^\][\n]*)(?:\](?:\([^()\s]*)?)?$/.exec(text);
  if (half && !insideCode(text.slice(0, half.index))) text = text.slice(0, half.index) + (half[1] ?? "");
  if (insideCode(text)) return text + "`" + end;
  const plain = text.replace(/(`+)[^`]*\1/g, "").replace(/\\[*_~`]/g, "");
  let close = "";
  for (const mark of ["**", "~~"]) if (plain.split(mark).length % 2 === 0) close = mark + close;
  const single = plain.replaceAll("**", "").replace(/^\s*\*\s/gm, "");
  if (/(^|[\s(])\*[^\s*][^*]*$/.test(single)) close = "*" + close;
  return text + close + end;
}

/** insideCode tells whether a code span is open at the end. */
function insideCode(text: string): boolean {
  const last = text.slice(text.lastIndexOf("\n\n") + 1);
  return (last.replace(/``+/g, "").split("`").length - 1) % 2 === 1;
}
