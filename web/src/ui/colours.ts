// Colours of the code in messages. The highlighter and its worker are fetched
// with the first block that has a language.
import type { Piece } from "../highlight";

/** Past this many lines a block in a message stays plain: its spans would weigh more than they help. */
const mostLines = 800;
const mostKept = 200;
const kept = new Map<string, Piece[][]>();

/** What people write behind the fence, as file names whose grammar is known. */
const named: Record<string, string> = {
  typescript: "x.ts", javascript: "x.js", node: "x.js", python: "x.py", rust: "x.rs", golang: "x.go", "c++": "x.cpp", csharp: "x.cs", "c#": "x.cs", kotlin: "x.kt", ruby: "x.rb",
  shell: "x.sh", console: "x.sh", zsh: "x.sh", "shell-session": "x.sh", shellscript: "x.sh", powershell: "x.ps1", yml: "x.yaml", markdown: "x.md", dockerfile: "dockerfile", docker: "dockerfile", makefile: "makefile", make: "makefile", terraform: "x.tf",
};

/** fileFor is a name whose grammar is that of a fence's language. */
export function fileFor(lang: string): string {
  const l = lang.toLowerCase();
  return named[l] ?? `x.${l}`;
}

/** colours cuts a text into coloured pieces, a list for each line; undefined where it stays plain. */
export async function colours(lang: string, text: string): Promise<Piece[][] | undefined> {
  if (!lang || text.length > 100_000) return undefined;
  const key = `${lang}\n${text}`;
  const old = kept.get(key);
  if (old) return old;
  const lines = text.split("\n");
  if (lines.length > mostLines) return undefined;
  try {
    const { highlight, pieces } = await import("../highlight");
    const tokens = await highlight(fileFor(lang), lines);
    if (!tokens) return undefined;
    const out = lines.map((l, i) => pieces(l, tokens[i]));
    kept.set(key, out);
    if (kept.size > mostKept) kept.delete(kept.keys().next().value!);
    return out;
  } catch {
    return undefined;
  }
}
