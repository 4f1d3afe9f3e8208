// The Markdown renderer, fetched apart from the first screen.
type Markdown = typeof import("./markdown");

class Renderer {
  /** The renderer, undefined until it is here: plain text is shown until then. */
  module = $state.raw<Markdown | undefined>(undefined);
  private asked = false;

  load(): void {
    if (this.asked) return;
    this.asked = true;
    import("./markdown").then((m) => (this.module = m)).catch(() => (this.asked = false));
  }
}

export const renderer = new Renderer();
