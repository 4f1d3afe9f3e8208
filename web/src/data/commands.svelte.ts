// The one list of commands. Palette, key bindings and menus are drawn from it
// and run through it; whoever has something to offer registers it here for as
// long as it can be done.
import { untrack } from "svelte";
import type { IconName } from "../ui/Icon.svelte";
import { parseKeys, sameStroke, showKeys, type Stroke, strokeOf } from "./keys";
import { type ContextReader, type ContextValue, parseWhen, type When } from "./when";

export interface Command {
  /** area.verb; stable, since key bindings name it. */
  id: string;
  title: string;
  /** The heading it stands under in the palette and in the key bindings. */
  group: string;
  icon?: IconName;
  /** An expression over the context (see README); without one it can always be done. */
  when?: string;
  /** The keys it has unless the person says otherwise; later ones are alternatives. */
  key?: string | string[];
  /** More words that find it. */
  words?: string;
  /** It is in menus and key bindings only. */
  hidden?: boolean;
  danger?: boolean;
  run: () => unknown;
}

/** A row of the person's key binding file. A command that begins with "-" takes the key away from it. */
export interface KeyRow {
  key: string;
  command: string;
  when?: string;
}

/** A key with what it does, from the defaults or from the file. */
export interface Binding extends KeyRow {
  strokes: Stroke[];
  test: When;
  own: boolean;
}

export interface BadRow {
  row: number;
  key: string;
  command: string;
  problem: string;
}

export const isMac = typeof navigator !== "undefined" && /mac|iphone|ipad/i.test(navigator.platform ?? "");
const secondStrokeMillis = 1_500;
const tests = new Map<string, When>();

function test(when: string | undefined): When {
  const text = when ?? "";
  let t = tests.get(text);
  if (!t) tests.set(text, (t = parseWhen(text)));
  return t;
}

export class Commands {
  private lists = $state.raw<readonly Command[][]>([]);
  all = $derived(this.lists.flat());
  /** The person's rows, in the file's order; the last one that fits wins. */
  rows = $state.raw<KeyRow[]>([]);
  private values = $state.raw<Record<string, ContextValue>>({});
  /** The first of two strokes was pressed. */
  pending = $state.raw<Stroke | undefined>(undefined);
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** An error of a command ends here. */
  onerror: (e: unknown) => void = (e) => console.error(e);

  constructor(readonly mac = isMac) {}

  private table = $derived.by(() => {
    const rows = this.rows;
    const bindings: Binding[] = [];
    const bad: BadRow[] = [];
    for (const c of this.all) {
      for (const key of c.key ? [c.key].flat() : []) bindings.push({ key, command: c.id, when: c.when, strokes: parseKeys(key, this.mac), test: test(c.when), own: false });
    }
    rows.forEach((r, i) => {
      try {
        const off = r.command.startsWith("-");
        const id = off ? r.command.slice(1) : r.command;
        if (!id) throw new Error("no command is given");
        const strokes = parseKeys(r.key, this.mac);
        const t = test(r.when);
        if (!off) bindings.push({ ...r, strokes, test: t, own: true });
        else {
          for (let j = bindings.length - 1; j >= 0; j--) {
            const b = bindings[j]!;
            if (b.command === id && sameStrokes(b.strokes, strokes)) bindings.splice(j, 1);
          }
        }
      } catch (e) {
        bad.push({ row: i, key: r.key, command: r.command, problem: e instanceof Error ? e.message : String(e) });
      }
    });
    return { bindings, bad };
  });
  bindings = $derived(this.table.bindings);
  bad = $derived(this.table.bad);

  /** register offers commands until the returned function is called. */
  register(list: Command[]): () => void {
    // Not a dependency of the effect that calls this, here and below.
    untrack(() => (this.lists = [...this.lists, list]));
    return () => untrack(() => (this.lists = this.lists.filter((l) => l !== list)));
  }

  /** set changes what when-expressions see. */
  set(values: Record<string, ContextValue>): void {
    untrack(() => (this.values = { ...this.values, ...values }));
  }

  private reader(extra: Record<string, ContextValue> = {}): ContextReader {
    const values = this.values;
    return (name) => (name in extra ? extra[name] : values[name]);
  }

  get(id: string): Command | undefined {
    // The newest one: a page may offer a narrower meaning of a command.
    return this.all.findLast((c) => c.id === id);
  }

  can(id: string): boolean {
    const c = this.get(id);
    return !!c && test(c.when)(this.reader());
  }

  /** available is what can be done now, for the palette. */
  available(): Command[] {
    const read = this.reader();
    const seen = new Set<string>();
    return this.all.filter((c) => !c.hidden && !seen.has(c.id) && test(c.when)(read) && seen.add(c.id));
  }

  /** run does it when it can be done; false otherwise. */
  run(id: string): boolean {
    const c = this.get(id);
    if (!c || !test(c.when)(this.reader())) return false;
    this.start(c);
    return true;
  }

  private start(c: Command): void {
    try {
      const r = c.run();
      if (r instanceof Promise) r.catch((e: unknown) => this.onerror(e));
    } catch (e) {
      this.onerror(e);
    }
  }

  /** keyOf is the key to print beside a command: the person's own before the default. */
  keyOf(id: string): string | undefined {
    const own = this.bindings.findLast((b) => b.command === id && b.own);
    return (own ?? this.bindings.find((b) => b.command === id))?.key;
  }

  /** caps is the key of a command as key caps, [] without one. */
  caps(id: string): string[] {
    const key = this.keyOf(id);
    return key ? showKeys(key, this.mac).flatMap((s, i) => (i ? ["then", ...s] : s)) : [];
  }

  /** press is a key that went down; true when a command has taken it. */
  press(e: KeyboardEvent): boolean {
    if (e.isComposing || e.defaultPrevented) return false;
    const s = strokeOf(e);
    if (!s) return false;
    const first = this.pending;
    this.clear();
    const focus = focusContext();
    // What lies over the page has the keys.
    if (focus.dialogOpen) return false;
    const read = this.reader(focus);
    // A bare letter never takes a key from somebody who writes.
    const writes = !!read("inputFocus") && !s.ctrl && !s.meta && !s.alt && !/^f\d+$/.test(s.key) && s.key !== "escape";
    let waits = false;
    for (let i = this.bindings.length - 1; i >= 0; i--) {
      const b = this.bindings[i]!;
      const [a, second] = b.strokes;
      if (!(first ? second && sameStroke(a!, first) && sameStroke(second, s) : sameStroke(a!, s))) continue;
      if (writes && !first) continue;
      if (!b.test(read)) continue;
      if (second && !first) {
        waits = true;
        continue;
      }
      if (waits) break;
      const c = this.get(b.command);
      if (!c || !test(c.when)(read)) continue;
      e.preventDefault();
      e.stopPropagation();
      this.start(c);
      return true;
    }
    if (waits) {
      e.preventDefault();
      this.pending = s;
      this.timer = setTimeout(() => this.clear(), secondStrokeMillis);
      return true;
    }
    return false;
  }

  private clear(): void {
    clearTimeout(this.timer);
    this.pending = undefined;
  }
}

function sameStrokes(a: Stroke[], b: Stroke[]): boolean {
  return a.length === b.length && a.every((s, i) => sameStroke(s, b[i]!));
}

/** What the focus says: an area marks itself with data-focus="terminal" and the like. */
function focusContext(): Record<string, ContextValue> {
  const e = typeof document === "undefined" ? null : document.activeElement;
  if (!e) return {};
  const area = e.closest<HTMLElement>("[data-focus]")?.dataset.focus;
  const input = e instanceof HTMLElement && (e.isContentEditable || e instanceof HTMLTextAreaElement || e instanceof HTMLSelectElement || (e instanceof HTMLInputElement && !["button", "checkbox", "radio", "range", "submit"].includes(e.type)));
  return { inputFocus: input, [`${area}Focus`]: !!area, dialogOpen: !!document.querySelector("dialog[open]:not([data-sheet])") };
}

export const commands = new Commands();
