// How high a row will be, before anything is drawn: near enough that a
// scroll bar is honest and few rows move when they are measured.
import type { Content } from "./rows";

const line = 24;
/** Characters of a line in a column of the usual width. */
const wide = 96;

function lines(text: string, width: number): number {
  let n = 0;
  for (let at = 0; at <= text.length; ) {
    const end = text.indexOf("\n", at);
    const stop = end < 0 ? text.length : end;
    n += Math.max(1, Math.ceil((stop - at) / width));
    at = stop + 1;
    // A guess need not read a book.
    if (at > 20_000) return Math.ceil((n * text.length) / at);
  }
  return n;
}

/** guess is in pixels. */
export function guess(c: Content): number {
  switch (c.kind) {
    case "head":
      return c.earlier ? 48 : 16;
    case "tail":
      return c.later ? 48 : 24;
    case "prompt":
      return 74 + (lines(c.item.text ?? "", 78) - 1) * 22 + (c.item.attachments?.length ? 104 : 0);
    case "pending":
      return 74 + (lines(c.prompt.text, 78) - 1) * 22;
    case "item":
      if (c.item.kind === "agent_message") return 8 + lines(c.item.text ?? "", wide) * line;
      if (c.item.kind === "plan") return 76 + (c.item.plan?.length ?? 0) * 26;
      if (c.item.kind === "notice") return 12 + lines(c.item.text ?? "", wide) * 20;
      return c.item.kind === "revert" ? 48 : 32;
    case "changes":
      return 59 + 28 * Math.min(6, c.turn.changes?.files.length ?? 0);
    case "reason":
      return 44;
    case "footer":
      return 44;
    default:
      return 32;
  }
}
