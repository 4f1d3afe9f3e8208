// How a turn's items are laid out: text stands alone, steps in between form
// groups that fold once the turn has ended.
import type { Item, Turn } from "../../api/types.gen";

export type Segment = { key: string; kind: "item"; item: Item } | { key: string; kind: "steps"; items: Item[] };

const foldedFrom = 4;

function isStep(i: Item): boolean {
  return i.kind === "tool_call" || i.kind === "reasoning" || i.kind === "unknown" || (i.kind === "approval" && i.approval?.state !== "pending");
}

/** segments groups consecutive steps of a finished turn when there are many of them. */
export function segments(items: Item[], turn: Turn | undefined): Segment[] {
  const finished = turn?.state === "completed" || turn?.state === "interrupted" || turn?.state === "failed";
  const out: Segment[] = [];
  let run: Item[] = [];
  const flush = () => {
    if (finished && run.length >= foldedFrom) out.push({ key: `steps ${run[0]!.id}`, kind: "steps", items: run });
    else for (const item of run) out.push({ key: item.id, kind: "item", item });
    run = [];
  };
  for (const item of items) {
    if (isStep(item)) run.push(item);
    else {
      flush();
      out.push({ key: item.id, kind: "item", item });
    }
  }
  flush();
  return out;
}

export interface TurnGroup {
  id: string;
  turn: Turn | undefined;
  items: Item[];
}

/** groupByTurn keeps the order of the log; queued turns are left to the composer. */
export function groupByTurn(turns: Turn[], items: Item[]): TurnGroup[] {
  const byId = new Map(turns.map((t) => [t.id, t]));
  const groups = new Map<string, TurnGroup>();
  for (const t of turns) if (t.state !== "queued") groups.set(t.id, { id: t.id, turn: t, items: [] });
  for (const i of items) {
    if (byId.get(i.turnId)?.state === "queued") continue;
    let g = groups.get(i.turnId);
    if (!g) groups.set(i.turnId, (g = { id: i.turnId, turn: undefined, items: [] }));
    g.items.push(i);
  }
  return [...groups.values()];
}
