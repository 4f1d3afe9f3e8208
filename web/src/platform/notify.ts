// Ways to reach a person who looks elsewhere: the system's notifications, two
// tones, the icon's badge and the window's title.

export type NotifyState = "granted" | "denied" | "default" | "none";

export function notifyState(): NotifyState {
  return typeof Notification === "undefined" ? "none" : Notification.permission;
}

/** askToNotify must be called from a click; it answers at once where the answer is known. */
export async function askToNotify(): Promise<NotifyState> {
  if (typeof Notification === "undefined") return "none";
  if (Notification.permission !== "default") return Notification.permission;
  try {
    return await Notification.requestPermission();
  } catch {
    return "none";
  }
}

export interface Note {
  title: string;
  body: string;
  /** A newer one of the same tag takes the place of the older. */
  tag: string;
  onclick: () => void;
}

/** notify shows it and answers whether it could. */
export function notify(n: Note): boolean {
  if (notifyState() !== "granted") return false;
  try {
    const shown = new Notification(n.title, { body: n.body, tag: n.tag, icon: "/favicon.svg", silent: true });
    shown.onclick = () => {
      window.focus();
      shown.close();
      n.onclick();
    };
    return true;
  } catch {
    return false;
  }
}

let audio: AudioContext | undefined;

/** play makes two short tones; nothing where there is no sound. */
export function play(): void {
  try {
    audio ??= new AudioContext();
    void audio.resume();
    const now = audio.currentTime;
    for (const [i, hz] of [660, 880].entries()) {
      const tone = audio.createOscillator();
      const gain = audio.createGain();
      const at = now + i * 0.12;
      tone.type = "sine";
      tone.frequency.value = hz;
      gain.gain.setValueAtTime(0, at);
      gain.gain.linearRampToValueAtTime(0.12, at + 0.015);
      gain.gain.exponentialRampToValueAtTime(0.0001, at + 0.22);
      tone.connect(gain).connect(audio.destination);
      tone.start(at);
      tone.stop(at + 0.24);
    }
  } catch {
    // Sound is a courtesy.
  }
}

const iconPath = "/favicon.svg";
let plainIcon: string | undefined;

/** badge puts a count on the icon, the window's title and, where there is one, the app's own badge. 0 takes it away. */
export async function badge(count: number, title: string): Promise<void> {
  document.title = count > 0 ? `(${count}) ${title}` : title;
  const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  const nav = navigator as Navigator & { setAppBadge?: (n: number) => Promise<void>; clearAppBadge?: () => Promise<void> };
  void (count > 0 ? nav.setAppBadge?.(count) : nav.clearAppBadge?.())?.catch(() => {});
  if (!link) return;
  if (count === 0) {
    if (link.getAttribute("href") !== iconPath) link.href = iconPath;
    return;
  }
  try {
    plainIcon ??= await (await fetch(iconPath)).text();
    const svg = plainIcon.replace("</svg>", `<circle cx="24.500" cy="7.500" r="7.500" fill="#c92a2a" stroke="#fff" stroke-width="1.500"/></svg>`);
    link.href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  } catch {
    // The title has it.
  }
}
