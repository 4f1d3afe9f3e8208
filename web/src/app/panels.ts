// The panels beside and below a thread. Each is a component of a feature, in a
// chunk of its own that is loaded when it is opened first; one whose file does
// not exist is not offered. A panel gets PanelProps and brings no frame, title or close button.
import type { Component } from "svelte";
import type { Project, Thread } from "../api/types.gen";
import type { EnvironmentStore } from "../data/environment.svelte";
import { type PanelArg, panels, type Side } from "../data/panels.svelte";
import type { ThreadStore } from "../data/thread.svelte";
import type { IconName } from "../ui/Icon.svelte";

export interface PanelProps {
  env: EnvironmentStore;
  project: Project | undefined;
  /** The open thread; undefined on a project's page. */
  thread: ThreadStore | undefined;
  meta: Thread | undefined;
  /** What it was asked to show, from panels.open. */
  arg: PanelArg | undefined;
  /** Grows whenever it is asked for again. */
  asked: number;
  close: () => void;
}

export interface Panel {
  id: string;
  title: string;
  icon: IconName;
  side: Side;
  /** Needs an open thread, a Git project. */
  thread?: boolean;
  git?: boolean;
  load: () => Promise<{ default: Component<PanelProps> }>;
}

type Loader = Panel["load"];
const found = import.meta.glob("../features/*/*Panel.svelte") as Record<string, Loader>;

const known: (Omit<Panel, "load"> & { file: string })[] = [
  { id: "changes", title: "Changes", icon: "diff", side: "right", git: true, file: "review/ChangesPanel" },
  { id: "files", title: "Files", icon: "files", side: "right", file: "files/FilesPanel" },
  { id: "git", title: "Git", icon: "branch", side: "right", git: true, file: "git/GitPanel" },
  { id: "terminal", title: "Terminal", icon: "terminal", side: "bottom", file: "terminal/TerminalPanel" },
];

export const allPanels: Panel[] = known.flatMap(({ file, ...p }) => {
  const load = found[`../features/${file}.svelte`];
  return load ? [{ ...p, load }] : [];
});
for (const p of allPanels) panels.sides[p.id] = p.side;

export function offered(side: Side, project: Project | undefined, thread: ThreadStore | undefined): Panel[] {
  return allPanels.filter((p) => p.side === side && !!project && (!p.git || project.git) && (!p.thread || !!thread));
}
