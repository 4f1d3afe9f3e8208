// Rows of the key binding file as the editor changes them. Pure.
import type { Binding, Command, KeyRow } from "../../data/commands.svelte";
import { sameStroke } from "../../data/keys";

const defaultsOf = (c: Command) => (c.key ? [c.key].flat() : []);

/** withKey adds a key to a command: taking back an earlier removal of a default, else as a row of its own. */
export function withKey(rows: KeyRow[], c: Command, key: string): KeyRow[] {
  const rest = rows.filter((r) => !(r.command === `-${c.id}` && r.key === key));
  if (defaultsOf(c).includes(key)) return rest;
  if (rest.some((r) => r.command === c.id && r.key === key)) return rest;
  return [...rest, c.when ? { key, command: c.id, when: c.when } : { key, command: c.id }];
}

/** without takes a key away: a row of the person's own goes, a default gets a row that removes it. */
export function without(rows: KeyRow[], c: Command, key: string): KeyRow[] {
  const rest = rows.filter((r) => !(r.command === c.id && r.key === key));
  return defaultsOf(c).includes(key) ? [...rest, { key, command: `-${c.id}` }] : rest;
}

/** sameKeys tells that two bindings start with the same strokes, so that one stands in the other's way. */
export function sameKeys(a: Pick<Binding, "strokes">, b: Pick<Binding, "strokes">): boolean {
  const n = Math.min(a.strokes.length, b.strokes.length);
  for (let i = 0; i < n; i++) if (!sameStroke(a.strokes[i]!, b.strokes[i]!)) return false;
  return true;
}

/** conflicts is what else a binding's key does under a condition that cannot be told apart by its text. */
export function conflicts(all: readonly Binding[]): Map<Binding, Binding[]> {
  const out = new Map<Binding, Binding[]>();
  for (const a of all) {
    const hits = all.filter((b) => b !== a && b.command !== a.command && sameKeys(a, b) && overlap(a.when, b.when));
    if (hits.length) out.set(a, hits);
  }
  return out;
}

/** Conditions that name one word plainly and the other negated never hold together; anything else may. */
function overlap(a = "", b = ""): boolean {
  const parts = (s: string) => (/\|\||\(/.test(s) ? [] : s.split("&&").map((x) => x.trim()).filter(Boolean));
  const pa = new Set(parts(a));
  return !parts(b).some((x) => pa.has(x.startsWith("!") ? x.slice(1).trim() : `!${x}`));
}
