// How much room there is, what of the frame is shown and how large; all of it is kept.
import { kept } from "../platform";

interface Size {
  min: number;
  max: number;
  usual: number;
}

export const sizes: Record<"rail" | "side" | "drawer", Size> = {
  rail: { min: 208, max: 480, usual: 272 },
  side: { min: 360, max: 1400, usual: 620 },
  drawer: { min: 120, max: 1200, usual: 280 },
};
/** What is left for the thread beside the panels. */
const least = { width: 400, height: 200 };

function stored(name: keyof typeof sizes): number {
  const s = sizes[name];
  const n = Number(kept.get(`size.${name}`));
  return n >= s.min && n <= s.max ? n : s.usual;
}

class Layout {
  /** The sidebar is a drawer over the page, panels are sheets. */
  narrow = $state(false);
  /** There is room for a panel beside the thread. */
  wide = $state(true);
  width = $state(1440);
  height = $state(900);
  rail = $state(kept.get("rail") !== "hidden");
  /** A sheet lies over the page and the sidebar. */
  covered = $state(false);
  /** The sidebar is out over a narrow page. */
  drawer = $state(false);
  private asked = $state({ rail: stored("rail"), side: stored("side"), drawer: stored("drawer") });

  private railRoom = $derived(this.narrow || !this.rail ? 0 : Math.min(this.asked.rail, sizes.rail.max));
  sideMax = $derived(Math.max(sizes.side.min, this.width - this.railRoom - least.width));
  drawerMax = $derived(Math.max(sizes.drawer.min, this.height - least.height));
  size = $derived({ rail: this.asked.rail, side: Math.min(this.asked.side, this.sideMax), drawer: Math.min(this.asked.drawer, this.drawerMax) });

  watch(): void {
    const narrow = matchMedia("(max-width: 719px)");
    const wide = matchMedia("(min-width: 1080px)");
    const set = () => {
      this.narrow = narrow.matches;
      this.wide = wide.matches;
      this.width = innerWidth;
      this.height = innerHeight;
      if (!narrow.matches) this.drawer = false;
    };
    narrow.addEventListener("change", set);
    wide.addEventListener("change", set);
    window.addEventListener("resize", set);
    set();
  }

  toggle(): void {
    if (this.narrow) this.drawer = !this.drawer;
    else {
      this.rail = !this.rail;
      kept.set("rail", this.rail ? null : "hidden");
    }
  }

  resize(name: keyof typeof sizes, value: number): void {
    this.asked[name] = value;
  }
  keep(name: keyof typeof sizes): void {
    kept.set(`size.${name}`, this.asked[name] === sizes[name].usual ? null : String(this.asked[name]));
  }
}

export const layout = new Layout();
