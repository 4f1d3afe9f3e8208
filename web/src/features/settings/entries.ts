// What the search in Settings finds, beside the sections themselves.
import type { SettingsSection } from "../../data/route";
import type { IconName } from "../../ui/Icon.svelte";

export const sections: { id: SettingsSection; name: string; icon: IconName; words: string }[] = [
  { id: "general", name: "General", icon: "sliders", words: "" },
  { id: "appearance", name: "Appearance", icon: "palette", words: "looks" },
  { id: "environments", name: "Environments", icon: "layers", words: "wsl mode distro windows linux backend primary forwarded variables" },
  { id: "agents", name: "Agents", icon: "robot", words: "codex claude gemini opencode install sign in path instance account arguments variables secret acp add" },
  { id: "keys", name: "Key bindings", icon: "keyboard", words: "shortcuts keyboard hotkeys" },
  { id: "git", name: "Git", icon: "branch", words: "" },
  { id: "terminal", name: "Terminal", icon: "terminal", words: "" },
  { id: "archive", name: "Archive", icon: "archive", words: "archived threads restore delete" },
  { id: "diagnostics", name: "Diagnostics", icon: "pulse", words: "doctor logs export check" },
  { id: "about", name: "About", icon: "info", words: "version licences" },
];

export interface Entry {
  section: SettingsSection;
  /** The row's id on the page. */
  id: string;
  title: string;
  words?: string;
}

export const entries: Entry[] = [
  { section: "general", id: "send", title: "Send with", words: "enter ctrl composer" },
  { section: "general", id: "agent", title: "Agent for new threads", words: "default" },
  { section: "general", id: "permission", title: "What agents may do in new threads", words: "supervised accept edits approval default" },
  { section: "general", id: "notify", title: "Notifications", words: "approval question done failed" },
  { section: "general", id: "sound", title: "Sound", words: "notification chime" },
  { section: "appearance", id: "theme", title: "Theme", words: "dark light system" },
  { section: "appearance", id: "density", title: "Density", words: "compact comfortable" },
  { section: "appearance", id: "text-size", title: "Text size", words: "font zoom" },
  { section: "appearance", id: "code-size", title: "Code size", words: "font monospace" },
  { section: "appearance", id: "motion", title: "Motion", words: "animation reduced" },
  { section: "environments", id: "mode", title: "Where agents run", words: "wsl both local" },
  { section: "environments", id: "forwarding", title: "Forwarded variables", words: "api key environment" },
  { section: "keys", id: "keys", title: "Change a key", words: "shortcut conflict reset" },
  { section: "terminal", id: "terminal-size", title: "Terminal text size", words: "font" },
  { section: "terminal", id: "terminal-copy", title: "Copy on select", words: "clipboard" },
  { section: "archive", id: "archive", title: "Archived threads", words: "restore" },
  { section: "diagnostics", id: "export", title: "Export diagnostics", words: "zip logs" },
  { section: "about", id: "files", title: "Settings files", words: "json path folder" },
];
