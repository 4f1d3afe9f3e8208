// Tabs of a terminal panel, each one terminal or several side by side. What a
// person arranged is kept; what there is decides.

/** arrange drops what is gone from the groups and gives what is new a tab of its own. */
export function arrange(groups: readonly string[][], ids: readonly string[]): string[][] {
  const left = new Set(ids);
  const kept = groups.map((g) => g.filter((id) => left.delete(id))).filter((g) => g.length > 0);
  return [...kept, ...[...left].map((id) => [id])];
}

/** beside puts a terminal next to another one, in its tab. */
export function beside(groups: readonly string[][], id: string, other: string): string[][] {
  const without = groups.map((g) => g.filter((x) => x !== id)).filter((g) => g.length > 0);
  if (!without.some((g) => g.includes(other))) return [...without, [id]];
  return without.map((g) => (g.includes(other) ? g.flatMap((x) => (x === other ? [x, id] : [x])) : g));
}
