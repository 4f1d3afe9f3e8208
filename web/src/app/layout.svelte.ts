// How much room there is, and whether the sidebar is shown.
import { kept } from "../platform";

class Layout {
  /** The sidebar is a drawer over the page. */
  narrow = $state(false);
  /** There is room for a diff beside the thread. */
  wide = $state(true);
  rail = $state(kept.get("rail") !== "hidden");
  drawer = $state(false);

  watch(): void {
    const narrow = matchMedia("(max-width: 719px)");
    const wide = matchMedia("(min-width: 1080px)");
    const set = () => {
      this.narrow = narrow.matches;
      this.wide = wide.matches;
      if (!narrow.matches) this.drawer = false;
    };
    narrow.addEventListener("change", set);
    wide.addEventListener("change", set);
    set();
  }

  toggle(): void {
    if (this.narrow) this.drawer = !this.drawer;
    else {
      this.rail = !this.rail;
      kept.set("rail", this.rail ? null : "hidden");
    }
  }
}

export const layout = new Layout();
