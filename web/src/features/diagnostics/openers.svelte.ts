// What a folder can be opened in, as entries of a menu. Asked once for each
// environment; where there is no desktop to open anything there are none.
import type { Opener } from "../../api/types.gen";
import { leaveByLinks } from "../../platform";
import { app } from "../../data/app.svelte";
import type { IconName } from "../../ui/Icon.svelte";
import { toasts } from "../../ui/toast.svelte";

let known = $state.raw<Record<string, Opener[]>>({});
const asked = new Set<string>();

const icons: Record<string, IconName> = { folder: "folder", terminal: "execute" };

/** loadOpeners asks once; a failure is forgotten with the next visit. */
export function loadOpeners(env: string): void {
  if (asked.has(env)) return;
  asked.add(env);
  app.openers(env).then(
    (o) => {
      known = { ...known, [env]: o.openers ?? [] };
      if (o.native) leaveByLinks((url) => void app.openURL(url).catch((e: unknown) => toasts.error(e)));
    },
    (e: unknown) => {
      if ((e as { error?: { code?: string } }).error?.code !== "not_found") asked.delete(env);
    },
  );
}

/** openActions are the menu's entries for a folder. */
export function openActions(env: string, path: string | undefined): { name: string; icon: IconName; testid: string; run: () => void }[] {
  if (!path) return [];
  return (known[env] ?? []).map((o) => ({
    name: `Open in ${o.name}`,
    icon: icons[o.id] ?? "edit",
    testid: `open-in-${o.id}`,
    run: () => void app.openIn(env, path, o.id).catch((e: unknown) => toasts.error(e)),
  }));
}
