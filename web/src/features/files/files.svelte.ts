// What is open in a project's files: folders, the file, the search. It lives as
// long as the page, so that coming back finds it as it was.
import type { Error as ApiError, FileEntry, FileFolder, FileMatches, FilePlace, FileView } from "../../api/types.gen";
import type { EnvironmentStore } from "../../data/environment.svelte";
import { toApiError } from "../../data/errors";
import { listFiles, readFile, searchFiles } from "../../data/files";
import type { Row } from "../../ui/virtual";

export interface TreeRow extends Row {
  depth: number;
  path: string;
  entry?: FileEntry;
  /** What stands in the place of entries: it loads, is empty, failed, has more. */
  say?: string;
}

const rowHeight = 26;

export class FileBrowser {
  folders = $state.raw<Record<string, FileFolder | undefined>>({});
  open = $state.raw<Record<string, boolean>>({ "": true });
  failed = $state.raw<Record<string, ApiError>>({});
  /** The file on screen, and the line to go to. */
  path = $state("");
  line = $state(0);
  mode = $state<"tree" | "search">("tree");
  view = $state.raw<FileView | undefined>(undefined);
  error = $state.raw<ApiError | undefined>(undefined);
  loading = $state(false);
  search = $state({ text: "", regex: false, case: false, word: false, include: "" });
  matches = $state.raw<FileMatches | undefined>(undefined);
  searching = $state(false);
  searchError = $state.raw<ApiError | undefined>(undefined);
  private reading: AbortController | undefined;
  private looking: AbortController | undefined;

  constructor(
    readonly env: EnvironmentStore,
    readonly place: FilePlace,
  ) {}

  async list(path: string): Promise<void> {
    const { [path]: _, ...rest } = this.failed;
    this.failed = rest;
    try {
      const f = await listFiles(this.env, this.place, path);
      this.folders = { ...this.folders, [path]: f };
    } catch (e) {
      this.failed = { ...this.failed, [path]: toApiError(e) };
    }
  }
  toggle(path: string): void {
    const to = !this.open[path];
    this.open = { ...this.open, [path]: to };
    if (to) void this.list(path);
  }
  /** refresh lists again what is open. */
  async refresh(): Promise<void> {
    await Promise.all(Object.keys(this.open).filter((p) => this.open[p]).map((p) => this.list(p)));
    if (this.path) await this.read(this.path, 0);
  }
  /** reveal opens the folders above a path. */
  reveal(path: string): void {
    const parts = path.split("/").slice(0, -1);
    const above = parts.map((_, i) => parts.slice(0, i + 1).join("/"));
    this.open = { ...this.open, ...Object.fromEntries(above.map((p) => [p, true])) };
    for (const p of ["", ...above]) if (!this.folders[p]) void this.list(p);
  }

  rows = $derived.by((): TreeRow[] => {
    const out: TreeRow[] = [];
    const walk = (at: string, depth: number): void => {
      const f = this.folders[at];
      const row = (path: string, more: Partial<TreeRow>): TreeRow => ({ key: path, height: rowHeight, measured: true, depth, path, ...more });
      if (this.failed[at]) out.push(row(`${at}/!`, { say: this.failed[at].message }));
      else if (!f) out.push(row(`${at}/?`, { say: "Loading" }));
      for (const entry of f?.entries ?? []) {
        const path = at ? `${at}/${entry.name}` : entry.name;
        out.push(row(entry.broken ? `${path}\u0000${out.length}` : path, { entry, path }));
        if (entry.kind === "folder" && this.open[path]) walk(path, depth + 1);
      }
      if (f && f.entries.length === 0) out.push(row(`${at}/-`, { say: "Empty" }));
      if (f?.truncated) out.push(row(`${at}/+`, { say: "There are more than are listed" }));
    };
    walk("", 0);
    return out;
  });

  /** show opens a file at a line. */
  async show(path: string, line = 0): Promise<void> {
    this.line = line;
    if (this.path === path && this.view && !this.error) return;
    this.path = path;
    this.view = undefined;
    await this.read(path, 0);
  }
  close(): void {
    this.reading?.abort();
    this.path = "";
    this.view = this.error = undefined;
  }

  /** read asks for the file from an offset on; a later piece is put behind what is there. */
  async read(path: string, offset: number): Promise<void> {
    this.reading?.abort();
    const mine = (this.reading = new AbortController());
    this.loading = true;
    this.error = undefined;
    try {
      const v = await readFile(this.env, this.place, path, offset, mine.signal);
      if (mine.signal.aborted) return;
      this.view = offset && this.view ? { ...v, text: (this.view.text ?? "") + (v.text ?? "") } : v;
    } catch (e) {
      if (!mine.signal.aborted) this.error = toApiError(e);
    } finally {
      if (this.reading === mine) this.loading = false;
    }
  }

  async find(): Promise<void> {
    this.looking?.abort();
    const s = this.search;
    if (!s.text) {
      this.matches = this.searchError = undefined;
      this.searching = false;
      return;
    }
    const mine = (this.looking = new AbortController());
    this.searching = true;
    this.searchError = undefined;
    try {
      const include = s.include.split(",").map((g) => g.trim()).filter(Boolean);
      const m = await searchFiles(this.env, this.place, { text: s.text, regex: s.regex, case: s.case, word: s.word, include, limit: 1000 }, mine.signal);
      if (!mine.signal.aborted) this.matches = m;
    } catch (e) {
      if (!mine.signal.aborted) {
        this.searchError = toApiError(e);
        this.matches = undefined;
      }
    } finally {
      if (this.looking === mine) this.searching = false;
    }
  }
}

const all = new Map<string, FileBrowser>();
const mostKept = 6;

export function browserOf(env: EnvironmentStore, place: FilePlace): FileBrowser {
  const key = `${env.id} ${place.projectId} ${place.threadId ?? ""}`;
  let b = all.get(key);
  if (!b || b.env !== env) {
    b = new FileBrowser(env, place);
    all.delete(key);
    all.set(key, b);
    if (all.size > mostKept) all.delete(all.keys().next().value!);
  }
  return b;
}
