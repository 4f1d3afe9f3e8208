// What the sidebar lists, in which order. Pure.
import type { Project, Thread } from "../../api/types.gen";

export interface Group {
  project: Project;
  threads: Thread[];
}

const newestFirst = (a: Thread, b: Thread) => b.updatedAt - a.updatedAt || (a.id < b.id ? -1 : 1);

/** grouped puts threads under their projects, newest first; archived and pinned ones are elsewhere. One pass over the threads. */
export function grouped(projects: Project[], threads: Thread[], order: string[]): Group[] {
  const by = new Map<string, Thread[]>();
  for (const t of threads) {
    if (t.archivedAt || t.pinned) continue;
    const list = by.get(t.projectId);
    if (list) list.push(t);
    else by.set(t.projectId, [t]);
  }
  return ordered(projects, order).map((project) => ({ project, threads: (by.get(project.id) ?? []).sort(newestFirst) }));
}

/** ordered is the person's order; projects that are not in it follow as they were added. */
export function ordered(projects: Project[], order: string[]): Project[] {
  const at = new Map(order.map((id, i) => [id, i]));
  return projects
    .map((p, i) => ({ p, i: at.get(p.id) ?? order.length + i }))
    .sort((a, b) => a.i - b.i)
    .map((x) => x.p);
}

/** moved is the whole order with one project put before another; before undefined is the end. */
export function moved(ids: string[], id: string, before: string | undefined): string[] {
  if (id === before) return ids;
  const rest = ids.filter((x) => x !== id);
  const at = before === undefined ? rest.length : rest.indexOf(before);
  if (at < 0) return ids;
  return [...rest.slice(0, at), id, ...rest.slice(at)];
}

export function pinned(threads: Thread[]): Thread[] {
  return threads.filter((t) => t.pinned && !t.archivedAt).sort(newestFirst);
}

/** The first part of a long list, and how much comes with each "more". */
export const firstRows = 8;
export const moreRows = 100;

/** part is how many rows are drawn: the open thread is always among them. */
export function part(threads: Thread[], wanted: number, open: string | undefined): Thread[] {
  const list = threads.slice(0, wanted);
  if (open && !list.some((t) => t.id === open)) {
    const t = threads.find((x) => x.id === open);
    if (t) list.push(t);
  }
  return list;
}
