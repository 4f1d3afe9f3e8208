// Tells a person who looks elsewhere what happened: a notification, a sound,
// the badge, the title. Nothing is polled: the lists of threads are watched.
import type { Thread } from "../api/types.gen";
import { app } from "../data/app.svelte";
import { attention } from "../data/attention.svelte";
import { settings } from "../data/settings.svelte";
import { badge, notify, notifyState, play } from "../platform/notify";
import { type Happening, happened, wanting } from "./happened";
import { view } from "./view.svelte";

const words: Record<Happening, (agent: string) => string> = {
  approval: (a) => `${a} asks for an approval`,
  question: (a) => `${a} has a question`,
  plan: (a) => `${a} has a plan ready`,
  done: (a) => `${a} is done`,
  failed: (a) => `${a} failed`,
};

/** watchThreads compares each list with the one before it; it returns the way out. For an effect root. */
export function watchThreads(): void {
  const before = new Map<string, Map<string, Thread>>();
  $effect(() => {
    const seen = new Set<string>();
    for (const env of app.stores) {
      seen.add(env.id);
      const now = new Map(env.shell.threads.map((t) => [t.id, t]));
      const old = before.get(env.id);
      // The first list, and one that is only remembered, are no news.
      if (!env.synchronized) {
        before.delete(env.id);
        continue;
      }
      before.set(env.id, now);
      if (!old) continue;
      for (const t of now.values()) {
        const what = happened(old.get(t.id), t);
        if (what) tell(env.id, t, what, env.agentName(t.agentId));
      }
    }
    for (const id of before.keys()) if (!seen.has(id)) before.delete(id);
  });
  $effect(() => {
    const count = app.stores.reduce((n, env) => n + env.shell.threads.filter(wanting).length, 0);
    const r = app.route;
    const name = r.page === "settings" ? "Settings" : (view.meta?.title ?? view.project?.name);
    void badge(attention.here && r.page === "thread" && view.meta?.unread ? count - 1 : count, name ? `${name} - Catamaran` : "Catamaran");
  });
}

function tell(env: string, t: Thread, what: Happening, agent: string): void {
  if (attention.here || settings.get("notifications.when") !== "away") return;
  const note = { title: t.title || "New thread", body: words[what](agent), tag: `${env} ${t.id}`, onclick: () => app.go({ page: "thread", env, thread: t.id }) };
  // A web view that may not is no person who said no: there the desktop does it, if it can.
  if (!notify(note) && notifyState() !== "denied") void app.notify(note.title, note.body, env, t.id).catch(() => {});
  if (settings.get("notifications.sound")) play();
}
