// Drafts and the once-per-project consent to full access, kept on this computer.
import { kept } from "../../platform";

const draftKey = (env: string, place: string) => `draft.${env}/${place}`;

export function readDraft(env: string, place: string): string {
  return kept.get(draftKey(env, place)) ?? "";
}
export function writeDraft(env: string, place: string, text: string): void {
  kept.set(draftKey(env, place), text === "" ? null : text);
}

export function fullAccessConfirmed(env: string, project: string): boolean {
  return kept.get(`full.${env}/${project}`) === "yes";
}
export function confirmFullAccess(env: string, project: string): void {
  kept.set(`full.${env}/${project}`, "yes");
}
