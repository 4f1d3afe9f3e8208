// The page's way to the desktop: sign-in with the launch code and calls over
// HTTP. The token lives in sessionStorage and in this module, never in a URL.
import type { Environments, LaunchExchange, Session } from "../api/types.gen";
import { CallError, apiError, isApiError, isUnauthorized, toApiError } from "./errors";

const tokenKey = "catamaran.token";
const endKey = "catamaran.token.end";

export interface Place {
  hash: string;
  pathname: string;
  search: string;
}

export interface SignInHost {
  location: Place;
  storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  /** Takes the code out of the address bar and the history. */
  replaceURL(url: string): void;
  fetch: typeof fetch;
  /** The answer to a code that index.html has spent already. */
  early?: Promise<Response> | undefined;
}

export type SignIn = { kind: "token"; token: string; environments?: Environments | undefined } | { kind: "none" } | { kind: "refused"; reason: string; hint: string };

/**
 * signIn spends the launch code of the fragment, or falls back to the token
 * this tab already has. The fragment is gone before the request is made, so a
 * reload never sends a used code.
 */
export async function signIn(h: SignInHost): Promise<SignIn> {
  const kept = h.storage.getItem(tokenKey);
  const code = new URLSearchParams(h.location.hash.replace(/^#/, "")).get("code");
  if (!code && !h.early) return kept ? { kind: "token", token: kept } : { kind: "none" };
  if (code) h.replaceURL(h.location.pathname + h.location.search);
  try {
    const s = await readJSON<Session>(await (code ? spend(h, { code }) : h.early!));
    keepSession(h.storage, s);
    return { kind: "token", token: s.token, environments: s.environments };
  } catch (e) {
    if (kept) return { kind: "token", token: kept };
    const err = toApiError(e);
    return { kind: "refused", reason: err.message, hint: err.hint ?? "" };
  }
}

function spend(h: SignInHost, body: LaunchExchange): Promise<Response> {
  return h.fetch("/api/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

function keepSession(storage: Pick<Storage, "setItem">, s: Session): void {
  storage.setItem(tokenKey, s.token);
  storage.setItem(endKey, String(s.expiresAt));
}

/** renewIn is how long to wait before a session is renewed: at half of what is left, an hour at most. */
export function renewIn(storage: Pick<Storage, "getItem">, now: number): number {
  const left = Number(storage.getItem(endKey) ?? 0) - now;
  return Math.max(0, Math.min(3_600_000, left / 2));
}

export function forgetToken(storage: Pick<Storage, "removeItem">): void {
  storage.removeItem(tokenKey);
}

async function readJSON<T>(res: Response, refused: (e: CallError) => void = () => {}): Promise<T> {
  let body: unknown;
  try {
    body = await res.json();
  } catch (e) {
    // An answer that was cut off by the deadline is not one without a body.
    if (e instanceof DOMException) throw lost(e);
    body = undefined;
  }
  if (res.ok) return body as T;
  const inner = (body as { error?: unknown } | undefined)?.error;
  const err = isApiError(body) ? body : isApiError(inner) ? inner : apiError(res.status === 401 ? "unauthorized" : "internal", `The app answered ${res.status}.`);
  const failure = new CallError(err, res.status);
  refused(failure);
  throw failure;
}

/** 10 MiB over a slow tunnel. */
const uploadMillis = 120_000;

export interface CallOptions {
  /** Same id, same answer: makes a retry of a command safe. */
  commandId?: string;
  /** 0 waits as long as the server does. */
  timeoutMillis?: number;
  signal?: AbortSignal;
}

/** Caller makes calls with one token; onUnauthorized ends the session. */
export class Caller {
  constructor(
    public token: string,
    private readonly onUnauthorized: () => void,
    private readonly fetcher: typeof fetch = (...a) => fetch(...a),
  ) {}

  /** renew trades the token for a fresh one; the old one stays in use when that fails. */
  async renew(storage: Pick<Storage, "setItem">): Promise<void> {
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${this.token}` };
    try {
      const s = await readJSON<Session>(await this.fetcher("/api/session/renew", { method: "POST", headers, body: "{}", signal: AbortSignal.timeout(30_000) }));
      this.token = s.token;
      keepSession(storage, s);
    } catch (e) {
      if (e instanceof CallError && e.status === 401) this.onUnauthorized();
    }
  }

  async call<T>(base: string, method: string, params: unknown, o: CallOptions = {}): Promise<T> {
    return readJSON<T>(await this.post(`${base}/api/call/${method}`, params, o), (e) => this.refused(e));
  }

  /** upload sends a file's bytes; its name travels in a header. */
  async upload<T>(url: string, file: Blob, name: string, signal?: AbortSignal): Promise<T> {
    const headers = { "Content-Type": "application/octet-stream", Authorization: `Bearer ${this.token}`, "Catamaran-File-Name": encodeURIComponent(name) };
    const signals = [AbortSignal.timeout(uploadMillis), ...(signal ? [signal] : [])];
    let res: Response;
    try {
      res = await this.fetcher(url, { method: "POST", headers, body: file, signal: AbortSignal.any(signals) });
    } catch (e) {
      throw lost(e);
    }
    return readJSON<T>(res, (e) => this.refused(e));
  }

  /** download is an answer that is a file; the name is the server's, or else the given one. */
  async download(path: string, name: string, timeoutMillis: number, params: unknown = {}): Promise<{ name: string; data: Blob }> {
    const res = await this.post(path, params, { timeoutMillis });
    if (!res.ok) await readJSON(res, (e) => this.refused(e));
    const given = /filename="([\w.-]+)"/.exec(res.headers.get("Content-Disposition") ?? "")?.[1];
    try {
      return { name: given ?? name, data: await res.blob() };
    } catch {
      throw new CallError(apiError("unavailable", "The file did not arrive whole.", "Try again."));
    }
  }

  private refused(e: CallError): void {
    if (e.status === 401 && isUnauthorized(e.error)) this.onUnauthorized();
  }

  private async post(url: string, params: unknown, o: CallOptions): Promise<Response> {
    const headers: Record<string, string> = { "Content-Type": "application/json", Authorization: `Bearer ${this.token}` };
    if (o.commandId) headers["Catamaran-Command"] = o.commandId;
    const signals: AbortSignal[] = [];
    const millis = o.timeoutMillis ?? 30_000;
    if (millis > 0) signals.push(AbortSignal.timeout(millis));
    if (o.signal) signals.push(o.signal);
    try {
      return await this.fetcher(url, {
        method: "POST",
        headers,
        body: JSON.stringify(params ?? {}),
        signal: signals.length ? AbortSignal.any(signals) : null,
      });
    } catch (e) {
      throw lost(e);
    }
  }
}

/** lost says why there was no answer. */
function lost(e: unknown): CallError {
  if (e instanceof DOMException && e.name === "TimeoutError") return new CallError(apiError("timeout", "The app did not answer in time.", "Try again; nothing is lost."));
  if (e instanceof DOMException && e.name === "AbortError") return new CallError(apiError("cancelled", "Cancelled."));
  return new CallError(apiError("unavailable", "The app can't be reached.", "The page reconnects by itself once the app runs again."));
}

/** environmentBase is the route of an environment's backend behind the door. */
export function environmentBase(id: string): string {
  return `/e/${encodeURIComponent(id)}`;
}

export function newCommandId(): string {
  return crypto.randomUUID();
}
