// One comparison as it is shown: asked for page by page, long files piece by piece.
import type { Diff, DiffFile, Error as ApiError, GitPlace } from "../../api/types.gen";
import { MethodDiffThread, MethodDiffTurn, MethodDiffWorking } from "../../api/types.gen";
import type { EnvironmentStore } from "../../data/environment.svelte";
import { toApiError } from "../../data/errors";
import { kept } from "../../platform";

export type Scope = { kind: "turn"; turnId: string } | { kind: "thread" } | { kind: "working"; part: "all" | "staged" | "unstaged" };

export function sameScope(a: Scope, b: Scope): boolean {
  return scopeKey(a) === scopeKey(b);
}
export function scopeKey(s: Scope): string {
  return s.kind === "turn" ? `turn ${s.turnId}` : s.kind === "working" ? `working ${s.part}` : "thread";
}

/** How it is looked at; kept on this computer. */
class Look {
  split = $state(kept.get("diff.split") === "yes");
  wrap = $state(kept.get("diff.wrap") === "yes");
  ignore = $state(kept.get("diff.ignore") === "yes");
  tree = $state(kept.get("diff.tree") !== "no");

  toggle(what: "split" | "wrap" | "ignore" | "tree"): void {
    this[what] = !this[what];
    kept.set(`diff.${what}`, what === "tree" ? (this.tree ? null : "no") : this[what] ? "yes" : null);
  }
}
export const look = new Look();

export class Review {
  files = $state.raw<DiffFile[]>([]);
  total = $state(0);
  additions = $state(0);
  deletions = $state(0);
  truncated = $state(false);
  state = $state<"loading" | "ready" | "failed">("loading");
  error = $state.raw<ApiError | undefined>(undefined);
  /** The page of files that comes next, 0 when all are here. */
  next = $state(0);
  /** Asked again while the old answer is on screen. */
  refreshing = $state(false);
  /** Files whose text could not be had, with the reason. */
  missing = $state.raw<Record<string, ApiError>>({});
  private attempt = 0;
  private asked = new Set<string>();

  constructor(
    private readonly env: Pick<EnvironmentStore, "call">,
    readonly place: GitPlace,
    readonly scope: Scope,
    readonly ignore: boolean,
  ) {}

  private ask(options: Record<string, unknown>): Promise<Diff> {
    const o = { ...options, ignoreWhitespace: this.ignore || undefined };
    const wait = { timeoutMillis: 60_000 };
    switch (this.scope.kind) {
      case "turn":
        return this.env.call<Diff>(MethodDiffTurn, { turnId: this.scope.turnId, ...o }, wait);
      case "thread":
        return this.env.call<Diff>(MethodDiffThread, { threadId: this.place.threadId, ...o }, wait);
      default:
        return this.env.call<Diff>(MethodDiffWorking, { ...this.place, scope: this.scope.part, ...o }, wait);
    }
  }

  /** load asks anew; what is on screen stays until the answer is here. */
  async load(): Promise<void> {
    const mine = ++this.attempt;
    this.refreshing = this.state === "ready";
    if (this.state === "failed") this.state = "loading";
    try {
      const d = await this.ask({});
      if (mine !== this.attempt) return;
      this.asked.clear();
      this.missing = {};
      this.files = d.files ?? [];
      this.total = d.total ?? this.files.length;
      this.additions = d.additions ?? 0;
      this.deletions = d.deletions ?? 0;
      this.truncated = !!d.truncated;
      this.next = d.nextOffset ?? 0;
      this.state = "ready";
    } catch (e) {
      if (mine !== this.attempt) return;
      this.error = toApiError(e);
      this.state = "failed";
    } finally {
      if (mine === this.attempt) this.refreshing = false;
    }
  }

  /** more asks for the next page of files. */
  async more(): Promise<void> {
    const offset = this.next;
    const key = `page ${offset}`;
    if (!offset || this.asked.has(key)) return;
    this.asked.add(key);
    const mine = this.attempt;
    try {
      const d = await this.ask({ offset });
      if (mine !== this.attempt) return;
      this.files = [...this.files, ...(d.files ?? [])];
      this.next = d.nextOffset ?? 0;
    } catch {
      // Asked again when it comes into view again.
      if (mine === this.attempt) setTimeout(() => this.asked.delete(key), 2_000);
    }
  }

  /** fill asks for a file's text that did not fit the answer, or for its next piece. */
  async fill(path: string): Promise<void> {
    const f = this.files.find((x) => x.path === path);
    const skip = f?.next ?? 0;
    const key = `${path} ${skip}`;
    if (!f || (!f.pending && !skip) || this.asked.has(key)) return;
    this.asked.add(key);
    const mine = this.attempt;
    try {
      const d = await this.ask({ paths: f.oldPath ? [path, f.oldPath] : [path], skip: skip || undefined });
      if (mine !== this.attempt) return;
      const got = (d.files ?? []).find((x) => x.path === path);
      if (!got) throw new Error("The file is not in the comparison any more.");
      this.files = this.files.map((x) => (x.path === path ? joined(x, got) : x));
    } catch (e) {
      if (mine === this.attempt) this.missing = { ...this.missing, [path]: toApiError(e) };
    }
  }

  /** retry asks once more for a file that failed. */
  retry(path: string): void {
    const { [path]: _, ...rest } = this.missing;
    this.missing = rest;
    for (const k of [...this.asked]) if (k.startsWith(`${path} `)) this.asked.delete(k);
    void this.fill(path);
  }
}

/** joined puts a piece behind what is there; a hunk that was cut in two is one again. */
export function joined(f: DiffFile, piece: DiffFile): DiffFile {
  const hunks = [...(f.hunks ?? [])];
  for (const h of piece.hunks ?? []) {
    const last = hunks.at(-1);
    const lines = last?.lines ?? [];
    const olds = lines.filter((l) => l[0] !== "+").length;
    const news = lines.filter((l) => l[0] !== "-").length;
    if (last && last.oldStart + olds === h.oldStart && last.newStart + news === h.newStart) {
      hunks[hunks.length - 1] = { ...last, lines: [...lines, ...(h.lines ?? [])], oldLines: Math.max(last.oldLines, olds + h.oldLines), newLines: Math.max(last.newLines, news + h.newLines), oldNoNewline: h.oldNoNewline, newNoNewline: h.newNoNewline };
    } else hunks.push(h);
  }
  return { ...f, hunks, pending: false, next: piece.next ?? 0 };
}
