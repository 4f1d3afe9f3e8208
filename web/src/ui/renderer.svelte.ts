// The Markdown renderer, fetched apart from the first screen.
import { inQuiet } from "../platform/frame";

type Markdown = typeof import("./markdown");

class Renderer {
  /** The renderer, undefined until it is here: plain text is shown until then. */
  module = $state.raw<Markdown | undefined>(undefined);
  private asked = false;

  load(): void {
    if (this.asked) return;
    this.asked = true;
    import("./markdown")
      .then((m) => {
        this.module = m;
        // What is used for the first time is slow: better now than when a thread opens.
        inQuiet(() => m.render("Some **words** and `code`.\n\n- one\n"));
      })
      .catch(() => (this.asked = false));
  }
}

export const renderer = new Renderer();
