// Comments on lines, collected while reading and handed to the composer
// together. They live as long as the page, by thread or project.
export interface Comment {
  id: number;
  path: string;
  side: "old" | "new";
  line: number;
  /** The line itself, so that the agent finds it after the file has changed. */
  code: string;
  text: string;
}

let next = 1;

export class Comments {
  list = $state.raw<Comment[]>([]);
  /** The line that is being commented on. */
  draft = $state.raw<Omit<Comment, "id"> | undefined>(undefined);

  begin(at: Omit<Comment, "id" | "text">): void {
    this.draft = { ...at, text: "" };
  }
  cancel(): void {
    const d = this.draft;
    this.draft = undefined;
    // One that was taken up again goes back to what it was.
    if (d?.text) this.list = [...this.list, { ...d, id: next++ }];
  }
  keep(text: string): void {
    const d = this.draft;
    this.draft = undefined;
    if (d && text.trim()) this.list = [...this.list, { ...d, text: text.trim(), id: next++ }];
  }
  edit(c: Comment): void {
    const { id, ...draft } = c;
    this.drop(id);
    this.draft = draft;
  }
  drop(id: number): void {
    this.list = this.list.filter((c) => c.id !== id);
  }
  clear(): void {
    this.list = [];
  }
}

const all = new Map<string, Comments>();

export function commentsOf(place: string): Comments {
  let c = all.get(place);
  if (!c) all.set(place, (c = new Comments()));
  return c;
}

/** quoted is comments as text for a message: where, the line, what is said. */
export function quoted(list: readonly Comment[]): string {
  return list.map((c) => `In \`${c.path}\`, line ${c.line}${c.side === "old" ? " (before the change)" : ""}:\n> ${c.code.trim().slice(0, 300) || "(empty line)"}\n\n${c.text}`).join("\n\n");
}
