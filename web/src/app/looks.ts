import { settings } from "../data/settings.svelte";
import { applyLooks } from "../platform";

/** lookAsChosen puts the chosen theme, density and sizes on the document; in an effect it follows them. */
export function lookAsChosen(): void {
  applyLooks({
    theme: settings.get("appearance.theme"),
    compact: settings.get("appearance.density") === "compact",
    still: settings.get("appearance.motion") === "reduced",
    textSize: settings.get("appearance.textSize"),
    codeSize: settings.get("appearance.codeSize"),
  });
}
