// What programs write for a terminal, as text.

// CSI, OSC (ended by BEL or ST), and the short escapes.
const escapes = /\u001b(?:\[[0-?]*[ -/]*(?:[@-~]|$)|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[PX^_][^\u001b]*(?:\u001b\\)?|[ -/]*[0-~])/g;

/** plainTerminal takes colours and cursor movements out and keeps of a line what a carriage return has left of it. */
export function plainTerminal(text: string): string {
  if (text.includes("\u001b")) text = text.replace(escapes, "");
  if (text.includes("\r")) {
    text = text
      .replaceAll("\r\n", "\n")
      .split("\n")
      .map((line) => {
        if (!line.includes("\r")) return line;
        return line.split("\r").reduce((shown, part) => (part.length >= shown.length ? part : part + shown.slice(part.length)), "");
      })
      .join("\n");
  }
  // Other control characters have no picture.
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, "");
}
