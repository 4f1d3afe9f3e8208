// What the reader has opened in a timeline. It outlives the rows, which come
// and go as they are scrolled.
import { getContext, setContext } from "svelte";
import { SvelteSet } from "svelte/reactivity";
import type { Item } from "../../api/types.gen";

export interface Actions {
  diff(turnId: string, path?: string): void;
  /** Sends a prompt's text again as a new turn. */
  again(prompt: Item): void;
  /** Puts text into the composer. */
  reuse(text: string): void;
  /** The address of a message. */
  address(itemId: string): string;
}

export class TimelineView {
  /** Keys of folds and groups of steps. */
  folds = $state.raw<ReadonlySet<string>>(new Set());
  /** Items whose details are shown. */
  readonly opened = new SvelteSet<string>();
  /** The message that an address or a search leads to. */
  target = $state("");

  constructor(readonly actions: Actions) {}

  fold(key: string, open: boolean): void {
    if (this.folds.has(key) === open) return;
    const next = new Set(this.folds);
    if (open) next.add(key);
    else next.delete(key);
    this.folds = next;
  }

  open(id: string, open: boolean): void {
    if (open) this.opened.add(id);
    else this.opened.delete(id);
  }
}

const key = Symbol("timeline");

export function provideView(v: TimelineView): TimelineView {
  return setContext(key, v);
}

export function timelineView(): TimelineView {
  return getContext<TimelineView>(key);
}
