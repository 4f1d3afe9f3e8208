// Keys as they are written ("mod+shift+p", "g t"), as they arrive from the
// keyboard, and as they are shown. "mod" is Cmd on a Mac and Ctrl elsewhere.

export interface Stroke {
  ctrl: boolean;
  alt: boolean;
  shift: boolean;
  meta: boolean;
  key: string;
}

const named: Record<string, string> = { esc: "escape", return: "enter", del: "delete", space: " ", plus: "+", up: "arrowup", down: "arrowdown", left: "arrowleft", right: "arrowright", backtick: "`" };
const known = new Set(["escape", "enter", "tab", "backspace", "delete", "insert", "home", "end", "pageup", "pagedown", "arrowup", "arrowdown", "arrowleft", "arrowright", " "]);

/** parseKeys reads one or two strokes. Throws an Error that says what is wrong. */
export function parseKeys(text: string, mac: boolean): Stroke[] {
  const strokes = text.trim().split(/\s+/).filter(Boolean);
  if (strokes.length === 0) throw new Error("no key is given");
  if (strokes.length > 2) throw new Error("more than two strokes");
  return strokes.map((s) => parseStroke(s, mac));
}

function parseStroke(text: string, mac: boolean): Stroke {
  const s: Stroke = { ctrl: false, alt: false, shift: false, meta: false, key: "" };
  for (const part of text.toLowerCase().split("+")) {
    if (s.key) throw new Error(`"${part}" comes after the key`);
    if (part === "mod") mac ? (s.meta = true) : (s.ctrl = true);
    else if (part === "ctrl" || part === "control") s.ctrl = true;
    else if (part === "alt" || part === "option") s.alt = true;
    else if (part === "shift") s.shift = true;
    else if (part === "meta" || part === "cmd" || part === "win" || part === "super") s.meta = true;
    else {
      const key = named[part] ?? part;
      if ([...key].length !== 1 && !known.has(key) && !/^f([1-9]|1\d|2[0-4])$/.test(key)) throw new Error(part ? `"${part}" is no key` : "a key is missing");
      s.key = key;
    }
  }
  if (!s.key) throw new Error("a key is missing");
  return s;
}

/** Letters and digits go by what is printed on the key, so that layouts without them under Shift work too. */
export function strokeOf(e: Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "altKey" | "shiftKey" | "metaKey">): Stroke | undefined {
  let key = e.key.toLowerCase();
  const physical = /^(?:Key([A-Z])|Digit(\d))$/.exec(e.code);
  const modified = e.ctrlKey || e.metaKey || e.altKey;
  // Alt and a letter is a sign of its own on a Mac, often a dead one.
  if (key === "dead" && physical && modified) key = "";
  if (["control", "alt", "shift", "meta", "altgraph", "dead", "process", "unidentified", "compose", "capslock"].includes(key)) return undefined;
  const latin = /^[a-z0-9]$/.test(key);
  // With a modifier a letter of another alphabet means the key's place.
  if (!latin && physical && modified) key = (physical[1] ?? physical[2])!.toLowerCase();
  if (e.code === "Backquote" && (e.ctrlKey || e.metaKey)) key = "`";
  return { ctrl: e.ctrlKey, alt: e.altKey, shift: e.shiftKey, meta: e.metaKey, key };
}

export function sameStroke(a: Stroke, b: Stroke): boolean {
  // A sign that needs Shift on some keyboards is the sign, with Shift or without.
  const sign = a.key.length === 1 && !/[a-z0-9 ]/.test(a.key);
  return a.key === b.key && a.ctrl === b.ctrl && a.alt === b.alt && a.meta === b.meta && (a.shift === b.shift || sign);
}

/** writeStroke is the stroke as the key binding file has it. */
export function writeStroke(s: Stroke, mac: boolean): string {
  const parts: string[] = [];
  if (mac ? s.meta : s.ctrl) parts.push("mod");
  if (mac ? s.ctrl : s.meta) parts.push(mac ? "ctrl" : "meta");
  if (s.alt) parts.push("alt");
  if (s.shift) parts.push("shift");
  parts.push(s.key === " " ? "space" : s.key === "+" ? "plus" : s.key.replace(/^arrow/, ""));
  return parts.join("+");
}

const shown: Record<string, string> = { escape: "Esc", enter: "Enter", arrowup: "↑", arrowdown: "↓", arrowleft: "←", arrowright: "→", " ": "Space", backspace: "Backspace", delete: "Del", pageup: "PgUp", pagedown: "PgDn" };

/** showKeys is the strokes as they are printed: a list of key caps for each stroke. */
export function showKeys(text: string, mac: boolean): string[][] {
  let strokes: Stroke[];
  try {
    strokes = parseKeys(text, mac);
  } catch {
    return [[text]];
  }
  return strokes.map((s) => {
    const caps: string[] = [];
    if (s.ctrl) caps.push(mac ? "⌃" : "Ctrl");
    if (s.alt) caps.push(mac ? "⌥" : "Alt");
    if (s.shift) caps.push(mac ? "⇧" : "Shift");
    if (s.meta) caps.push(mac ? "⌘" : "Win");
    caps.push(shown[s.key] ?? (s.key.length === 1 ? s.key.toUpperCase() : s.key.charAt(0).toUpperCase() + s.key.slice(1)));
    return caps;
  });
}
