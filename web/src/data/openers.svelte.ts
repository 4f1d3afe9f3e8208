// Editors of the desktop that a file can be opened in. Asked once for each
// environment; where there is no desktop to open anything there are none.
import type { Opener } from "../api/types.gen";
import { toasts } from "../ui/toast.svelte";
import { app } from "./app.svelte";

let known = $state.raw<Record<string, Opener[]>>({});
const asked = new Set<string>();
const editors = new Set(["vscode", "cursor", "windsurf"]);

function load(env: string): void {
  if (asked.has(env)) return;
  asked.add(env);
  app.openers(env).then(
    (o) => (known = { ...known, [env]: o.openers ?? [] }),
    () => asked.delete(env),
  );
}

/** fileOpeners are a menu's entries for a file, at a line where one is known. */
export function fileOpeners(env: string, absolute: string, line: number): { name: string; icon: "edit"; testid: string; run: () => void }[] {
  queueMicrotask(() => load(env));
  return (known[env] ?? [])
    .filter((o) => editors.has(o.id))
    .map((o) => ({ name: `Open in ${o.name}`, icon: "edit", testid: `open-file-${o.id}`, run: () => void app.openIn(env, absolute, o.id, Math.max(1, line)).catch((e: unknown) => toasts.error(e)) }));
}
