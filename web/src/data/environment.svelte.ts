// One environment as the page holds it: what the desktop says of it, the
// socket to its backend while there is one, its projects and threads. Without
// a live backend nothing is requested; the last known projects stay visible.
import type { Agent, AgentInstance, AgentInstances, AgentOptions, AgentSessions, Agents, Attachment, AttachmentURL, Descriptor, Environment, Error as ApiError, FilePlace, Folder, Project, Search, SearchHits, SessionOpen, Thread, ThreadCreate } from "../api/types.gen";
import { MethodAgentList, MethodAgentOptions, MethodAttachmentURL, MethodDescriptor, MethodFolderList, MethodInstanceList, MethodInstanceRemove, MethodInstanceSave, MethodProjectAdd, MethodProjectRemove, MethodProjectRename, MethodSearch, MethodSessionList, MethodSessionOpen, MethodThreadArchive, MethodThreadCreate, MethodThreadDelete, MethodThreadPin, MethodThreadRename, MethodThreadSeen, PathFileBytes, TopicShell } from "../api/types.gen";
import { kept } from "../platform";
import type { CallOptions, Caller } from "./door";
import { newCommandId } from "./door";
import { CallError, apiError, toApiError } from "./errors";
import { type ShellState, emptyShell, reduceShell } from "./reduce";
import { type LinkState, Socket, type SocketHost, type Topic, socketURL } from "./socket";
import { isLive } from "./words";

interface Cache {
  environmentId: string;
  projects: Project[];
  threads: Thread[];
}

const cachedThreads = 200;

export interface Session {
  caller: Caller;
  onUnauthorized(): void;
  socketHost?: SocketHost;
  /** The environment is another one under the same name: its threads are not those that were shown. */
  onIdentity?(env: EnvironmentStore): void;
}

export class EnvironmentStore {
  info = $state.raw<Environment>() as Environment;
  shell = $state.raw<ShellState>(emptyShell);
  link = $state<LinkState>("off");
  /** This backend's socket was open once, so that another attempt is a reconnect. */
  private reached = $state(false);
  synchronized = $state(false);
  /** The shell on screen is from an earlier connection. */
  cached = $state(false);
  descriptor = $state.raw<Descriptor | undefined>(undefined);
  agents = $state.raw<Agent[] | undefined>(undefined);
  agentsError = $state.raw<ApiError | undefined>(undefined);
  private offers = $state.raw<Record<string, AgentOptions>>({});
  private offersAsked = new Map<string, Promise<void>>();
  live = $derived(isLive(this.info.state));
  /** Calls can be made now. */
  usable = $derived(this.live && this.synchronized && this.link === "open");
  lost = $derived(this.live && this.reached && (this.link === "waiting" || this.link === "connecting"));

  private socket: Socket | undefined;
  private topics = new Map<Topic, (() => void) | undefined>();
  private identity = "";
  /** Whose projects and threads the shell has, "" while that is not known. */
  private owner = "";
  private cacheTimer: ReturnType<typeof setTimeout> | undefined;
  private agentsAsked: Promise<void> | undefined;

  constructor(
    info: Environment,
    readonly base: string,
    private readonly session: Session,
  ) {
    this.info = info;
    const c = kept.json<Cache>(this.cacheKey);
    if (c && Array.isArray(c.projects) && Array.isArray(c.threads)) {
      this.shell = { projects: c.projects, threads: c.threads, seq: undefined };
      this.cached = true;
      this.owner = c.environmentId ?? "";
    }
    this.identify(info.environmentId);
    this.subscribe({
      topic: TopicShell,
      cursor: () => this.shell.seq,
      frame: (f) => {
        this.shell = reduceShell(this.shell, f);
        if (f.type === "snapshot") this.cached = false;
        if (f.type === "synchronized") this.synchronized = true;
        this.saveSoon();
      },
    });
    this.follow();
  }

  get id(): string {
    return this.info.id;
  }

  private get cacheKey(): string {
    return `shell.${this.info.id}`;
  }

  update(info: Environment): void {
    this.info = info;
    this.identify(info.environmentId);
    this.follow();
  }

  /** identify drops what belongs to another environment of this name, here and in the cache (W8.4). */
  private identify(id: string | undefined): void {
    if (!id || id === this.owner) return;
    const other = this.owner !== "";
    this.owner = id;
    if (!other) return;
    clearTimeout(this.cacheTimer);
    this.cacheTimer = undefined;
    kept.set(this.cacheKey, null);
    this.shell = emptyShell;
    this.cached = this.synchronized = false;
    this.agents = this.agentsAsked = undefined;
    this.offers = {};
    this.offersAsked.clear();
    this.descriptor = undefined;
    this.socket?.forgetCursors();
    this.session.onIdentity?.(this);
  }

  private follow(): void {
    if (isLive(this.info.state)) this.connect();
    else this.disconnect();
  }

  private connect(): void {
    if (this.socket) return;
    this.socket = new Socket({
      url: socketURL(this.base),
      token: () => this.session.caller.token,
      host: this.session.socketHost,
      onState: (s) => {
        this.link = s;
        if (s === "open") this.reached = true;
        if (s !== "open") this.synchronized = false;
      },
      onWelcome: (f) => this.welcome(f.descriptor),
      onUnauthorized: () => this.session.onUnauthorized(),
    });
    this.reached = false;
    for (const t of this.topics.keys()) this.topics.set(t, this.socket.subscribe(t));
    this.socket.start();
  }

  /** A new process may have lost live text; another identity has other threads. Both get snapshots. */
  private welcome(d: Descriptor | undefined): void {
    if (!d) return;
    const identity = `${d.environmentId} ${d.started} ${d.pid}`;
    if (this.identity && this.identity !== identity) {
      this.socket?.forgetCursors();
      // The list on screen stays until the new backend has answered.
      this.agentsAsked = undefined;
      this.offersAsked.clear();
    }
    this.identify(d.environmentId);
    this.identity = identity;
    this.descriptor = d;
  }

  private disconnect(): void {
    this.socket?.stop();
    this.socket = undefined;
    this.link = "off";
    this.synchronized = false;
    for (const t of this.topics.keys()) this.topics.set(t, undefined);
    if (this.shell.seq !== undefined) {
      this.cached = true;
      // The next backend may be another one; it is asked for everything.
      this.shell = { ...this.shell, seq: undefined };
    }
  }

  close(): void {
    this.disconnect();
    clearTimeout(this.cacheTimer);
  }

  poke(): void {
    this.socket?.poke();
  }

  subscribe(t: Topic): () => void {
    this.topics.set(t, this.socket?.subscribe(t));
    return () => {
      this.topics.get(t)?.();
      this.topics.delete(t);
    };
  }

  private saveSoon(): void {
    if (this.cacheTimer !== undefined) return;
    this.cacheTimer = setTimeout(() => {
      this.cacheTimer = undefined;
      const threads = this.shell.threads.slice().sort((a, b) => b.updatedAt - a.updatedAt);
      const c: Cache = { environmentId: this.owner, projects: this.shell.projects, threads: threads.slice(0, cachedThreads) };
      kept.set(this.cacheKey, JSON.stringify(c));
    }, 500);
  }

  private down(): CallError {
    return new CallError(apiError("environment_not_running", `${this.info.name} is not running.`, "Wait until it is ready, or start it in Settings."));
  }

  call<T>(method: string, params: unknown, o: CallOptions = {}): Promise<T> {
    if (!this.live) return Promise.reject(this.down());
    return this.session.caller.call<T>(this.base, method, params, o);
  }

  /** loadAgents asks once for each backend, and again with rescan. */
  loadAgents(rescan = false): Promise<void> {
    if (!this.live) return Promise.resolve();
    if (!this.agentsAsked || rescan) {
      this.agentsError = undefined;
      this.agentsAsked = this.call<Agents>(MethodAgentList, { rescan }, { timeoutMillis: 60_000 })
        .then((r) => {
          this.agents = r.agents ?? [];
        })
        .catch((e: unknown) => {
          this.agentsError = toApiError(e);
          this.agentsAsked = undefined;
        });
    }
    return this.agentsAsked;
  }

  /** instances are what was set for agents here; secrets come without their values. */
  async instances(): Promise<AgentInstance[]> {
    return (await this.call<AgentInstances>(MethodInstanceList, {})).instances ?? [];
  }
  async saveInstance(instance: AgentInstance): Promise<AgentInstance> {
    const saved = await this.call<AgentInstance>(MethodInstanceSave, { instance }, { commandId: newCommandId() });
    this.agentsChanged();
    return saved;
  }
  async removeInstance(id: string): Promise<void> {
    await this.call(MethodInstanceRemove, { id }, { commandId: newCommandId() });
    this.agentsChanged();
  }
  /** agentsChanged asks again for agents and, when it is read next, for what they offer. */
  private agentsChanged(): void {
    this.agentsAsked = undefined;
    this.offersAsked.clear();
    void this.loadAgents();
  }

  /** options is what an agent offers in a project: asked for when first read, undefined until it is known. */
  options(agentId: string, projectId: string): AgentOptions | undefined {
    return this.offers[`${agentId} ${projectId}`];
  }

  /** loadOptions asks once for each agent and project of a backend, and again with refresh. It never rejects: an agent that can't tell offers nothing. */
  loadOptions(agentId: string, projectId: string, refresh = false): Promise<void> {
    if (!this.live || !agentId) return Promise.resolve();
    const key = `${agentId} ${projectId}`;
    const asked = this.offersAsked.get(key);
    if (asked && !refresh) return asked;
    const ask = this.call<AgentOptions>(MethodAgentOptions, { agentId, projectId, refresh }, { timeoutMillis: 60_000 })
      .then((o) => {
        this.offers = { ...this.offers, [key]: o };
      })
      .catch(() => {
        this.offersAsked.delete(key);
      });
    this.offersAsked.set(key, ask);
    return ask;
  }

  /** upload keeps an image that a message may carry. */
  upload(file: Blob, name: string, signal?: AbortSignal): Promise<Attachment> {
    if (!this.live) return Promise.reject(this.down());
    return this.session.caller.upload<Attachment>(`${this.base}/api/upload`, file, name, signal);
  }

  /** fileBytes are the bytes of a file of a project, for a picture. */
  async fileBytes(at: FilePlace, path: string): Promise<Blob> {
    if (!this.live) throw this.down();
    return (await this.session.caller.download(`${this.base}${PathFileBytes}`, path, 60_000, { ...at, path })).data;
  }

  /** picture is an address of an image that an <img> can read, for ten minutes. */
  async picture(id: string, threadId?: string): Promise<string> {
    return this.base + (await this.call<AttachmentURL>(MethodAttachmentURL, { id, threadId })).url;
  }

  /** measure asks the backend what it is and what it holds in memory now; only when somebody looks. */
  measure(): Promise<Descriptor> {
    return this.call(MethodDescriptor, {});
  }

  agentName(id: string): string {
    return this.agents?.find((a) => a.id === id)?.name ?? id;
  }

  addProject(path: string): Promise<Project> {
    return this.call(MethodProjectAdd, { path }, { commandId: newCommandId() });
  }
  removeProject(projectId: string): Promise<void> {
    return this.call(MethodProjectRemove, { projectId }, { commandId: newCommandId() });
  }
  renameProject(projectId: string, name: string): Promise<Project> {
    return this.call(MethodProjectRename, { projectId, name }, { commandId: newCommandId() });
  }
  folder(path: string, hidden: boolean): Promise<Folder> {
    return this.call(MethodFolderList, { path, hidden });
  }
  createThread(r: ThreadCreate): Promise<Thread> {
    return this.call(MethodThreadCreate, r, { commandId: newCommandId() });
  }
  renameThread(threadId: string, title: string): Promise<Thread> {
    return this.call(MethodThreadRename, { threadId, title }, { commandId: newCommandId() });
  }
  archiveThread(threadId: string, archived: boolean): Promise<Thread> {
    return this.call(MethodThreadArchive, { threadId, archived }, { commandId: newCommandId() });
  }
  pinThread(threadId: string, pinned: boolean): Promise<Thread> {
    return this.call(MethodThreadPin, { threadId, pinned }, { commandId: newCommandId() });
  }
  seenThread(threadId: string): Promise<Thread> {
    return this.call(MethodThreadSeen, { threadId });
  }
  /** search looks for words in titles and messages. */
  search(r: Search): Promise<SearchHits> {
    return this.call(MethodSearch, r);
  }
  /** sessions lists the conversations that an agent's own program keeps about a project. */
  sessions(projectId: string, agentId: string): Promise<AgentSessions> {
    return this.call(MethodSessionList, { projectId, agentId });
  }
  openSession(r: SessionOpen): Promise<Thread> {
    return this.call(MethodSessionOpen, r, { commandId: newCommandId() });
  }
  deleteThread(threadId: string): Promise<void> {
    return this.call(MethodThreadDelete, { threadId }, { commandId: newCommandId() });
  }
}
