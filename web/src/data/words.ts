// The words and figures on screen, in one place so that they stay the same everywhere.
import type { Approval, Environment, EnvironmentState, Item, PermissionMode, Question, Thread, Turn, Usage } from "../api/types.gen";

export type Tone = "quiet" | "busy" | "wait" | "good" | "bad";

export interface Status {
  key: "new" | "working" | "waiting" | "question" | "plan" | "done" | "interrupted" | "failed" | "queued" | "stopping";
  word: string;
  tone: Tone;
  /** The word for a narrow place. */
  short?: string;
}

export function threadStatus(t: Pick<Thread, "state" | "stopping">): Status {
  if (t.stopping) return { key: "stopping", word: "Stopping", tone: "busy" };
  switch (t.state) {
    case "running":
      return { key: "working", word: "Working", tone: "busy" };
    case "waiting":
      return { key: "waiting", word: "Waiting for approval", tone: "wait" };
    case "completed":
      return { key: "done", word: "Done", tone: "good" };
    case "interrupted":
      return { key: "interrupted", word: "Interrupted", tone: "wait" };
    case "failed":
      return { key: "failed", word: "Failed", tone: "bad" };
    case "queued":
      return { key: "queued", word: "Queued", tone: "quiet" };
    default:
      return { key: "new", word: "New", tone: "quiet" };
  }
}

/** What a turn waits for; "" when it waits for nothing. */
export type Asking = "" | "approval" | "question" | "plan";

/** askingOf tells what an item asks of a person now. */
export function askingOf(i: Item | undefined): Asking {
  if (i?.question?.state === "pending") return "question";
  if (i?.approval?.state !== "pending") return "";
  return i.approval.kind === "plan" ? "plan" : "approval";
}

const askingWords: Record<Exclude<Asking, "">, Status> = {
  approval: { key: "waiting", word: "Waiting for approval", tone: "wait" },
  question: { key: "question", word: "Waiting for an answer", tone: "wait" },
  plan: { key: "plan", word: "Plan ready", tone: "wait" },
};

/** listStatus is a thread's word in a list, also without its timeline. */
export function listStatus(t: Pick<Thread, "state" | "stopping" | "asking">): Status {
  if (t.stopping || t.state !== "waiting") return threadStatus(t);
  const asking = t.asking === "question" || t.asking === "plan" ? t.asking : "approval";
  return { ...askingWords[asking], short: { approval: "Approval", question: "Answer", plan: undefined }[asking] };
}

/** turnStatus is threadStatus with what is known of an open thread: what it waits for. */
export function turnStatus(t: Pick<Turn, "state">, asking: Asking = "", stopping = false): Status {
  if (!stopping && t.state === "waiting" && asking) return askingWords[asking];
  return threadStatus({ state: t.state, stopping });
}

export function isLive(state: EnvironmentState): boolean {
  return state === "ready" || state === "degraded";
}

export function isBooting(state: EnvironmentState): boolean {
  return state === "resolving" || state === "staging" || state === "starting" || state === "backoff";
}

export function environmentTone(state: EnvironmentState): Tone {
  if (state === "ready") return "good";
  if (state === "degraded") return "wait";
  if (state === "failed") return "bad";
  return state === "off" ? "quiet" : "busy";
}

const stateWords: Record<EnvironmentState, string> = {
  off: "Off",
  resolving: "Looking for the distro",
  staging: "Copying the backend",
  starting: "Starting",
  ready: "Ready",
  degraded: "Ready, with problems",
  stopping: "Stopping",
  backoff: "Trying again shortly",
  failed: "Failed",
};

export function environmentWord(e: Pick<Environment, "state" | "stage">): string {
  if (isBooting(e.state) && e.stage) return capital(e.stage);
  return stateWords[e.state] ?? e.state;
}

export const permissionWords: Record<PermissionMode, { name: string; about: string }> = {
  supervised: { name: "Supervised", about: "Asks before commands and edits" },
  "accept-edits": { name: "Accept edits", about: "Edits files, asks before commands" },
  full: { name: "Full access", about: "Runs anything without asking" },
};

/** openingWord names what a backend that runs is still waited for: never just that something connects (W8.5). */
export function openingWord(link: string, lost: boolean): string {
  if (link === "open") return "Reading projects and threads";
  if (link === "waiting") return "Waiting to reach its backend again";
  return lost ? "Reaching its backend again" : "Opening the channel to its backend";
}

/** duration says milliseconds in words: "2.5 s", "1 min 4 s", "2 h 5 min". */
export function duration(millis: number): string {
  const ms = Math.max(0, millis);
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return `${m} min ${s % 60} s`;
  return `${Math.floor(m / 60)} h ${m % 60} min`;
}

// Making a format costs more than all that is written with it. It knows the zone it was made in.
const once = (make: () => Intl.DateTimeFormat): (() => Intl.DateTimeFormat) => {
  let made: Intl.DateTimeFormat | undefined;
  let zone = 0;
  return () => {
    const here = new Date().getTimezoneOffset();
    if (!made || here !== zone) made = make();
    zone = here;
    return made;
  };
};
const clock = once(() => new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" }));
const dayOfYear = once(() => new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" }));
const dayAndYear = once(() => new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" }));

/** moment is a time of day, with the day when it is not today. */
export function moment(at: number, now = Date.now()): string {
  const d = new Date(at);
  const today = new Date(now);
  const time = clock().format(d);
  if (d.toDateString() === today.toDateString()) return time;
  return `${(d.getFullYear() === today.getFullYear() ? dayOfYear() : dayAndYear()).format(d)}, ${time}`;
}

/** exactly is a number with all its digits: "12,345". */
export function exactly(n: number): string {
  return String(n).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

/** size says bytes in words: "512 bytes", "12 kB", "3.4 MB". */
export function size(bytes: number): string {
  if (bytes < 1000) return plural(bytes, "byte");
  if (bytes < 999_500) return `${Math.round(bytes / 1000)} kB`;
  return `${(bytes / 1_000_000).toFixed(1).replace(/\.0$/, "")} MB`;
}

/** age is short enough for the edge of a list row. */
export function age(at: number, now: number): string {
  const s = Math.max(0, Math.floor((now - at) / 1000));
  if (s < 60) return "now";
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h`;
  if (s < 86_400 * 30) return `${Math.floor(s / 86_400)} d`;
  return dayAndYear().format(at);
}

export function count(n: number): string {
  if (n < 1000) return String(n);
  if (n < 99_950) return `${(n / 1000).toFixed(1).replace(/\.0$/, "")}k`;
  return n < 999_500 ? `${Math.round(n / 1000)}k` : `${(n / 1_000_000).toFixed(1).replace(/\.0$/, "")}M`;
}

export function megabytes(bytes: number): string {
  return `${Math.round(bytes / (1 << 20))} MB`;
}

export function tokens(u: Usage | undefined): string {
  const n = (u?.inputTokens ?? 0) + (u?.outputTokens ?? 0);
  return n > 0 ? `${count(n)} tokens` : "";
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}

export function capital(s: string): string {
  return s.charAt(0).toUpperCase() + s.slice(1);
}

/** approvalRecord says what was decided, for the line that stays in the log. */
export function approvalRecord(a: Approval): { verb: string; tone: Tone; how: string } {
  const name = a.options?.find((o) => o.id === a.chosenId)?.name ?? "";
  // "Declined: Decline" says nothing twice.
  const chosen = /^(approve|allow|decline|reject|deny|yes|no)$/i.test(name) ? "" : name;
  switch (a.state) {
    case "approved":
      return { verb: "Approved", tone: "good", how: chosen };
    case "declined":
      return { verb: "Declined", tone: "bad", how: chosen };
    case "cancelled":
      return { verb: "Not answered", tone: "quiet", how: "the turn was cancelled" };
    case "expired":
      return { verb: "Expired", tone: "quiet", how: "the agent is gone" };
    default:
      return { verb: "Waiting for you", tone: "wait", how: "" };
  }
}

/** questionRecord says what was answered, for the line that stays in the log. */
export function questionRecord(q: Question): { verb: string; tone: Tone; how: string } {
  switch (q.state) {
    case "approved": {
      const said = (q.answers ?? []).map((a) => {
        const part = q.parts?.find((p) => p.id === a.partId);
        const chosen = (a.optionIds ?? []).map((id) => part?.options?.find((o) => o.id === id)?.label ?? id);
        return [...chosen, part?.secret && a.text ? "(hidden)" : a.text].filter(Boolean).join(", ");
      });
      return { verb: "Answered", tone: "good", how: said.filter(Boolean).join("; ") };
    }
    case "declined":
      return { verb: "Not answered", tone: "quiet", how: "you left it open" };
    case "cancelled":
      return { verb: "Not answered", tone: "quiet", how: "the turn was cancelled" };
    case "expired":
      return { verb: "Expired", tone: "quiet", how: "the agent is gone" };
    default:
      return { verb: "Waiting for you", tone: "wait", how: "" };
  }
}

/** inside says where, after "a folder" or "found": "on this computer", "in Ubuntu (WSL)". */
export function inside(e: Pick<Environment, "id" | "name">): string {
  return e.id === "local" && /^this /i.test(e.name) ? `on ${e.name.charAt(0).toLowerCase()}${e.name.slice(1)}` : `in ${e.name}`;
}

/** splitPath splits a path of either system into folder and name. */
// A path below the project is shown without the project's own; the project itself is ".".
export function inProject(path: string, root: string): string {
  const base = root.replace(/[\\/]+$/, "");
  if (!base) return path;
  if (path === base || path === base + "/" || path === base + "\\") return ".";
  return path.startsWith(base + "/") || path.startsWith(base + "\\") ? path.slice(base.length + 1) : path;
}

/** joinPath is the path of a project's file in the environment's own form. */
export function joinPath(root: string, path: string): string {
  const windows = /^[A-Za-z]:|^\\\\/.test(root);
  return root.replace(/[\\/]+$/, "") + (windows ? "\\" + path.replaceAll("/", "\\") : "/" + path);
}

export function splitPath(path: string): { dir: string; name: string } {
  const at = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  return { dir: path.slice(0, at + 1), name: path.slice(at + 1) };
}
