// Find in a thread. The backend searches, for the document has only what is in
// view; what is drawn of a hit is marked without touching the document.
import type { SearchHit } from "../../api/types.gen";
import type { ThreadStore } from "../../data/thread.svelte";
import { toApiError } from "../../data/errors";

export class Find {
  open = $state(false);
  text = $state("");
  hits = $state.raw<SearchHit[]>([]);
  /** There are more than the backend lists. */
  more = $state(false);
  at = $state(-1);
  busy = $state(false);
  problem = $state("");
  hit = $derived(this.hits[this.at]);
  private abort: AbortController | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asked = "";

  constructor(
    private readonly thread: ThreadStore,
    private readonly reveal: (itemId: string) => Promise<void>,
  ) {}

  show(): void {
    this.open = true;
  }
  hide(): void {
    this.open = false;
    this.abort?.abort();
    clearTimeout(this.timer);
    this.hits = [];
    this.at = -1;
    this.asked = "";
  }

  /** type searches a moment after the last key. */
  type(text: string): void {
    this.text = text;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.search(), 150);
  }

  async search(): Promise<void> {
    clearTimeout(this.timer);
    const text = this.text.trim();
    if (text === this.asked) return;
    this.asked = text;
    this.abort?.abort();
    this.problem = "";
    this.hits = [];
    this.at = -1;
    if (!text) return;
    const abort = (this.abort = new AbortController());
    this.busy = true;
    try {
      const r = await this.thread.find(text, abort.signal);
      // By time, as they stand in the log; a title is no place in it.
      this.hits = (r.hits ?? []).filter((h) => h.itemId).sort((a, b) => a.at - b.at);
      this.more = r.more === true;
      await this.go(this.hits.length - 1);
    } catch (e) {
      if (!abort.signal.aborted) this.problem = toApiError(e).message;
    } finally {
      if (this.abort === abort) this.busy = false;
    }
  }

  async go(to: number): Promise<void> {
    const n = this.hits.length;
    if (!n) return;
    this.at = ((to % n) + n) % n;
    await this.reveal(this.hits[this.at]!.itemId!);
  }
  async step(by: 1 | -1): Promise<void> {
    await this.search();
    if (this.hits.length > 1 || this.at < 0) await this.go(this.at + by);
    else await this.go(0);
  }
}

/** wordsOf is what the backend looks for: every word, each as the beginning of one. */
export function wordsOf(text: string): RegExp | undefined {
  const words = text.match(/[\p{L}\p{N}_]+/gu);
  if (!words?.length) return undefined;
  return new RegExp(`(?<![\\p{L}\\p{N}_])(?:${words.sort((a, b) => b.length - a.length).join("|")})`, "giu");
}

const most = 500;

/** marksIn gives the places of the words in an element that is drawn. */
export function marksIn(root: Element, words: RegExp): Range[] {
  const out: Range[] = [];
  const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let n = walk.nextNode(); n && out.length < most; n = walk.nextNode()) {
    for (const m of (n as Text).data.matchAll(words)) {
      const r = document.createRange();
      r.setStart(n, m.index);
      r.setEnd(n, m.index + m[0].length);
      out.push(r);
    }
  }
  return out;
}
