// What the palette looks through: one scope at a time, chosen by its button, by Tab, or by a sign typed first. Pure.

export type PaletteScope = "all" | "commands" | "threads" | "files" | "messages";

export interface Scope {
  id: PaletteScope;
  name: string;
  sign: string;
  ask: string;
}

const scopes: readonly Scope[] = [
  { id: "all", name: "All", sign: "", ask: "Search commands, threads, files and messages" },
  { id: "commands", name: "Commands", sign: ">", ask: "What should be done?" },
  { id: "threads", name: "Threads", sign: "#", ask: "Find a thread or a project" },
  { id: "files", name: "Files", sign: "/", ask: "Find a file of this project" },
  { id: "messages", name: "Messages", sign: "?", ask: "Search in all messages" },
];

/** offeredScopes leaves files out where there is no project. */
export const offeredScopes = (files: boolean): readonly Scope[] => scopes.filter((s) => s.id !== "files" || files);

/** askOf is what the field asks for in a scope. */
export const askOf = (id: PaletteScope): string | undefined => scopes.find((s) => s.id === id)?.ask;

export interface Asked {
  scope: PaletteScope;
  query: string;
  /** The text without the sign that chose the scope. */
  rest: string;
}

/** asked reads a text: a sign in front of it means a scope, unless one was chosen otherwise. */
export function asked(text: string, chosen: PaletteScope, offered: readonly Scope[]): Asked {
  const signed = chosen === "all" ? offered.find((s) => s.sign && text.startsWith(s.sign)) : undefined;
  const rest = signed ? text.slice(signed.sign.length) : text;
  return { scope: signed?.id ?? chosen, query: rest.trim(), rest };
}

/** turned is the scope by so many places from another one, around the end. */
export function turned(offered: readonly Scope[], from: PaletteScope, by: number): PaletteScope {
  const i = offered.findIndex((s) => s.id === from);
  return offered[(i + by + offered.length) % offered.length]!.id;
}
