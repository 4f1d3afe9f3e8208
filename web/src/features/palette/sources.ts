// What the palette looks through, as rows. Local ones are there at once; files
// and messages are asked of the backends.
import type { SearchHit, SearchHits } from "../../api/types.gen";
import { MethodSearch } from "../../api/types.gen";
import { app } from "../../data/app.svelte";
import { commands } from "../../data/commands.svelte";
import type { EnvironmentStore } from "../../data/environment.svelte";
import { findFiles } from "../../data/files";
import { panels } from "../../data/panels.svelte";
import { age, listStatus } from "../../data/words";
import type { IconName } from "../../ui/Icon.svelte";
import { best } from "./fuzzy";

export interface Row {
  id: string;
  group: string;
  title: string;
  marks: number[];
  icon?: IconName;
  /** Beside the title, quiet. */
  about?: string;
  /** At the right edge: key caps, or a word. */
  caps?: string[];
  word?: string;
  danger?: boolean;
  run: () => void;
}

/** What is offered before anything is typed, in this order. */
const usual = ["thread.new", "project.add", "palette.files", "palette.messages", "panel.terminal", "panel.changes", "palette.commands", "go.settings", "view.theme"];
const rank = (id: string) => (usual.indexOf(id) + usual.length + 1) % (usual.length + 1);

export function commandRows(query: string, n: number): Row[] {
  const all = commands.available();
  if (!query) all.sort((a, b) => rank(a.id) - rank(b.id));
  return best(query, all, (c) => c.title, (c) => `${c.group} ${c.words ?? ""}`, n).map(({ item: c, marks }) => ({
    id: `c ${c.id}`,
    group: "Commands",
    title: c.title,
    marks,
    icon: c.icon,
    caps: commands.caps(c.id),
    danger: c.danger,
    run: () => commands.run(c.id),
  }));
}

export function threadRows(query: string, n: number, group = "Threads"): Row[] {
  const all = app.stores.flatMap((env) => {
    const names = new Map(env.shell.projects.map((p) => [p.id, p.name]));
    return env.shell.threads.filter((t) => !t.archivedAt).map((t) => ({ env, t, title: t.title || "New thread", project: names.get(t.projectId) ?? "" }));
  });
  all.sort((a, b) => b.t.updatedAt - a.t.updatedAt);
  const many = app.shown.length > 1;
  const now = Date.now();
  return best(query, all, (x) => x.title, (x) => x.project, n).map(({ item: x, marks }) => {
    const s = listStatus(x.t);
    return {
      id: `t ${x.env.id} ${x.t.id}`,
      group,
      title: x.title,
      marks,
      icon: "message" as const,
      about: many ? `${x.project} · ${x.env.info.name}` : x.project,
      word: s.key === "done" || s.key === "new" ? age(x.t.updatedAt, now) : s.word,
      run: () => app.go({ page: "thread", env: x.env.id, thread: x.t.id }),
    };
  });
}

export function projectRows(query: string, n: number): Row[] {
  const all = app.stores.flatMap((env) => env.shell.projects.map((p) => ({ env, p })));
  return best(query, all, (x) => x.p.name, (x) => x.p.path, n).map(({ item: x, marks }) => ({
    id: `p ${x.env.id} ${x.p.id}`,
    group: "Projects",
    title: x.p.name,
    marks,
    icon: "folder" as const,
    about: x.p.path,
    word: app.shown.length > 1 ? x.env.info.name : undefined,
    run: () => app.go({ page: "project", env: x.env.id, project: x.p.id }),
  }));
}

export async function fileRows(query: string, n: number, at: { env: EnvironmentStore; project: string; thread?: string }, signal: AbortSignal): Promise<Row[]> {
  const files = await findFiles(at.env, at.project, at.thread, query, n, signal);
  return files
    .filter((f) => !f.folder)
    .map((f) => ({
      id: `f ${f.path}`,
      group: "Files",
      title: f.path,
      marks: (f.marks ?? []).flatMap((m) => Array.from({ length: m.end - m.start }, (_, i) => m.start + i)),
      icon: "read" as const,
      word: f.changed ? "changed" : undefined,
      run: () => panels.open("files", { path: f.path }),
    }));
}

/** messageRows asks every live backend; one that fails has no rows and does not end the others. */
export async function messageRows(query: string, n: number, signal: AbortSignal): Promise<Row[]> {
  const envs = app.stores.filter((s) => s.usable);
  const answers = await Promise.all(
    envs.map((env) =>
      env.call<SearchHits>(MethodSearch, { text: query, limit: n, archived: true }, { signal }).then(
        (r) => (r.hits ?? []).filter((h) => h.itemId).map((h) => ({ env, h })),
        () => [] as { env: EnvironmentStore; h: SearchHit }[],
      ),
    ),
  );
  return answers
    .flat()
    .sort((a, b) => b.h.at - a.h.at)
    .slice(0, n)
    .map(({ env, h }) => ({
      id: `m ${env.id} ${h.itemId}`,
      group: "Messages",
      title: h.snippet,
      marks: h.marks.flatMap((m) => Array.from({ length: m.end - m.start }, (_, i) => m.start + i)),
      icon: "search" as const,
      about: h.thread.title || "New thread",
      word: age(h.at, Date.now()),
      run: () => app.go({ page: "thread", env: env.id, thread: h.thread.id, item: h.itemId }),
    }));
}
