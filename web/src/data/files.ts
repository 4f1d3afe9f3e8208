// A project's files: what the composer, the palette, the viewer and the search ask for.
import type { FileContent, FileFolder, FileMatches, FilePlace, FileSearch, FileView, FoundFile, FoundFiles } from "../api/types.gen";
import { MethodFileFind, MethodFileList, MethodFileRead, MethodFileSearch } from "../api/types.gen";
import type { EnvironmentStore } from "./environment.svelte";

/** What is needed of an environment; a story can stand in for it. */
export type FileHost = Pick<EnvironmentStore, "call">;

export type { FileContent, FilePlace, FoundFile };

/** place names a thread's working tree where there is a thread, else the project's folder. */
export function place(projectId: string, threadId?: string): FilePlace {
  return threadId ? { projectId, threadId } : { projectId };
}

/**
 * findFiles answers the best matches of an @ mention, the best first; an empty
 * query what was used or changed last. `signal` ends a request that a newer one replaces.
 */
export async function findFiles(env: FileHost, projectId: string, threadId: string | undefined, query: string, limit = 20, signal?: AbortSignal): Promise<FoundFile[]> {
  const r = await env.call<FoundFiles>(MethodFileFind, { ...place(projectId, threadId), query, limit }, { signal });
  return r.files ?? [];
}

export async function listFiles(env: FileHost, at: FilePlace, path: string): Promise<FileFolder> {
  const f = await env.call<FileFolder>(MethodFileList, { ...at, path });
  return { ...f, entries: f.entries ?? [] };
}

export function readFile(env: FileHost, at: FilePlace, path: string, offset = 0, signal?: AbortSignal): Promise<FileView> {
  return env.call<FileView>(MethodFileRead, { ...at, path, offset }, { signal });
}

export async function searchFiles(env: FileHost, at: FilePlace, search: Omit<FileSearch, keyof FilePlace>, signal?: AbortSignal): Promise<FileMatches> {
  const m = await env.call<FileMatches>(MethodFileSearch, { ...at, ...search }, { signal, timeoutMillis: 40_000 });
  return { ...m, files: m.files ?? [] };
}
