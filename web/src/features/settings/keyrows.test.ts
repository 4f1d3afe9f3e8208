import { describe, expect, it } from "vitest";
import { type Binding, Commands } from "../../data/commands.svelte";
import { conflicts, without, withKey } from "./keyrows";

const c = { id: "a.b", title: "A", group: "g", key: ["mod+1"], run: () => {} };

describe("rows of the key binding file", () => {
  it("adds, removes and takes back", () => {
    let rows = withKey([], c, "f9");
    expect(rows).toEqual([{ key: "f9", command: "a.b" }]);
    expect(withKey(rows, c, "f9")).toEqual(rows);
    rows = without(rows, c, "mod+1");
    expect(rows).toContainEqual({ key: "mod+1", command: "-a.b" });
    expect(withKey(rows, c, "mod+1")).toEqual([{ key: "f9", command: "a.b" }]);
    expect(without(rows, c, "f9")).toEqual([{ key: "mod+1", command: "-a.b" }]);
    expect(withKey([], { ...c, when: "x" }, "f8")).toEqual([{ key: "f8", command: "a.b", when: "x" }]);
  });
  it("finds keys that do two things, unless the conditions exclude each other", () => {
    const cs = new Commands(false);
    const run = () => {};
    cs.register([
      { id: "one", title: "", group: "", key: "mod+k", when: "!t", run },
      { id: "two", title: "", group: "", key: "mod+k", when: "t && x", run },
      { id: "three", title: "", group: "", key: "mod+k mod+s", when: "x", run },
      { id: "four", title: "", group: "", key: "mod+j", run },
    ]);
    const all = cs.bindings;
    const found = conflicts(all);
    const of = (id: string) => (found.get(all.find((b) => b.command === id) as Binding) ?? []).map((b) => b.command);
    expect(of("one")).toEqual(["three"]);
    expect(of("two")).toEqual(["three"]);
    expect(of("four")).toEqual([]);
  });
});
