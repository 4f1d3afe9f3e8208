// Up and down through what was said before, as in a shell.
export class Recall {
  private at = -1;
  private typed = "";

  /** active while a prompt of the past is shown. */
  get active(): boolean {
    return this.at >= 0;
  }

  /** up is the prompt before, the newest first; undefined when there is none. What was typed is kept. */
  up(prompts: string[], now: string): string | undefined {
    if (this.at < 0) this.typed = now;
    for (let i = this.at + 1; i < prompts.length; i++) {
      const text = prompts[prompts.length - 1 - i]!;
      // The same thing twice in a row is one step.
      if (text === now || !text) continue;
      this.at = i;
      return text;
    }
    return undefined;
  }

  /** down goes back towards what was typed; undefined when that is what is shown. */
  down(prompts: string[], now: string): string | undefined {
    if (this.at < 0) return undefined;
    for (let i = this.at - 1; i >= 0; i--) {
      const text = prompts[prompts.length - 1 - i]!;
      if (text === now || !text) continue;
      this.at = i;
      return text;
    }
    this.at = -1;
    return this.typed;
  }

  /** key is what an arrow key brings into a box: up on its first line and down on its last go through what was said before; undefined leaves the key to the box. */
  key(up: boolean, box: Pick<HTMLTextAreaElement, "selectionStart" | "selectionEnd">, text: string, prompts: string[]): string | undefined {
    const at = box.selectionStart;
    if (at !== box.selectionEnd) return undefined;
    if (!this.active && !(up && (at === 0 || !text))) return undefined;
    if (up ? text.slice(0, at).includes("\n") : text.slice(at).includes("\n")) return undefined;
    return up ? this.up(prompts, text) : this.down(prompts, text);
  }

  reset(): void {
    this.at = -1;
    this.typed = "";
  }
}
