import { untrack } from "svelte";

// While something is changed on purpose a connection that ends is no news. Links
// are followed and recorded all the while; only the words about them wait.
export class Quiet {
  private held = $state(0);

  get on(): boolean {
    return this.held > 0;
  }

  /** enter returns the way out; of nested ones the outermost restores, each at most once. */
  enter(): () => void {
    // Not a dependency of the effect that calls this.
    untrack(() => this.held++);
    let inside = true;
    return () => {
      if (inside) untrack(() => this.held--);
      inside = false;
    };
  }
}
