// Images of a message that is being written: each is uploaded as soon as it is
// there, so that sending waits for nothing.
import type { Attachment } from "../../api/types.gen";
import type { EnvironmentStore } from "../../data/environment.svelte";
import { toApiError } from "../../data/errors";
import { size } from "../../data/words";

export const mostBytes = 10 * 1024 * 1024;
export const mostImages = 10;
export const imageTypes = ["image/png", "image/jpeg", "image/gif", "image/webp"];

export interface Picture {
  key: number;
  name: string;
  /** What an <img> can show; "" while it is not known. */
  preview: string;
  /** Set once it is uploaded. */
  done: Attachment | undefined;
  error: string;
  file: File | undefined;
}

export class Attachments {
  list = $state.raw<Picture[]>([]);
  /** Why something was not taken. */
  refused = $state("");
  private next = 1;
  private aborts = new Map<number, AbortController>();
  private urls = new Set<string>();
  private waits = new Map<number, Promise<void>>();

  uploading = $derived(this.list.some((p) => !p.done && !p.error));
  failed = $derived(this.list.some((p) => p.error !== ""));
  done = $derived(this.list.flatMap((p) => (p.done ? [p.done] : [])));

  constructor(
    private readonly env: EnvironmentStore,
    private readonly onchange: () => void,
  ) {}

  /** restore shows images of a draft; their pictures are fetched when there is a backend. */
  restore(files: Attachment[]): void {
    for (const a of files) {
      const key = this.next++;
      this.list = [...this.list, { key, name: a.name, preview: "", done: a, error: "", file: undefined }];
      this.env
        .picture(a.id)
        .then((preview) => this.change(key, { preview }))
        // One that nobody sent for a day is gone.
        .catch((e: unknown) => {
          if (toApiError(e).code === "not_found") this.remove(key);
        });
    }
  }

  /** add takes files; what is no image, too large or too many is told in `refused`. */
  add(files: File[]): void {
    const problems: string[] = [];
    for (const f of files) {
      if (!imageTypes.includes(f.type)) problems.push(`${f.name} is no PNG, JPEG, GIF or WebP image.`);
      else if (f.size > mostBytes) problems.push(`${f.name} has ${size(f.size)}; an image may have ${size(mostBytes)}.`);
      else if (this.list.length >= mostImages) problems.push(`A message may carry ${mostImages} images.`);
      else {
        const key = this.next++;
        const preview = URL.createObjectURL(f);
        this.urls.add(preview);
        this.list = [...this.list, { key, name: f.name || "image.png", preview, done: undefined, error: "", file: f }];
        this.upload(key, f);
      }
    }
    this.refused = [...new Set(problems)].join(" ");
  }

  private upload(key: number, f: File): void {
    const abort = new AbortController();
    this.aborts.set(key, abort);
    const ready = this.env
      .upload(f, f.name || "image.png", abort.signal)
      .then((done) => {
        this.change(key, { done, error: "" });
        this.onchange();
      })
      .catch((e: unknown) => {
        if (!abort.signal.aborted) this.change(key, { error: toApiError(e).message });
      })
      .finally(() => {
        this.aborts.delete(key);
        this.waits.delete(key);
      });
    this.waits.set(key, ready);
  }

  retry(key: number): void {
    const p = this.list.find((x) => x.key === key);
    if (!p?.file) return;
    this.change(key, { error: "" });
    this.upload(key, p.file);
  }

  remove(key: number): void {
    this.aborts.get(key)?.abort();
    const p = this.list.find((x) => x.key === key);
    this.list = this.list.filter((x) => x.key !== key);
    if (p) this.release(p.preview);
    this.refused = "";
    this.onchange();
  }

  /** settled waits until nothing is being uploaded any more. */
  async settled(): Promise<void> {
    await Promise.all(this.waits.values());
  }

  /** take empties the list and returns what was in it. */
  take(): Picture[] {
    const all = this.list;
    this.list = [];
    this.refused = "";
    return all;
  }
  /** put brings back what take gave. */
  put(list: Picture[]): void {
    this.list = [...list, ...this.list];
  }

  private change(key: number, c: Partial<Picture>): void {
    this.list = this.list.map((p) => (p.key === key ? { ...p, ...c } : p));
  }

  private release(url: string): void {
    if (this.urls.delete(url)) URL.revokeObjectURL(url);
  }

  /** drop lets go of the pictures, of those that were sent too. */
  drop(): void {
    for (const a of this.aborts.values()) a.abort();
    for (const u of this.urls) URL.revokeObjectURL(u);
    this.urls.clear();
  }
}
