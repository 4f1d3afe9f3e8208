import { beforeEach, describe, expect, it } from "vitest";
import { keepChoice, lastChoice, readDraft, writeDraft } from "./drafts";
import { filePaths } from "./drop";
import { Recall } from "./recall";
import { matching, mention, replace, tokenAt } from "./suggest";

describe("tokenAt", () => {
  it.each([
    ["@", 1, "file", ""],
    ["look at @src/to", 15, "file", "src/to"],
    ["(@a", 3, "file", "a"],
    ['see @"my fi', 11, "file", "my fi"],
    ["/rev", 4, "command", "rev"],
    ["/", 1, "command", ""],
  ] as const)("%j", (text, caret, kind, query) => {
    expect(tokenAt(text, caret)).toMatchObject({ kind, query, to: caret });
  });
  it.each([
    ["mail me@example.com", 19],
    ["@a b", 4],
    ["see /rev", 8],
    ["/review now", 11],
    ["", 0],
    ["/x", 0],
  ] as const)("not in %j", (text, caret) => {
    expect(tokenAt(text, caret)).toBeUndefined();
  });
  it("is replaced by what was chosen", () => {
    const text = "look at @to now";
    expect(replace(text, tokenAt(text, 11)!, mention("src/total.js"))).toEqual({ text: "look at @src/total.js now", caret: 22 });
    expect(replace("@my", tokenAt("@my", 3)!, mention("my file.txt"))).toEqual({ text: '@"my file.txt" ', caret: 15 });
    const open = 'see @"my fi" x';
    expect(replace(open, tokenAt(open, 11)!, mention("my file.txt")).text).toBe('see @"my file.txt" x');
  });
});

describe("matching", () => {
  it("finds by name first", () => {
    const list = [{ name: "init" }, { name: "review", description: "Look at the changes" }, { name: "pr-review" }, { name: "changes" }];
    expect(matching(list, "rev").map((c) => c.name)).toEqual(["review", "pr-review"]);
    expect(matching(list, "chang").map((c) => c.name)).toEqual(["changes", "review"]);
    expect(matching(list, "")).toHaveLength(4);
  });
});

describe("Recall", () => {
  it("goes up and down through prompts and back to what was typed", () => {
    const r = new Recall();
    const prompts = ["one", "two", "two", "three"];
    expect(r.up(prompts, "draft")).toBe("three");
    expect(r.up(prompts, "three")).toBe("two");
    expect(r.up(prompts, "two")).toBe("one");
    expect(r.up(prompts, "one")).toBeUndefined();
    expect(r.down(prompts, "one")).toBe("two");
    expect(r.down(prompts, "two")).toBe("three");
    expect(r.down(prompts, "three")).toBe("draft");
    expect(r.active).toBe(false);
    expect(r.down(prompts, "draft")).toBeUndefined();
    expect(r.up([], "x")).toBeUndefined();
  });
});

describe("what is kept", () => {
  const store = new Map<string, string>();
  beforeEach(() => {
    store.clear();
    const local = new Proxy({} as Storage, {
      get: (_, k) => ({ getItem: (x: string) => store.get(x) ?? null, setItem: (x: string, v: string) => void store.set(x, v), removeItem: (x: string) => void store.delete(x) })[k as string],
      ownKeys: () => [...store.keys()],
      getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    });
    Object.defineProperty(globalThis, "localStorage", { value: local, configurable: true });
  });
  it("keeps drafts of each place, with images, and reads old ones", () => {
    const a = { id: "a", name: "a.png", mime: "image/png", bytes: 3 };
    writeDraft("e", "t1", { text: "half a", files: [a] });
    expect(readDraft("e", "t1")).toEqual({ text: "half a", files: [a] });
    expect(readDraft("e", "t2")).toEqual({ text: "" });
    store.set("catamaran.draft.e/t3", "plain {text");
    expect(readDraft("e", "t3").text).toBe("plain {text");
    store.set("catamaran.draft.e/t4", '{"other": 1}');
    expect(readDraft("e", "t4").text).toBe('{"other": 1}');
    writeDraft("e", "t1", { text: "" });
    expect([...store.keys()]).toEqual(["catamaran.draft.e/t3", "catamaran.draft.e/t4"]);
  });
  it("lets the oldest drafts go", () => {
    for (let i = 0; i < 205; i++) writeDraft("e", `t${i}`, { text: "x" }, 1000 + i);
    expect(store.size).toBe(200);
    expect(readDraft("e", "t0").text).toBe("");
    expect(readDraft("e", "t204").text).toBe("x");
  });
  it("remembers choices by project, models by agent", () => {
    keepChoice("e", "p", { agentId: "codex", model: "big" });
    keepChoice("e", "p", { agentId: "codex", effort: "high" });
    keepChoice("e", "p", { agentId: "demo", permission: "accept-edits" });
    expect(lastChoice("e", "p")).toEqual({ agentId: "demo", permission: "accept-edits", plan: undefined, models: { codex: { model: "big", effort: "high" } } });
    expect(lastChoice("e", "q")).toEqual({});
  });
});

describe("filePaths", () => {
  it("reads what editors say, on either system", () => {
    expect(filePaths("# a comment\r\nfile:///home/mara/a%20b.txt\r\nhttps://example.com/x\r\nfile:///C:/src/x.go\r\nfile://wsl.localhost/Ubuntu/home/x")).toEqual(["/home/mara/a b.txt", "C:\\src\\x.go", "\\\\wsl.localhost\\Ubuntu\\home\\x"]);
    expect(filePaths("")).toEqual([]);
  });
});
