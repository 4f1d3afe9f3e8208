// Short messages that leave by themselves: errors of actions that have no place
// of their own, and what was done with a way back.
import type { Error as ApiError } from "../api/types.gen";
import { toApiError } from "../data/errors";

export interface Toast {
  id: number;
  tone: "quiet" | "bad";
  text: string;
  hint?: string;
  /** Takes back what was done; the toast leaves with it. */
  undo?: () => unknown;
}

const shownMillis = 6_000;
const undoMillis = 10_000;
const most = 3;

class Toasts {
  list = $state.raw<Toast[]>([]);
  private next = 1;
  private after = new Map<number, () => unknown>();
  private timers = new Map<number, ReturnType<typeof setTimeout>>();

  private add(t: Omit<Toast, "id">, millis: number): number {
    const id = this.next++;
    // The oldest makes room, as if its time were up.
    for (const old of this.list.slice(0, Math.max(0, this.list.length - most + 1))) this.drop(old.id);
    this.list = [...this.list, { ...t, id }];
    this.timers.set(id, setTimeout(() => this.drop(id), millis));
    return id;
  }
  say(text: string, tone: Toast["tone"] = "quiet", hint?: string): number {
    return this.add({ text, tone, hint }, shownMillis);
  }
  undo(text: string, undo: () => unknown): number {
    return this.add({ text, tone: "quiet", undo }, undoMillis);
  }
  /** delayed does something when the toast has gone by itself; undoing it before means that it never happens. */
  delayed(text: string, f: () => unknown, undone: () => unknown): number {
    const id = this.add({ text, tone: "quiet", undo: undone }, undoMillis);
    this.after.set(id, f);
    return id;
  }
  error(e: unknown): void {
    const err: ApiError = toApiError(e);
    if (err.code !== "cancelled") this.say(err.message, "bad", err.hint);
  }
  drop(id: number): void {
    clearTimeout(this.timers.get(id));
    this.timers.delete(id);
    this.list = this.list.filter((t) => t.id !== id);
    const f = this.after.get(id);
    this.after.delete(id);
    void f?.();
  }
  /** hold keeps a toast while the pointer or the focus is on it. */
  hold(id: number): void {
    clearTimeout(this.timers.get(id));
  }
  release(id: number): void {
    clearTimeout(this.timers.get(id));
    this.timers.set(id, setTimeout(() => this.drop(id), shownMillis));
  }
  async takeBack(t: Toast): Promise<void> {
    this.after.delete(t.id);
    this.drop(t.id);
    try {
      await t.undo?.();
    } catch (e) {
      this.error(e);
    }
  }
}

export const toasts = new Toasts();
