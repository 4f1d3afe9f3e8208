// Which files of a comparison were viewed. A mark is for what a file was then:
// once its change is another one, it is to be viewed again.
import type { DiffFile } from "../../api/types.gen";
import { type Review, scopeKey } from "./review.svelte";

const all = new Map<string, Viewed>();

class Viewed {
  private marks = $state.raw<Record<string, string>>({});
  private version(f: DiffFile): string {
    return `${f.status} ${f.additions} ${f.deletions} ${f.newBytes ?? ""}`;
  }
  has(f: DiffFile): boolean {
    return this.marks[f.path] === this.version(f);
  }
  toggle(f: DiffFile): void {
    this.marks = { ...this.marks, [f.path]: this.has(f) ? "" : this.version(f) };
  }
}

export function viewedIn(r: Review): Viewed {
  const key = `${r.place.projectId} ${r.place.threadId ?? ""} ${scopeKey(r.scope)}`;
  let v = all.get(key);
  if (!v) all.set(key, (v = new Viewed()));
  return v;
}
