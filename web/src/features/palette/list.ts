// The palette's list: its groups, and the keys that go through it. Pure.

/** page is how many rows a page key goes. */
const page = 8;

/** grouped puts rows that follow each other and have the same group together; i is a row's place in the list. */
export function grouped<R extends { group: string }>(rows: readonly R[]): { name: string; rows: { row: R; i: number }[] }[] {
  const out: { name: string; rows: { row: R; i: number }[] }[] = [];
  rows.forEach((row, i) => {
    const last = out.at(-1);
    if (last?.name === row.group) last.rows.push({ row, i });
    else out.push({ name: row.group, rows: [{ row, i }] });
  });
  return out;
}

/** moved is where a key leads from a place in a list of n rows; undefined for a key that does not move. */
export function moved(e: Pick<KeyboardEvent, "key" | "ctrlKey">, at: number, n: number): number | undefined {
  const last = Math.max(0, n - 1);
  switch (e.key) {
    case "ArrowDown":
      return n ? (at + 1) % n : 0;
    case "ArrowUp":
      return n ? (at - 1 + n) % n : 0;
    case "PageDown":
      return Math.min(last, at + page);
    case "PageUp":
      return Math.max(0, at - page);
    case "Home":
      return e.ctrlKey ? 0 : undefined;
    case "End":
      return e.ctrlKey ? last : undefined;
  }
  return undefined;
}
