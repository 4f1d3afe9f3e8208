// What of the sidebar is folded and how far its lists are open. Folds are kept on this computer.
import { kept } from "../../platform";

export type Place = { top: number; bottom?: number; left?: number; right?: number };

class Side {
  private folds = $state.raw<Record<string, true>>(kept.json<Record<string, true>>("folded") ?? {});
  private wanted = $state.raw<Record<string, number>>({});
  /** The project that is being dragged. */
  dragged = $state.raw<{ env: string; project: string } | undefined>(undefined);

  folded(key: string): boolean {
    return !!this.folds[key];
  }
  fold(key: string, yes: boolean): void {
    const next = { ...this.folds };
    if (yes) next[key] = true;
    else delete next[key];
    this.folds = next;
    kept.set("folded", Object.keys(next).length ? JSON.stringify(next) : null);
  }
  rows(key: string, first: number): number {
    return this.wanted[key] ?? first;
  }
  more(key: string, n: number): void {
    this.wanted = { ...this.wanted, [key]: n };
  }
}

export const side = new Side();
