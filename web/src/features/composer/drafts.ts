// What is kept on this computer of a composer: drafts, the choices made last,
// the consent to full access, and the models somebody likes.
import type { Attachment, PermissionMode } from "../../api/types.gen";
import { kept } from "../../platform";

export interface Draft {
  text: string;
  /** Images that were uploaded; the backend keeps unsent ones for a day. */
  files?: Attachment[];
  at?: number;
}

const prefix = "draft.";
/** Past this many the oldest drafts go. */
const mostDrafts = 200;

const draftKey = (env: string, place: string) => `${prefix}${env}/${place}`;

export function readDraft(env: string, place: string): Draft {
  const text = kept.get(draftKey(env, place)) ?? "";
  if (!text.startsWith("{")) return { text };
  try {
    const d = JSON.parse(text) as Partial<Draft>;
    return typeof d.text === "string" ? { text: d.text, files: Array.isArray(d.files) ? d.files : [] } : { text };
  } catch {
    return { text };
  }
}

export function writeDraft(env: string, place: string, d: Draft, now = Date.now()): void {
  const empty = d.text === "" && !d.files?.length;
  kept.set(draftKey(env, place), empty ? null : JSON.stringify({ ...d, at: now }));
  if (!empty) prune();
}

/** DraftKeeper writes a draft a little after it has changed: a key press must not wait for the disk. */
export class DraftKeeper {
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly env: string,
    private readonly place: string,
    private readonly draft: () => Draft,
  ) {}

  soon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), 250);
  }
  now(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    writeDraft(this.env, this.place, this.draft());
  }
  /** rest writes what is still to be written. */
  rest(): void {
    if (this.timer !== undefined) this.now();
  }
}

function prune(): void {
  const keys = kept.keys(prefix);
  if (keys.length <= mostDrafts) return;
  const ages = keys.map((k) => ({ k, at: kept.json<Draft>(prefix + k)?.at ?? 0 })).sort((a, b) => a.at - b.at);
  for (const { k } of ages.slice(0, keys.length - mostDrafts)) kept.set(prefix + k, null);
}

export function fullAccessConfirmed(env: string, project: string): boolean {
  return kept.get(`full.${env}/${project}`) === "yes";
}
export function confirmFullAccess(env: string, project: string): void {
  kept.set(`full.${env}/${project}`, "yes");
}

/** What was chosen last in a project, for its next thread. */
export interface Choice {
  agentId?: string;
  permission?: PermissionMode;
  /** By agent. */
  models?: Record<string, { model?: string; effort?: string }>;
  plan?: boolean;
}

export function lastChoice(env: string, project: string): Choice {
  return kept.json<Choice>(`choice.${env}/${project}`) ?? {};
}
export function keepChoice(env: string, project: string, c: { agentId?: string; permission?: PermissionMode; model?: string; effort?: string; plan?: boolean }): void {
  const old = lastChoice(env, project);
  const models = { ...old.models };
  if (c.agentId && (c.model !== undefined || c.effort !== undefined)) models[c.agentId] = { ...models[c.agentId], ...(c.model !== undefined && { model: c.model }), ...(c.effort !== undefined && { effort: c.effort }) };
  kept.set(`choice.${env}/${project}`, JSON.stringify({ agentId: c.agentId ?? old.agentId, permission: c.permission ?? old.permission, plan: c.plan ?? old.plan, models }));
}

export function favouriteModels(): string[] {
  const f = kept.json<string[]>("models.favourite");
  return Array.isArray(f) ? f : [];
}
export function keepFavouriteModels(f: string[]): void {
  kept.set("models.favourite", f.length ? JSON.stringify(f) : null);
}
