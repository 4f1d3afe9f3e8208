// The last diagnosis, kept while the page lives, so that a visit elsewhere does
// not lose it; and how findings are grouped and ordered.
import type { Diagnosis, Environment, Error as ApiError, Finding, Severity } from "../../api/types.gen";
import { app } from "../../data/app.svelte";
import { toApiError } from "../../data/errors";
import { saveFile } from "../../platform";
import { toasts } from "../../ui/toast.svelte";

export interface Group {
  id: string;
  name: string;
  findings: Finding[];
  worst: Severity;
}

const order: Severity[] = ["error", "warning", "info", "ok"];

/** group puts what needs a person first, the desktop before the environments. */
export function group(findings: Finding[], environments: Environment[]): Group[] {
  const groups = new Map<string, Group>();
  for (const f of findings) {
    const id = f.environment ?? "";
    let g = groups.get(id);
    if (!g) {
      g = { id, name: id ? (environments.find((e) => e.id === id)?.name ?? id) : "Desktop", findings: [], worst: "ok" };
      groups.set(id, g);
    }
    g.findings.push(f);
    if (order.indexOf(f.severity) < order.indexOf(g.worst)) g.worst = f.severity;
  }
  for (const g of groups.values()) g.findings.sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
  return [...groups.values()];
}

/** summary says in one line how it looks. */
export function summary(findings: Finding[]): { tone: "good" | "wait" | "bad"; text: string } {
  const errors = findings.filter((f) => f.severity === "error").length;
  const warnings = findings.filter((f) => f.severity === "warning").length;
  const count = (n: number, word: string) => `${n} ${word}${n === 1 ? "" : "s"}`;
  if (errors) return { tone: "bad", text: warnings ? `${count(errors, "problem")} and ${count(warnings, "warning")}` : count(errors, "problem") };
  if (warnings) return { tone: "wait", text: count(warnings, "warning") };
  return { tone: "good", text: "Everything needed is in place" };
}

class Doctor {
  diagnosis = $state.raw<Diagnosis | undefined>(undefined);
  error = $state.raw<ApiError | undefined>(undefined);
  running = $state(false);
  since = $state(0);
  exporting = $state(false);

  async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    this.since = Date.now();
    this.error = undefined;
    try {
      this.diagnosis = await app.diagnose();
    } catch (e) {
      this.error = toApiError(e);
    } finally {
      this.running = false;
    }
  }

  /** save exports the archive: by the desktop where there is a native window, whose web view loses downloads, else by the browser. The answer is where it is, if that is known. */
  async save(): Promise<string> {
    if (this.exporting) return "";
    this.exporting = true;
    try {
      const saved = await app.saveDiagnostics();
      if (saved) return saved.path;
      const f = await app.exportDiagnostics();
      saveFile(f.name, f.data);
      return "";
    } finally {
      this.exporting = false;
    }
  }
}

export const doctor = new Doctor();

/** exportDiagnostics saves the archive and says where it is, or why not. */
export async function exportDiagnostics(): Promise<void> {
  try {
    const path = await doctor.save();
    if (path) toasts.say(`Saved to ${path}`);
  } catch (e) {
    toasts.error(e);
  }
}
