// What a person chose, as the door keeps it (settings.json, keys.json). What is
// here is used at once; the door has the last word when the page starts and when
// the window comes back. Values nobody knows are left alone.
import type { KeyBinding, Settings as Stored, SettingsChange, SettingsProblem } from "../api/types.gen";
import { kept } from "../platform";

export interface Values {
  "appearance.theme": "system" | "light" | "dark";
  "appearance.density": "comfortable" | "compact";
  "appearance.textSize": number;
  "appearance.codeSize": number;
  "appearance.motion": "system" | "reduced";
  "general.sendKey": "enter" | "mod+enter";
  "general.agent": string;
  "general.permission": "supervised" | "accept-edits";
  "notifications.when": "away" | "never";
  "notifications.sound": boolean;
  "sidebar.order": Record<string, string[]>;
  "terminal.textSize": number;
  "terminal.copyOnSelect": boolean;
}
export type Name = keyof Values;

export const defaults: Values = {
  "appearance.theme": "system",
  "appearance.density": "comfortable",
  "appearance.textSize": 14,
  "appearance.codeSize": 12.5,
  "appearance.motion": "system",
  "general.sendKey": "enter",
  "general.agent": "",
  "general.permission": "supervised",
  "notifications.when": "away",
  "notifications.sound": false,
  "sidebar.order": {},
  "terminal.textSize": 13,
  "terminal.copyOnSelect": false,
};

/** Choices of the values that are one of a few; bounds of the numbers. */
const choices: Partial<Record<Name, readonly unknown[]>> = {
  "appearance.theme": ["system", "light", "dark"],
  "appearance.density": ["comfortable", "compact"],
  "appearance.motion": ["system", "reduced"],
  "general.sendKey": ["enter", "mod+enter"],
  "general.permission": ["supervised", "accept-edits"],
  "notifications.when": ["away", "never"],
};
export const bounds: Partial<Record<Name, readonly [number, number]>> = {
  "appearance.textSize": [12, 20],
  "appearance.codeSize": [10, 20],
  "terminal.textSize": [9, 24],
};

/** valid tells whether a stored value can be used for a name. */
export function valid(name: Name, v: unknown): boolean {
  const b = bounds[name];
  if (b) return typeof v === "number" && v >= b[0] && v <= b[1];
  if (choices[name]) return choices[name].includes(v);
  if (name === "sidebar.order") return typeof v === "object" && v !== null && Object.values(v).every((x) => Array.isArray(x) && x.every((y) => typeof y === "string"));
  return typeof v === typeof defaults[name];
}

type Keeper = { get: () => Promise<Stored>; set: (c: SettingsChange) => Promise<Stored> };

export class Settings {
  private own = $state.raw<Partial<Values>>({});
  keys = $state.raw<KeyBinding[]>([]);
  problems = $state.raw<SettingsProblem[]>([]);
  paths = $state.raw<{ values: string; keys: string }>({ values: "", keys: "" });
  /** Values that the file has and that cannot be used. */
  unusable = $state.raw<string[]>([]);
  private keeper: Keeper | undefined;
  /** Changes that are on their way: an answer from before them does not undo them. */
  private under = 0;

  constructor() {
    // Last time's choices, so that the first paint has them.
    this.own = usable(kept.json<Record<string, unknown>>("settings") ?? {}).values;
    this.keys = kept.json<KeyBinding[]>("keys") ?? [];
  }

  get<N extends Name>(name: N): Values[N] {
    return (this.own[name] ?? defaults[name]) as Values[N];
  }
  isDefault(name: Name): boolean {
    return this.own[name] === undefined;
  }

  /** follow takes what the door keeps; a door that keeps nothing leaves this page's own. */
  async follow(k: Keeper): Promise<void> {
    this.keeper = k;
    await this.reload();
  }
  async reload(): Promise<void> {
    if (!this.keeper || this.under > 0) return;
    try {
      const s = await this.keeper.get();
      if (this.under === 0) this.take(s);
    } catch {
      // An older door, or one that is gone: what this page has goes on.
    }
  }

  /** told takes what another window changed; a change of this page's own that is on its way answers for itself. */
  told(s: Stored): void {
    if (this.keeper && this.under === 0) this.take(s);
  }

  private take(s: Stored): void {
    const { values, bad } = usable(s.values ?? {});
    this.own = values;
    this.unusable = bad;
    this.keys = s.keys ?? [];
    this.problems = s.problems ?? [];
    this.paths = { values: s.path, keys: s.keysPath };
    this.keep();
  }
  private keep(): void {
    kept.set("settings", JSON.stringify(this.own));
    kept.set("keys", JSON.stringify(this.keys));
  }

  /** set changes a value here at once and where it is kept; undefined goes back to the default. */
  async set<N extends Name>(name: N, value: Values[N] | undefined): Promise<void> {
    const next = { ...this.own };
    const plain = value !== undefined && JSON.stringify(value) === JSON.stringify(defaults[name]) ? undefined : value;
    if (plain === undefined) delete next[name];
    else next[name] = plain;
    await this.change(() => (this.own = next), { values: { [name]: plain ?? null } });
  }
  async setKeys(keys: KeyBinding[]): Promise<void> {
    await this.change(() => (this.keys = keys), { keys });
  }

  private async change(here: () => void, c: SettingsChange): Promise<void> {
    const before = { own: this.own, keys: this.keys };
    here();
    this.keep();
    if (!this.keeper) return;
    this.under++;
    try {
      const s = await this.keeper.set(c);
      if (this.under === 1) this.take(s);
    } catch (e) {
      if (this.under === 1) {
        this.own = before.own;
        this.keys = before.keys;
        this.keep();
      }
      throw e;
    } finally {
      this.under--;
    }
  }
}

function usable(all: Record<string, unknown>): { values: Partial<Values>; bad: string[] } {
  const values: Partial<Record<Name, unknown>> = {};
  const bad: string[] = [];
  for (const name of Object.keys(defaults) as Name[]) {
    if (!(name in all)) continue;
    if (valid(name, all[name])) values[name] = all[name];
    else bad.push(name);
  }
  return { values: values as Partial<Values>, bad };
}

export const settings = new Settings();
