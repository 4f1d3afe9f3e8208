// What can be done with a thread or a project, for menus and commands alike.
import type { Project, Thread } from "../api/types.gen";
import { app } from "../data/app.svelte";
import type { EnvironmentStore } from "../data/environment.svelte";
import { openActions } from "../features/diagnostics/openers.svelte";
import { settings } from "../data/settings.svelte";
import { ordered } from "../features/sidebar/order";
import type { Action } from "../ui/menu";
import { toasts } from "../ui/toast.svelte";
import { view } from "./view.svelte";

/** leave shows the project when the thread that goes away is the one on screen. */
function leave(env: EnvironmentStore, t: Thread): void {
  const r = app.route;
  if (r.page === "thread" && r.env === env.id && r.thread === t.id) app.go({ page: "project", env: env.id, project: t.projectId });
}

export async function archive(env: EnvironmentStore, t: Thread, archived = !t.archivedAt): Promise<void> {
  await env.archiveThread(t.id, archived);
  if (!archived) return;
  leave(env, t);
  toasts.undo(`“${t.title || "New thread"}” is archived`, async () => {
    await env.archiveThread(t.id, false);
    app.go({ page: "thread", env: env.id, thread: t.id });
  });
}

export function threadActions(env: EnvironmentStore, t: Thread): Action[] {
  const safely = (f: () => Promise<unknown>) => () => void f().catch((e: unknown) => toasts.error(e));
  return [
    { name: "Rename", icon: "edit", testid: "thread-rename", command: "thread.rename", run: () => (view.dialog = { kind: "rename", env, thread: t }) },
    { name: t.pinned ? "Unpin" : "Pin", icon: "pin", testid: "thread-pin", command: "thread.pin", run: safely(() => env.pinThread(t.id, !t.pinned)) },
    { name: t.archivedAt ? "Bring back from the archive" : "Archive", icon: "archive", testid: "thread-archive", command: "thread.archive", run: safely(() => archive(env, t)) },
    { name: "Delete", icon: "delete", danger: true, apart: true, testid: "thread-delete", command: "thread.delete", run: () => (view.dialog = { kind: "delete", env, thread: t }) },
  ];
}

export function projectActions(env: EnvironmentStore, p: Project): Action[] {
  const ids = ordered(env.shell.projects, settings.get("sidebar.order")[env.id] ?? []).map((x) => x.id);
  const at = ids.indexOf(p.id);
  const put = (to: number) => {
    const rest = ids.filter((x) => x !== p.id);
    rest.splice(to, 0, p.id);
    settings.set("sidebar.order", { ...settings.get("sidebar.order"), [env.id]: rest }).catch((e: unknown) => toasts.error(e));
  };
  return [
    ...openActions(env.id, p.path),
    ...(at > 0 ? [{ name: "Move up", icon: "up2" as const, testid: "project-up", run: () => put(at - 1) }] : []),
    ...(at >= 0 && at < ids.length - 1 ? [{ name: "Move down", icon: "down" as const, testid: "project-down", run: () => put(at + 1) }] : []),
    { name: "Rename", icon: "edit", testid: "project-rename", apart: true, run: () => (view.dialog = { kind: "rename-project", env, project: p }) },
    { name: "Remove from the list", icon: "x", testid: "project-remove", run: () => (view.dialog = { kind: "remove-project", env, project: p }) },
  ];
}
