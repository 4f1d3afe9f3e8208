// Which panel is open beside the thread and which in the drawer below it. The
// panels themselves are registered in app/panels.ts and drawn by its hosts;
// features open one by name and pass it what to show.
import { untrack } from "svelte";
import { kept } from "../platform";

export type Side = "right" | "bottom";

/** What a panel is asked to show; each panel has its own words. */
export type PanelArg = Record<string, unknown>;

class Panels {
  /** The open panel of each side, "" when it is closed. */
  right = $state(kept.get("panel.right") ?? "");
  bottom = $state(kept.get("panel.bottom") ?? "");
  /** The panel that was open last, for "show the panel". */
  private last: Record<Side, string> = { right: kept.get("panel.right.last") ?? "", bottom: kept.get("panel.bottom.last") ?? "" };
  private args = $state.raw<Record<string, PanelArg | undefined>>({});
  /** Asked for again: a panel that is open already hears it. */
  asked = $state.raw<Record<string, number>>({});
  badges = $state.raw<Record<string, string | undefined>>({});
  /** The right panel takes the whole room. */
  full = $state(false);
  /** Which side a panel stands on; app/panels.ts fills it. */
  sides: Record<string, Side> = {};

  open(id: string, arg?: PanelArg): void {
    const side = this.sides[id] ?? "right";
    untrack(() => {
      if (arg) this.args = { ...this.args, [id]: arg };
      this.asked = { ...this.asked, [id]: (this.asked[id] ?? 0) + 1 };
    });
    this.put(side, id);
  }
  close(side: Side): void {
    this.put(side, "");
    if (side === "right") this.full = false;
  }
  toggle(id: string): void {
    const side = this.sides[id] ?? "right";
    if (this[side] === id) this.close(side);
    else this.open(id);
  }
  /** show opens what was open last on a side, or the first one offered. */
  show(side: Side, offered: string[]): void {
    const id = offered.includes(this.last[side]) ? this.last[side] : offered[0];
    if (id) this.open(id);
  }
  private put(side: Side, id: string): void {
    this[side] = id;
    kept.set(`panel.${side}`, id || null);
    if (id) {
      this.last[side] = id;
      kept.set(`panel.${side}.last`, id);
    }
  }

  arg(id: string): PanelArg | undefined {
    return this.args[id];
  }
  badge(id: string, text: string | undefined): void {
    untrack(() => {
      if (this.badges[id] !== text) this.badges = { ...this.badges, [id]: text };
    });
  }
  /** Another thread is shown: what was asked of the last one is no more. */
  leave(): void {
    this.args = {};
    this.badges = {};
  }
}

export const panels = new Panels();
