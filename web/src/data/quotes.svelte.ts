// Text that goes into a thread's message from elsewhere on the page: comments
// on a diff, a piece of a file. It waits here until the composer is there.
import { untrack } from "svelte";

class Quotes {
  private waiting = $state.raw<Record<string, string[]>>({});

  /** add gives text to the composer of a thread or a project's page. */
  add(place: string, text: string): void {
    untrack(() => (this.waiting = { ...this.waiting, [place]: [...(this.waiting[place] ?? []), text] }));
  }
  has(place: string): boolean {
    return !!this.waiting[place]?.length;
  }
  /** take answers what waits, once. */
  take(place: string): string {
    const text = (this.waiting[place] ?? []).join("\n\n");
    untrack(() => (this.waiting = { ...this.waiting, [place]: [] }));
    return text;
  }
}

export const quotes = new Quotes();
