// Short messages that leave by themselves; errors of actions that have no place of their own.
import type { Error as ApiError } from "../api/types.gen";
import { toApiError } from "../data/errors";

export interface Toast {
  id: number;
  tone: "quiet" | "bad";
  text: string;
  hint?: string;
}

const shownMillis = 6_000;
const most = 3;

class Toasts {
  list = $state.raw<Toast[]>([]);
  private next = 1;

  say(text: string, tone: Toast["tone"] = "quiet", hint?: string): void {
    const t: Toast = { id: this.next++, tone, text, hint };
    this.list = [...this.list, t].slice(-most);
    setTimeout(() => this.drop(t.id), shownMillis);
  }
  error(e: unknown): void {
    const err: ApiError = toApiError(e);
    if (err.code !== "cancelled") this.say(err.message, "bad", err.hint);
  }
  drop(id: number): void {
    this.list = this.list.filter((t) => t.id !== id);
  }
}

export const toasts = new Toasts();
