// The commands of the frame: where to go, what to show, what to do with the
// open thread. Features add their own where they are on screen.
import { app } from "../data/app.svelte";
import { type Command, commands, isMac } from "../data/commands.svelte";
import { panels } from "../data/panels.svelte";
import { type SettingsSection, settingsSections } from "../data/route";
import { settings } from "../data/settings.svelte";
import { shownTheme } from "../platform";
import { layout } from "./layout.svelte";
import { allPanels, offered } from "./panels";
import { focusComposer, focusPanel, stepPart } from "./parts";
import { view } from "./view.svelte";

const sectionNames: Record<SettingsSection, string> = { general: "General", appearance: "Appearance", environments: "Environments", agents: "Agents", keys: "Key bindings", git: "Git", terminal: "Terminal", archive: "Archive", diagnostics: "Diagnostics", about: "About" };

/** step goes to the next thread as the sidebar lists them, from the open one. */
function step(by: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-testid="thread-row"]')];
  if (!rows.length) return;
  const at = rows.findIndex((r) => r.getAttribute("aria-current") === "page");
  const to = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : (at + by + rows.length) % rows.length]!;
  to.scrollIntoView({ block: "nearest" });
  to.click();
}

function newThread(): void {
  const env = view.env;
  const project = view.project ?? env?.shell.projects[0];
  if (env && project) app.go({ page: "project", env: env.id, project: project.id });
  else app.go({ page: "home" });
  focusComposer();
}

function side(which: "right" | "bottom"): void {
  if (panels[which]) panels.close(which);
  else {
    panels.show(which, offered(which, view.project, view.thread).map((p) => p.id));
    if (which === "right") focusPanel(panels.right);
  }
}

export function appCommands(): Command[] {
  const thread = () => ({ env: view.env!, t: view.meta! });
  return [
    { id: "palette.open", title: "Search everything", group: "Go", icon: "search", key: ["mod+k"], when: "!terminalFocus || mac", hidden: true, run: () => (view.palette = "all") },
    { id: "palette.commands", title: "Show all commands", group: "Go", icon: "command", key: ["mod+shift+p", "f1"], run: () => (view.palette = "commands") },
    { id: "palette.files", title: "Go to file", group: "Go", icon: "read", key: "mod+p", when: "projectOpen", run: () => (view.palette = "files") },
    { id: "palette.messages", title: "Search in messages", group: "Go", icon: "message", key: "mod+shift+f", run: () => (view.palette = "messages") },
    { id: "go.home", title: "Go to the start page", group: "Go", icon: "boat", run: () => app.go({ page: "home" }) },
    { id: "go.nextThread", title: "Next thread", group: "Go", icon: "down", key: "alt+down", run: () => step(1) },
    { id: "go.previousThread", title: "Previous thread", group: "Go", icon: "up", key: "alt+up", run: () => step(-1) },
    { id: "go.back", title: "Back", group: "Go", icon: "back", key: isMac ? "mod+[" : "alt+left", run: () => history.back() },
    { id: "go.settings", title: "Open settings", group: "Go", icon: "gear", key: "mod+,", run: () => app.go({ page: "settings", section: settingsSections[0] }) },
    { id: "go.keys", title: "Show all keys", group: "Go", icon: "keyboard", key: "mod+/", run: () => app.go({ page: "settings", section: "keys" }) },
    { id: "go.nextPart", title: "Next part of the page", group: "Go", icon: "right", key: "f6", words: "focus sidebar panel", run: () => stepPart(1) },
    { id: "go.previousPart", title: "Previous part of the page", group: "Go", icon: "back", key: "shift+f6", words: "focus sidebar panel", run: () => stepPart(-1) },
    ...settingsSections.map((s): Command => ({ id: `settings.${s}`, title: `Settings: ${sectionNames[s]}`, group: "Settings", icon: "gear", run: () => app.go({ page: "settings", section: s }) })),
    { id: "diagnostics.export", title: "Export diagnostics", group: "Settings", icon: "archive", words: "zip logs support", run: () => import("../features/diagnostics/diagnosis.svelte").then((d) => d.exportDiagnostics()) },

    { id: "thread.new", title: "New thread", group: "Thread", icon: "pen", key: "alt+n", words: "chat start", run: newThread },
    { id: "thread.rename", title: "Rename thread", group: "Thread", icon: "edit", key: "f2", when: "threadOpen", run: () => (view.dialog = { kind: "rename", env: thread().env, thread: thread().t }) },
    { id: "thread.archive", title: "Archive thread", group: "Thread", icon: "archive", key: "alt+shift+a", when: "threadOpen", run: () => import("./actions").then((a) => a.archive(thread().env, thread().t)) },
    { id: "thread.pin", title: "Pin or unpin thread", group: "Thread", icon: "pin", key: "alt+shift+p", when: "threadOpen", run: () => thread().env.pinThread(thread().t.id, !thread().t.pinned) },
    { id: "thread.delete", title: "Delete thread", group: "Thread", icon: "delete", danger: true, when: "threadOpen", run: () => (view.dialog = { kind: "delete", env: thread().env, thread: thread().t }) },
    { id: "thread.stop", title: "Stop the turn", group: "Thread", icon: "stop", key: "mod+.", when: "running", run: () => view.thread?.stop() },
    { id: "composer.focus", title: "Write a message", group: "Thread", icon: "pen", key: ["mod+l", "/"], when: "(threadOpen || projectOpen) && !terminalFocus", run: () => focusComposer() },

    { id: "project.add", title: "Add a project", group: "Project", icon: "folderplus", key: "mod+o", words: "open folder clone", when: "ready", run: () => (view.adding = view.env?.usable ? view.env : app.primary) },
    { id: "project.rename", title: "Rename project", group: "Project", icon: "edit", when: "projectOpen", run: () => (view.dialog = { kind: "rename-project", env: view.env!, project: view.project! }) },
    { id: "project.remove", title: "Remove project from the list", group: "Project", icon: "x", when: "projectOpen", run: () => (view.dialog = { kind: "remove-project", env: view.env!, project: view.project! }) },

    { id: "view.sidebar", title: "Show or hide the sidebar", group: "View", icon: "rail", key: "mod+b", when: "!terminalFocus || mac", run: () => layout.toggle() },
    { id: "view.panel", title: "Show or hide the panel", group: "View", icon: "panelright", key: "mod+shift+b", when: "projectOpen", run: () => side("right") },
    ...allPanels.map(
      (p): Command => ({
        id: `panel.${p.id}`,
        title: p.side === "bottom" ? `Show or hide the ${p.title.toLowerCase()}` : `Show ${p.title.toLowerCase()}`,
        group: "View",
        icon: p.icon,
        key: panelKeys[p.id],
        when: p.git ? "projectOpen && git" : "projectOpen",
        run: () => {
          if (p.side === "bottom") return panels.toggle(p.id);
          panels.open(p.id);
          focusPanel(p.id);
        },
      }),
    ),
    { id: "view.theme", title: "Switch between light and dark", group: "View", icon: "moon", words: "theme appearance", run: () => settings.set("appearance.theme", shownTheme() === "dark" ? "light" : "dark") },
  ];
}

const panelKeys: Record<string, string[]> = { changes: ["mod+shift+d"], files: ["mod+shift+e"], git: ["mod+shift+g"], terminal: ["mod+j", "ctrl+`"] };

/** followContext keeps what when-expressions see; an effect. */
export function followContext(): void {
  const r = app.route;
  commands.set({
    mac: isMac,
    narrow: layout.narrow,
    threadOpen: r.page === "thread" && !!view.meta,
    projectOpen: !!view.project,
    settingsOpen: r.page === "settings",
    git: !!view.project?.git,
    ready: !!view.env?.usable,
    running: view.meta?.state === "running" || view.meta?.state === "waiting",
    panelOpen: !!panels.right,
    drawerOpen: !!panels.bottom,
  });
}
