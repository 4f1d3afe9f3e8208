import { describe, expect, it } from "vitest";
import { formOf, instanceOf, newRow, problemsOf, settingsOf } from "./instance";

describe("settings of an agent", () => {
  it("come back as they were saved, without a secret's value", () => {
    const saved = { id: "codex-1", base: "codex", name: "At work", path: "/opt/codex", args: ["-c", "a=b c"], env: [{ name: "KEY", secret: true, set: true }, { name: "PLAIN", value: "x" }], without: ["A", "B"] };
    const i = instanceOf(formOf(saved));
    expect(i).toEqual({ ...saved, env: [{ name: "KEY", value: undefined, secret: true }, { name: "PLAIN", value: "x", secret: undefined }], disabled: undefined });
    expect(problemsOf(formOf(saved))).toEqual({});
  });
  it("drop rows that say nothing", () => {
    const f = formOf({ base: "codex" });
    f.env.push(newRow(), newRow(true));
    f.args = "\n--quiet\n\n";
    expect(problemsOf(f)).toEqual({});
    expect(instanceOf(f)).toMatchObject({ env: [], args: ["--quiet"] });
  });
  it("are refused with what to do", () => {
    const f = formOf({});
    f.env.push({ ...newRow(), name: "1A", value: "x" }, { ...newRow(), value: "x" }, { ...newRow(), name: "A" }, { ...newRow(), name: "A" }, { ...newRow(), name: "catamaran_home", value: "x" }, { ...newRow(true), name: "KEY" });
    f.without = "GOOD, BAD-ONE";
    const p = problemsOf(f);
    expect(p.name).toContain("name");
    expect(p.path).toContain("PATH");
    expect(p.without).toContain("BAD-ONE");
    expect(f.env.map((r) => p.env?.[r.key]?.split(" ")[0])).toEqual(["Use", "Give", undefined, "A", "Names", "Write"]);
  });
  it("are told in a line", () => {
    expect(settingsOf({ path: "/x", args: ["a"], env: [{ name: "A" }, { name: "B" }], without: ["C"] })).toBe("its own path, an argument, 2 variables, without C");
    expect(settingsOf(undefined)).toBe("");
  });
});
