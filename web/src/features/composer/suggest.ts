// What the caret stands in: the beginning of a file mention or of a command.
import type { AgentCommand } from "../../api/types.gen";

export interface Token {
  kind: "file" | "command";
  /** Where it begins, with its mark. */
  from: number;
  to: number;
  query: string;
}

const longest = 200;

/** tokenAt finds the mention or command that is being typed at the caret. */
export function tokenAt(text: string, caret: number): Token | undefined {
  if (text.startsWith("/") && !/\s/.test(text.slice(0, caret)) && caret > 0) return { kind: "command", from: 0, to: caret, query: text.slice(1, caret) };
  const begin = Math.max(0, caret - longest);
  const before = text.slice(begin, caret);
  const quoted = /(?:^|[\s([{])@"([^"\n]*)$/.exec(before);
  if (quoted) return { kind: "file", from: caret - quoted[1]!.length - 2, to: caret, query: quoted[1]! };
  const m = /(?:^|[\s([{])@([^\s@"]*)$/.exec(before);
  if (m) return { kind: "file", from: caret - m[1]!.length - 1, to: caret, query: m[1]! };
  return undefined;
}

/** mention is how a path is written in a prompt. */
export function mention(path: string): string {
  return /[\s"()[\]{}]/.test(path) ? `@"${path.replaceAll('"', "")}"` : `@${path}`;
}

/** replace puts words in the place of a token and tells where the caret goes. A space follows, unless one is there. */
export function replace(text: string, t: Token, by: string): { text: string; caret: number } {
  const rest = text.slice(t.to).replace(/^"/, "");
  const space = /^\s/.test(rest) ? "" : " ";
  return { text: text.slice(0, t.from) + by + space + rest, caret: t.from + by.length + 1 };
}

/** matching gives the commands whose name begins with the query, then those that have it inside, then those whose description does. */
export function matching(commands: AgentCommand[], query: string): AgentCommand[] {
  const q = query.toLowerCase();
  const rank = (c: AgentCommand): number => {
    const name = c.name.toLowerCase();
    if (name.startsWith(q)) return 0;
    if (name.includes(q)) return 1;
    return q.length > 2 && c.description?.toLowerCase().includes(q) ? 2 : 3;
  };
  return commands
    .map((c) => ({ c, r: rank(c) }))
    .filter((x) => x.r < 3)
    .sort((a, b) => a.r - b.r || a.c.name.localeCompare(b.c.name))
    .map((x) => x.c);
}
