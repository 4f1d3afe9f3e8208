// What lies over the page: palette, dialogs. And where the person is, as
// panels, commands and the title see it.
import type { Project, Thread } from "../api/types.gen";
import { app } from "../data/app.svelte";
import type { EnvironmentStore } from "../data/environment.svelte";
import type { ThreadStore } from "../data/thread.svelte";
import type { PaletteScope } from "../features/palette/scopes";

export type ThreadDialog = { kind: "rename" | "delete"; env: EnvironmentStore; thread: Thread };
export type ProjectDialog = { kind: "rename-project" | "remove-project"; env: EnvironmentStore; project: Project };

class View {
  adding = $state.raw<EnvironmentStore | undefined>(undefined);
  palette = $state.raw<PaletteScope | undefined>(undefined);
  dialog = $state.raw<ThreadDialog | ProjectDialog | undefined>(undefined);

  env = $derived.by((): EnvironmentStore | undefined => {
    const r = app.route;
    return r.page === "thread" || r.page === "project" ? app.store(r.env) : app.primary;
  });
  thread = $derived.by((): ThreadStore | undefined => (app.route.page === "thread" ? app.thread : undefined));
  meta = $derived.by((): Thread | undefined => {
    const t = this.thread;
    return t && (t.state.thread ?? t.env.shell.threads.find((x) => x.id === t.id));
  });
  project = $derived.by((): Project | undefined => {
    const r = app.route;
    const id = r.page === "project" ? r.project : this.meta?.projectId;
    return id ? this.env?.shell.projects.find((p) => p.id === id) : undefined;
  });
}

export const view = new View();
