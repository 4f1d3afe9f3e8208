// Files that are dropped on the composer become mentions. An editor tells their
// paths; a file manager tells the browser only names, which are looked for in the project.
import type { PathTranslated } from "../../api/types.gen";
import { MethodPathTranslate } from "../../api/types.gen";
import type { EnvironmentStore } from "../../data/environment.svelte";
import { findFiles } from "../../data/files";
import { inProject } from "../../data/words";

/** filePaths reads file: addresses of a text/uri-list. */
export function filePaths(list: string): string[] {
  const out: string[] = [];
  for (const line of list.split(/\r?\n/)) {
    if (!line.startsWith("file://")) continue;
    try {
      const u = new URL(line);
      const path = decodeURIComponent(u.pathname);
      // file:///C:/x is C:\x, file://host/share is a share of Windows.
      if (/^\/[A-Za-z]:/.test(path)) out.push(path.slice(1).replaceAll("/", "\\"));
      else out.push(u.host ? `\\\\${u.host}${path.replaceAll("/", "\\")}` : path);
    } catch {
      // Not an address after all.
    }
  }
  return out;
}

/** droppedPaths gives the paths to mention, and the names of files that nobody can place. */
export async function droppedPaths(env: EnvironmentStore, projectId: string, threadId: string | undefined, data: DataTransfer, files: File[]): Promise<{ paths: string[]; unknown: string[] }> {
  // Read before anything is awaited: afterwards the browser gives nothing.
  const told = filePaths(data.getData("text/uri-list"));
  const root = env.shell.projects.find((p) => p.id === projectId)?.path ?? "";
  const paths: string[] = [];
  const unknown: string[] = [];
  for (const t of told) {
    const path = await env.call<PathTranslated>(MethodPathTranslate, { path: t }).then((r) => r.path, () => t);
    paths.push(inProject(path, root));
  }
  if (told.length) return { paths, unknown };
  for (const f of files) {
    const found = await findFiles(env, projectId, threadId, f.name, 5).catch(() => []);
    const same = found.filter((x) => x.path === f.name || x.path.endsWith(`/${f.name}`) || x.path.endsWith(`\\${f.name}`));
    if (same[0]) paths.push(same[0].path);
    else unknown.push(f.name);
  }
  return { paths, unknown };
}
