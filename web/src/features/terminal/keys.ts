// In a terminal a key is the program's. The page keeps those with Ctrl+Shift (Cmd
// on a Mac), F1, Shift+F6 and Ctrl+`, which programs cannot tell from others anyway, Ctrl+J,
// which hides the terminal as it has shown it, and Ctrl+C while there is a selection to copy.

export type KeyUse = "program" | "copy" | "browser" | "page";

export interface KeyAbout {
  mac: boolean;
  /** Windows' own terminals paste with Ctrl+V. */
  windows: boolean;
  selection: boolean;
}

type Key = Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "shiftKey" | "altKey" | "metaKey">;

/** useOf tells who a key that went down is for. */
export function useOf(e: Key, about: KeyAbout): KeyUse {
  const letter = e.key.length === 1 ? e.key.toLowerCase() : e.key;
  if (about.mac && e.metaKey) {
    if (letter === "c" && about.selection) return "copy";
    return letter === "v" ? "browser" : "page";
  }
  if (e.ctrlKey && !e.altKey && !e.metaKey) {
    if (letter === "c" && about.selection && !about.mac) return "copy";
    if (e.shiftKey && letter === "c") return "copy";
    // The browser's own paste brings a paste event, and no question for permission.
    if (letter === "v" && (e.shiftKey || about.windows)) return "browser";
    if (e.shiftKey || e.code === "Backquote" || (letter === "j" && !about.mac)) return "page";
  }
  if (e.shiftKey && e.key === "Insert") return "browser";
  const bare = !e.ctrlKey && !e.altKey;
  return bare && (e.key === "F1" ? !e.shiftKey : e.key === "F6" && e.shiftKey) ? "page" : "program";
}
