// The only door from the page to what is around it: clipboard, storage, links,
// the window. A native shell replaces these functions and nothing else.

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** saveFile offers data to the person as a file. */
export function saveFile(name: string, data: Blob): void {
  const url = URL.createObjectURL(data);
  const a = document.createElement("a");
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Storage may be full or forbidden; the page works without it. */
export const kept = {
  get(key: string): string | null {
    try {
      return localStorage.getItem(`catamaran.${key}`);
    } catch {
      return null;
    }
  },
  set(key: string, value: string | null): void {
    try {
      if (value === null) localStorage.removeItem(`catamaran.${key}`);
      else localStorage.setItem(`catamaran.${key}`, value);
    } catch {
      // Kept state is a convenience.
    }
  },
  /** keys lists what is kept under a prefix, without the prefix. */
  keys(prefix: string): string[] {
    try {
      const whole = `catamaran.${prefix}`;
      return Object.keys(localStorage).filter((k) => k.startsWith(whole)).map((k) => k.slice(whole.length));
    } catch {
      return [];
    }
  },
  json<T>(key: string): T | undefined {
    const text = this.get(key);
    if (!text) return undefined;
    try {
      return JSON.parse(text) as T;
    } catch {
      return undefined;
    }
  },
};

export type Theme = "system" | "light" | "dark";

/** What of the looks is set on the document; sizes in pixels. */
export interface Looks {
  theme: Theme;
  compact: boolean;
  still: boolean;
  textSize: number;
  codeSize: number;
}

/** applyLooks puts them on the document. Lines grow with the text, on the grid. */
export function applyLooks(l: Looks): void {
  const root = document.documentElement;
  const flag = (name: string, v: string | undefined) => (v ? (root.dataset[name] = v) : delete root.dataset[name]);
  flag("theme", l.theme === "system" ? undefined : l.theme);
  flag("density", l.compact ? "compact" : undefined);
  flag("motion", l.still ? "reduced" : undefined);
  const put = (name: string, px: number, usual: number) => (px === usual ? root.style.removeProperty(name) : root.style.setProperty(name, `${px}px`));
  put("--size", l.textSize, 14);
  put("--size-small", Math.round(l.textSize * 0.86 * 2) / 2, 12);
  put("--leading", Math.ceil((l.textSize * 1.4) / 2) * 2, 20);
  put("--leading-prose", Math.ceil((l.textSize * 1.7) / 2) * 2, 24);
  put("--size-code", l.codeSize, 12.5);
}

/** shownTheme is the one on screen now. */
export function shownTheme(): "light" | "dark" {
  const t = document.documentElement.dataset.theme;
  return t === "light" || t === "dark" ? t : matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** stillness tells that nothing should move. */
export function stillness(): boolean {
  return document.documentElement.dataset.motion === "reduced" || matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** onReturn calls f when the network or the window comes back. */
export function onReturn(f: () => void): void {
  window.addEventListener("online", f);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") f();
  });
}

let linksLeave = false;

/** leaveByLinks hands links out of the page to open: a native window opens no second one. Once is enough. */
export function leaveByLinks(open: (url: string) => void): void {
  if (linksLeave) return;
  linksLeave = true;
  document.addEventListener("click", (e) => {
    const a = e.target instanceof Element ? e.target.closest("a") : null;
    if (!a || e.defaultPrevented || a.origin === location.origin || !/^(https?|mailto):$/.test(a.protocol)) return;
    e.preventDefault();
    open(a.href);
  });
}
