// How an agent is started, as the form in Settings holds it. Secrets come without
// their values: one that is set stays until it is replaced or removed.
import type { Agent, AgentInstance, AgentVariable } from "../../api/types.gen";

export interface VariableRow {
  key: number;
  name: string;
  value: string;
  secret: boolean;
  /** A value is kept already and has not been replaced here. */
  set: boolean;
}

export interface InstanceForm {
  id: string;
  /** "" is a program of one's own that speaks ACP. */
  base: string;
  name: string;
  path: string;
  /** One argument a line. */
  args: string;
  env: VariableRow[];
  /** Names with blanks or commas between them. */
  without: string;
  shown: boolean;
}

export type Problems = Partial<Record<"name" | "path" | "without", string>> & { env?: Record<number, string> };

const variable = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
let keys = 1;

export const newRow = (secret = false): VariableRow => ({ key: keys++, name: "", value: "", secret, set: false });

/** formOf is the form of what was saved, or of something new. */
export function formOf(i: AgentInstance): InstanceForm {
  return {
    id: i.id ?? "",
    base: i.base ?? "",
    name: i.name ?? "",
    path: i.path ?? "",
    args: (i.args ?? []).join("\n"),
    env: (i.env ?? []).map((v) => ({ key: keys++, name: v.name, value: v.value ?? "", secret: !!v.secret, set: !!v.set })),
    without: (i.without ?? []).join(" "),
    shown: !i.disabled,
  };
}

const names = (text: string): string[] => text.split(/[\s,;]+/).filter(Boolean);
const used = (r: VariableRow): boolean => !!(r.name.trim() || r.value || r.set);

/** instanceOf is what is saved; a secret without a new value keeps the one that is set. */
export function instanceOf(f: InstanceForm): AgentInstance {
  const env = f.env.filter(used).map((r): AgentVariable => ({ name: r.name.trim(), value: r.value || undefined, secret: r.secret || undefined }));
  return {
    id: f.id || undefined,
    base: f.base || undefined,
    name: f.name.trim() || undefined,
    path: f.path.trim() || undefined,
    args: f.args.split("\n").map((a) => a.trimEnd()).filter(Boolean),
    env,
    without: names(f.without),
    disabled: f.shown ? undefined : true,
  };
}

/** problemsOf says what cannot be saved and what to do about it; empty when all is well. */
export function problemsOf(f: InstanceForm): Problems {
  const p: Problems = {};
  if (!f.base && !f.name.trim()) p.name = "Give it a name, so that it can be chosen.";
  if (f.name.trim().length > 100) p.name = "Use at most 100 characters.";
  if (!f.base && !f.path.trim()) p.path = "Write the program's path, or its name if it is in the PATH.";
  const wrong = names(f.without).find((n) => !variable.test(n));
  if (wrong !== undefined) p.without = `“${wrong}” is no name of a variable. Use letters, digits and underscores.`;
  const env: Record<number, string> = {};
  const seen = new Set<string>();
  for (const r of f.env.filter(used)) {
    const n = r.name.trim();
    if (!n) env[r.key] = "Give the variable a name, or remove the row.";
    else if (!variable.test(n)) env[r.key] = "Use letters, digits and underscores, not a digit first.";
    else if (/^catamaran_/i.test(n)) env[r.key] = "Names that begin with CATAMARAN_ are the app's own; choose another.";
    else if (seen.has(n)) env[r.key] = `${n} is there twice; remove one.`;
    else if (r.secret && !r.set && !r.value) env[r.key] = "Write the secret's value, or remove the row.";
    seen.add(n);
  }
  if (Object.keys(env).length) p.env = env;
  return p;
}

/** settingsOf tells in words what was set for an agent, "" when nothing was. */
export function settingsOf(i: AgentInstance | undefined): string {
  if (!i) return "";
  const parts: string[] = [];
  if (i.path) parts.push("its own path");
  if (i.args?.length) parts.push(i.args.length === 1 ? "an argument" : `${i.args.length} arguments`);
  if (i.env?.length) parts.push(i.env.length === 1 ? "a variable" : `${i.env.length} variables`);
  if (i.without?.length) parts.push(`without ${i.without.join(", ")}`);
  return parts.join(", ");
}

/** known are the agents that one more can be made of. */
export function known(agents: readonly Agent[]): Agent[] {
  return agents.filter((a) => a.base && a.base === a.id);
}
