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

export function theme(): Theme {
  const t = kept.get("theme");
  return t === "light" || t === "dark" ? t : "system";
}

export function setTheme(t: Theme): void {
  kept.set("theme", t === "system" ? null : t);
  applyTheme();
}

export function applyTheme(): void {
  const t = theme();
  if (t === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = t;
}

/** shownTheme is the one on screen now. */
export function shownTheme(): "light" | "dark" {
  const t = theme();
  return t === "system" ? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light") : t;
}

/** onReturn calls f when the network or the window comes back. */
export function onReturn(f: () => void): void {
  window.addEventListener("online", f);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") f();
  });
}
