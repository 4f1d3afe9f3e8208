// A part of the page that is fetched when it is first needed, and once: later
// uses draw it in the same frame.
import type { Component } from "svelte";

export class Lazy<P extends Record<string, unknown>> {
  /** The component, undefined until it is here. */
  part = $state.raw<Component<P> | undefined>(undefined);
  private asked: Promise<void> | undefined;

  constructor(private readonly load: () => Promise<{ default: Component<P> }>) {}

  /** want fetches it; a failure is forgotten, so that the next want tries again. */
  want(): Promise<void> {
    this.asked ??= this.load().then(
      (m) => {
        this.part = m.default;
      },
      () => {
        this.asked = undefined;
      },
    );
    return this.asked;
  }
}

/** lazy wraps an import() of a component. */
export function lazy<P extends Record<string, unknown>>(load: () => Promise<{ default: Component<P> }>): Lazy<P> {
  return new Lazy(load);
}
