// The terminals of an environment, as its backend tells them, and what can be done with them.
import type { ServerFrame, Terminal } from "../../api/types.gen";
import { MethodTerminalClose, MethodTerminalList, MethodTerminalOpen, MethodTerminalRename, MethodTerminalRestart, TopicTerminals } from "../../api/types.gen";
import { newCommandId } from "../../data/door";
import type { EnvironmentStore } from "../../data/environment.svelte";
import type { Topic } from "../../data/socket";

export class TerminalList implements Topic {
  readonly topic = TopicTerminals;
  /** Undefined until the backend has told. */
  all = $state.raw<Terminal[] | undefined>(undefined);

  constructor(private readonly env: EnvironmentStore) {}

  /** Follows until the returned function is called. */
  follow(): () => void {
    return this.env.subscribe(this);
  }
  cursor(): undefined {
    return undefined;
  }
  frame(f: ServerFrame): void {
    if (f.terminals) this.all = f.terminals.terminals;
  }
  failed(): void {
    this.all = [];
  }

  open(projectId: string, threadId: string | undefined): Promise<Terminal> {
    return this.env.call(MethodTerminalOpen, { projectId, ...(threadId && { threadId }) }, { commandId: newCommandId() });
  }
  /** look asks what runs in a terminal now. */
  async look(id: string): Promise<Terminal | undefined> {
    const r = await this.env.call<{ terminals: Terminal[] }>(MethodTerminalList, {});
    return r.terminals.find((t) => t.id === id);
  }
  rename(terminalId: string, name: string): Promise<Terminal> {
    return this.env.call(MethodTerminalRename, { terminalId, name }, { commandId: newCommandId() });
  }
  restart(terminalId: string): Promise<Terminal> {
    return this.env.call(MethodTerminalRestart, { terminalId }, { commandId: newCommandId() });
  }
  close(terminalId: string): Promise<void> {
    return this.env.call(MethodTerminalClose, { terminalId }, { commandId: newCommandId() });
  }
}

/** labelOf is what a tab says. */
export function labelOf(t: Terminal): string {
  return t.name || t.title || t.foreground || t.shell;
}

/** ended says in words why nothing runs in a terminal, "" where something does. */
export function ended(t: Terminal): string {
  if (t.state === "running") return "";
  if (t.state === "lost") return "The backend was restarted, so nothing runs here any more. This is the history.";
  if (t.signal) return `The shell was ended (${t.signal}).`;
  return t.exitCode ? `The shell ended with code ${t.exitCode}.` : "The shell ended.";
}
