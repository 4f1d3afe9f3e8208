// What of a thread's change is worth telling. Pure.
import type { Thread } from "../api/types.gen";

export type Happening = "approval" | "question" | "plan" | "done" | "failed";

/** happened compares a thread with what it was; a thread that was not there before is news only when it asks. */
export function happened(old: Thread | undefined, now: Thread): Happening | undefined {
  if (now.archivedAt) return undefined;
  if (now.state === "waiting") {
    if (old?.state === "waiting" && old.asking === now.asking) return undefined;
    return now.asking === "question" || now.asking === "plan" ? now.asking : "approval";
  }
  if (!old || old.state === now.state) return undefined;
  if (now.state === "completed") return "done";
  if (now.state === "failed") return "failed";
  return undefined;
}

/** wanting counts for the badge: it asks, or has ended and nobody has looked. */
export function wanting(t: Thread): boolean {
  return !t.archivedAt && (t.state === "waiting" || !!t.unread);
}
