// The page's whole state: the session, the door's topic, an EnvironmentStore
// each, the route. Features read it and call its methods; nothing else keeps state
// that outlives a component.
import type { Diagnosis, Environment, EnvironmentLog, Environments, Error as ApiError, Forwarding, ForwardingChange, ModeChange, ModeConfig, Openers, PickedFolder, SavedFile, Settings, WSL, Update } from "../api/types.gen";
import { MethodDiagnose, MethodDistrosRescan, MethodEnvironmentLog, MethodEnvironmentStart, MethodForwardGet, MethodForwardSet, MethodModeCancel, MethodModeChange, MethodModeDismiss, MethodNewIdentity, MethodNotify, MethodOpeners, MethodOpenIn, MethodOpenURL, MethodPickFolder, MethodSaveDiagnostics, MethodSettingsGet, MethodSettingsSet, MethodWSLRestart, TopicEnvironments } from "../api/types.gen";
import { onReturn } from "../platform";
import { Caller, environmentBase, forgetToken, newCommandId, renewIn, signIn } from "./door";
import { CallError } from "./errors";
import { EnvironmentStore, type Session } from "./environment.svelte";
import { Quiet } from "./quiet.svelte";
import { type Route, parseRoute, routePath } from "./route";
import { settings } from "./settings.svelte";
import { type LinkState, Socket, type SocketHost, socketURL } from "./socket";
import { ThreadStore } from "./thread.svelte";
import { openingWord } from "./words";

declare global {
  interface Window {
    /** index.html's exchange of the launch code. */
    signingIn?: Promise<Response>;
  }
}

export type Access = { kind: "checking" } | { kind: "in" } | { kind: "out"; reason: string; hint: string };

const standingMillis = 120;

export class App {
  access = $state.raw<Access>({ kind: "checking" });
  door = $state<LinkState>("off");
  environments = $state.raw<Environments | undefined>(undefined);
  stores = $state.raw<EnvironmentStore[]>([]);
  route = $state.raw<Route>({ page: "home" });
  thread = $state.raw<ThreadStore | undefined>(undefined);
  /** Held while the mode is changed on purpose: no word about connections then. */
  readonly quiet = new Quiet();
  private confirmed: ModeChange | undefined;
  private session: Session | undefined;
  private socket: Socket | undefined;
  private renewal: ReturnType<typeof setTimeout> | undefined;

  primary = $derived(this.stores.find((s) => s.id === this.environments?.primary) ?? this.stores[0]);
  /** What the sidebar shows: everything that runs, starts or belongs to the mode. */
  shown = $derived(this.stores.filter((s) => s.info.state !== "off" || belongs(s.info, this.environments)));

  async start(socketHost?: SocketHost): Promise<void> {
    this.route = parseRoute(location.pathname);
    window.addEventListener("popstate", () => this.show(parseRoute(location.pathname)));
    // A launch address opened in a tab that has the page already changes only the fragment.
    window.addEventListener("hashchange", () => {
      if (location.hash.startsWith("#code=")) location.reload();
    });
    const r = await signIn({ location, storage: sessionStorage, fetch: (...a) => fetch(...a), replaceURL: (url) => history.replaceState(null, "", url), early: window.signingIn });
    if (r.kind !== "token") {
      this.access = { kind: "out", reason: r.kind === "refused" ? r.reason : "", hint: r.kind === "refused" ? r.hint : "" };
      return;
    }
    this.enter(r.token, r.environments, socketHost);
    onReturn(() => {
      this.socket?.poke();
      void settings.reload();
      for (const s of this.stores) s.poke();
    });
    await this.standing();
    if (this.access.kind === "checking") this.access = { kind: "in" };
  }

  /** standing waits for what the first screen shows, but not long: to draw takes longer than most answers, and is done once then. */
  private standing(): Promise<void> {
    return new Promise((done) => {
      const leave = $effect.root(() => {
        $effect(() => {
          if (this.access.kind === "out" || (this.environments && (!this.primary?.live || this.primary.synchronized))) end();
        });
      });
      const late = setTimeout(() => end(), standingMillis);
      const end = () => {
        clearTimeout(late);
        leave();
        done();
      };
    });
  }

  private enter(token: string, environments: Environments | undefined, socketHost?: SocketHost): void {
    const onUnauthorized = () => this.leave("This session has ended.", "");
    const caller = new Caller(token, onUnauthorized);
    this.session = { caller, onUnauthorized, socketHost, onIdentity: (env) => this.forget(env.id) };
    this.socket = new Socket({
      url: socketURL(""),
      token: () => caller.token,
      host: socketHost,
      onState: (s) => (this.door = s),
      onUnauthorized,
    });
    this.socket.subscribe({
      topic: TopicEnvironments,
      // There is only the newest state of this topic, so there is nothing to resume after.
      cursor: () => undefined,
      frame: (f) => {
        if (f.environments) this.setEnvironments(f.environments);
        // A path was opened from a terminal, or a notification of the system was clicked.
        const o = f.opened;
        if (o?.thread) this.go({ page: "thread", env: o.environment, thread: o.thread });
        else if (o?.project) this.go({ page: "project", env: o.environment, project: o.project.id });
        // Another window changed them.
        if (f.settings) settings.told(f.settings);
      },
    });
    this.socket.start();
    // Their sockets need not wait for what the door's says.
    if (environments) this.setEnvironments(environments);
    void settings.follow({ get: () => this.call<Settings>(MethodSettingsGet, {}), set: (c) => this.call<Settings>(MethodSettingsSet, c) });
    this.renewLater(caller);
  }

  /** A page that stays open for days keeps its session. */
  private renewLater(caller: Caller, least = 0): void {
    clearTimeout(this.renewal);
    this.renewal = setTimeout(
      () => {
        if (this.access.kind === "in") void caller.renew(sessionStorage).then(() => this.renewLater(caller, 60_000));
      },
      Math.max(least, renewIn(sessionStorage, Date.now())),
    );
  }

  leave(reason: string, hint: string): void {
    forgetToken(sessionStorage);
    clearTimeout(this.renewal);
    this.socket?.stop();
    for (const s of this.stores) s.close();
    this.access = { kind: "out", reason, hint };
  }

  /** forget leaves an environment's threads; the others are not touched. */
  private forget(env: string): void {
    const r = this.route;
    if ((r.page === "thread" || r.page === "project") && r.env === env) this.go({ page: "home" }, true);
  }

  setEnvironments(e: Environments): void {
    // A report from before the confirmation came after it: what was confirmed stays (W8.3).
    const c = this.confirmed;
    if (c && e.change?.id === c.id && (e.change.phase === "preparing" || e.change.phase === "starting" || e.change.phase === "re-establishing session")) e = { ...e, config: c.to };
    const list = e.environments ?? [];
    const old = new Map(this.stores.map((s) => [s.id, s]));
    const next = list.map((info) => {
      const s = old.get(info.id);
      old.delete(info.id);
      if (!s) return new EnvironmentStore(info, environmentBase(info.id), this.session!);
      s.update(info);
      return s;
    });
    for (const gone of old.values()) gone.close();
    this.environments = e;
    if (next.length !== this.stores.length || next.some((s, i) => s !== this.stores[i])) this.stores = next;
    this.settle();
  }

  /** settle keeps the route on something that exists. */
  private settle(): void {
    const r = this.route;
    if ((r.page === "thread" || r.page === "project") && !this.stores.some((s) => s.id === r.env)) this.go({ page: "home" }, true);
    else this.show(r);
  }

  /** blocked says why nothing can be sent to an environment now, "" when it can. */
  blocked(env: EnvironmentStore): string {
    if (env.usable) return "";
    if (this.quiet.on) return "Changing where agents run";
    if (!env.live) return "Not running";
    return openingWord(env.link, env.lost);
  }

  store(id: string): EnvironmentStore | undefined {
    return this.stores.find((s) => s.id === id);
  }

  go(r: Route, replace = false): void {
    const path = routePath(r);
    if (replace) history.replaceState(null, "", path);
    else if (path !== location.pathname) history.pushState(null, "", path);
    this.show(r);
  }

  private show(r: Route): void {
    this.route = r;
    const env = r.page === "thread" ? this.store(r.env) : undefined;
    if (r.page === "thread" && env && this.thread?.id === r.thread && this.thread.env === env) return;
    this.thread?.close();
    this.thread = undefined;
    if (r.page === "thread" && env) {
      this.thread = new ThreadStore(env, r.thread);
      this.thread.open();
    }
  }

  private call<T>(method: string, params: unknown, timeoutMillis = 30_000): Promise<T> {
    return this.session!.caller.call<T>("", method, params, { commandId: newCommandId(), timeoutMillis });
  }

  /** changeMode answers when the change has ended, for good or not; the topic tells of its phases. */
  async changeMode(to: ModeConfig): Promise<ModeChange> {
    const leave = this.quiet.enter();
    try {
      const change = await this.call<ModeChange>(MethodModeChange, to, 0);
      if (change.phase === "done" && this.environments) {
        // The main side has confirmed: the choice shows it even when the event is still on its way.
        this.confirmed = change;
        this.environments = { ...this.environments, config: change.to };
      }
      return change;
    } finally {
      leave();
    }
  }
  cancelMode(): Promise<void> {
    return this.call(MethodModeCancel, {});
  }
  dismissMode(): Promise<void> {
    return this.call(MethodModeDismiss, {});
  }
  startEnvironment(id: string): Promise<Environment> {
    return this.call(MethodEnvironmentStart, { id }, 120_000);
  }
  /** newIdentity restarts a backend that is a copy of another under an id of its own. */
  newIdentity(id: string): Promise<Environment> {
    return this.call(MethodNewIdentity, { id }, 120_000);
  }
  /** restartWSL ends every distro on this computer; ask first. */
  restartWSL(): Promise<void> {
    return this.call(MethodWSLRestart, {}, 90_000);
  }
  log(id: string): Promise<EnvironmentLog> {
    return this.call(MethodEnvironmentLog, { id });
  }
  async rescan(): Promise<void> {
    const wsl = await this.call<WSL>(MethodDistrosRescan, {}, 60_000);
    if (this.environments && wsl) this.environments = { ...this.environments, wsl };
  }

  /** notify shows a notification by the desktop's own system, where the page may not; a click on it shows the window with the thread. */
  notify(title: string, body: string, environment: string, thread: string): Promise<void> {
    return this.call(MethodNotify, { title, body, environment, thread });
  }

  /** diagnose runs every check; it may take as long as the slowest agent's start. */
  diagnose(): Promise<Diagnosis> {
    return this.call(MethodDiagnose, {}, 90_000);
  }
  /** exportDiagnostics is the archive and its name. */
  exportDiagnostics(): Promise<{ name: string; data: Blob }> {
    return this.session!.caller.download("/api/diagnostics", "catamaran-diagnostics.zip", 120_000);
  }
  /** saveDiagnostics has the desktop write the archive where the person says; undefined where no native window could ask. */
  async saveDiagnostics(): Promise<SavedFile | undefined> {
    try {
      return await this.call<SavedFile>(MethodSaveDiagnostics, {}, 0);
    } catch (e) {
      const code = e instanceof CallError ? e.error.code : "";
      if (code === "unavailable" || code === "not_found") return undefined;
      throw e;
    }
  }
  forwarding(): Promise<Forwarding> {
    return this.call(MethodForwardGet, {});
  }
  setForwarding(c: ForwardingChange): Promise<Forwarding> {
    return this.call(MethodForwardSet, c);
  }
  /** update calls one of the methods of the app's own updates. */
  update(method: string, params: unknown): Promise<Update> {
    return this.call(method, params, 60_000);
  }
  openers(id: string): Promise<Openers> {
    return this.call(MethodOpeners, { id });
  }
  openURL(url: string): Promise<void> {
    return this.call(MethodOpenURL, { url });
  }
  /** pickFolder waits for the person at the native dialog; environment and path are empty when they cancelled. */
  pickFolder(environment: string, typed: string): Promise<PickedFolder> {
    return this.call(MethodPickFolder, { environment, typed }, 0);
  }
  /** openIn opens a folder; with a line, from 1, a file. */
  openIn(environment: string, path: string, target: string, line?: number): Promise<void> {
    return this.call(MethodOpenIn, { environment, path, target, line });
  }
}

function belongs(e: Environment, all: Environments | undefined): boolean {
  const mode = all?.config.mode;
  const local = e.id === "local";
  return mode === "both" || (mode === "wsl-only" ? !local : local);
}

export type { ApiError };

export const app = new App();
