import { describe, expect, it, vi } from "vitest";
import { Caller, environmentBase, renewIn, signIn } from "./door";
import { CallError } from "./errors";
import { countLines, diffTexts, parsePatch } from "./patch";
import { parseRoute, routePath } from "./route";
import { age, approvalRecord, count, duration, inProject, threadStatus } from "./words";

function host(hash: string, kept: string | null, answer: Response | Error) {
  const store = new Map<string, string>(kept ? [["catamaran.token", kept]] : []);
  const order: string[] = [];
  return {
    order,
    store,
    h: {
      location: { hash, pathname: "/t/local/x", search: "" },
      storage: { getItem: (k: string) => store.get(k) ?? null, setItem: (k: string, v: string) => void store.set(k, v), removeItem: (k: string) => void store.delete(k) },
      replaceURL: (u: string) => void order.push(`replace ${u}`),
      fetch: ((url: string, init: RequestInit) => {
        order.push(`fetch ${url} ${String(init.body)}`);
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      }) as typeof fetch,
    },
  };
}
const json = (v: unknown, status = 200) => new Response(JSON.stringify(v), { status });

describe("sign-in", () => {
  it("spends the code after taking it out of the address", async () => {
    const x = host("#code=abc", null, json({ token: "T", expiresAt: 1, environmentId: "" }));
    expect(await signIn(x.h)).toEqual({ kind: "token", token: "T" });
    expect(x.order).toEqual(["replace /t/local/x", 'fetch /api/session {"code":"abc"}']);
    expect(x.store.get("catamaran.token")).toBe("T");
  });
  it("takes the answer to a code that was spent before the script came", async () => {
    const x = host("", "old", json({}));
    const environments = { config: {}, environments: [], primary: "local" };
    expect(await signIn({ ...x.h, early: Promise.resolve(json({ token: "T", expiresAt: 1, environmentId: "", environments })) })).toEqual({ kind: "token", token: "T", environments });
    expect(x.order).toEqual([]);
    expect(await signIn({ ...x.h, early: Promise.resolve(json({ code: "unauthorized", message: "used" }, 401)) })).toEqual({ kind: "token", token: "T" });
    expect(await signIn({ ...host("", null, json({})).h, early: Promise.reject(new TypeError("gone")) })).toMatchObject({ kind: "refused" });
  });
  it("uses the kept token without a code, and when the code was used up", async () => {
    expect(await signIn(host("", "K", json({})).h)).toEqual({ kind: "token", token: "K" });
    expect(await signIn(host("#code=old", "K", json({ code: "unauthorized", message: "used" }, 401)).h)).toEqual({ kind: "token", token: "K" });
  });
  it("says so when there is neither", async () => {
    expect(await signIn(host("", null, json({})).h)).toEqual({ kind: "none" });
    expect(await signIn(host("#code=old", null, json({ code: "unauthorized", message: "The code was used.", hint: "Open again." }, 401)).h)).toEqual({ kind: "refused", reason: "The code was used.", hint: "Open again." });
  });
});

describe("session", () => {
  it("is renewed long before it ends, and kept", async () => {
    const store = new Map<string, string>([["catamaran.token.end", String(10_000)]]);
    const storage = { getItem: (k: string) => store.get(k) ?? null, setItem: (k: string, v: string) => void store.set(k, v) };
    expect(renewIn(storage, 0)).toBe(5_000);
    expect(renewIn(storage, 20_000)).toBe(0);
    const out = vi.fn();
    const c = new Caller("old", out, (async () => json({ token: "new", expiresAt: 100_000_000 })) as never);
    await c.renew(storage);
    expect(c.token).toBe("new");
    expect(renewIn(storage, 0)).toBe(3_600_000);
    await new Caller("x", out, (async () => json({ code: "token_expired", message: "x" }, 401)) as never).renew(storage);
    expect(out).toHaveBeenCalledOnce();
  });
  it("outlives a desktop that does not answer", async () => {
    const out = vi.fn();
    const c = new Caller("old", out, (() => Promise.reject(new TypeError("net"))) as never);
    await c.renew({ setItem: () => {} });
    expect(c.token).toBe("old");
    expect(out).not.toHaveBeenCalled();
  });
});

describe("call", () => {
  const make = (r: Response | Error) => {
    const out = vi.fn();
    const f = vi.fn(() => (r instanceof Error ? Promise.reject(r) : Promise.resolve(r)));
    return { c: new Caller("T", out, f as never), f, out };
  };
  it("sends token and command id as headers", async () => {
    const { c, f } = make(json({ ok: 1 }));
    expect(await c.call(environmentBase("wsl:Übuntu 22"), "turn.start", { a: 1 }, { commandId: "C" })).toEqual({ ok: 1 });
    const [url, init] = f.mock.calls[0] as unknown as [string, RequestInit];
    expect(url).toBe("/e/wsl%3A%C3%9Cbuntu%2022/api/call/turn.start");
    expect(init.headers).toMatchObject({ Authorization: "Bearer T", "Catamaran-Command": "C" });
  });
  it("throws the server's own error, wrapped or not", async () => {
    for (const body of [{ code: "not_found", message: "gone" }, { error: { code: "not_found", message: "gone" } }]) {
      await expect(make(json(body, 404)).c.call("", "x", {})).rejects.toMatchObject({ error: { code: "not_found", message: "gone" } });
    }
  });
  it("ends the session on 401 only", async () => {
    const a = make(json({ code: "token_expired", message: "x" }, 401));
    await expect(a.c.call("", "x", {})).rejects.toBeInstanceOf(CallError);
    expect(a.out).toHaveBeenCalledOnce();
    const b = make(json({ code: "forbidden", message: "x" }, 403));
    await expect(b.c.call("", "x", {})).rejects.toBeInstanceOf(CallError);
    expect(b.out).not.toHaveBeenCalled();
  });
  it("makes an error of no answer and of no JSON", async () => {
    await expect(make(new TypeError("net")).c.call("", "x", {})).rejects.toMatchObject({ error: { code: "unavailable" } });
    await expect(make(new Response("<html>", { status: 502 })).c.call("", "x", {})).rejects.toMatchObject({ error: { code: "internal" } });
  });
});

describe("patch", () => {
  it("numbers lines and keeps sections and notes", () => {
    const [h] = parsePatch("@@ -3,3 +3,4 @@ func main()\n a\n-b\n+c\n+d\n e\n\\ No newline at end of file\n");
    expect(h!.section).toBe("func main()");
    expect(h!.lines.map((l) => [l.kind, l.old, l.new, l.text])).toEqual([
      ["same", 3, 3, "a"],
      ["del", 4, undefined, "b"],
      ["add", undefined, 4, "c"],
      ["add", undefined, 5, "d"],
      ["same", 5, 6, "e"],
      ["note", undefined, undefined, "No newline at end of file"],
    ]);
  });
  it("never throws on rubbish", () => {
    expect(parsePatch("")).toEqual([]);
    expect(parsePatch("Binary files differ")).toEqual([]);
    expect(parsePatch("@@ -1 +1 @@\n-a\n+b\ngarbage")[0]!.lines).toHaveLength(3);
  });
  it("compares texts with context", () => {
    const text = Array.from({ length: 20 }, (_, i) => `l${i}`).join("\n");
    const hunks = diffTexts(text, text.replace("l10", "X"));
    expect(hunks).toHaveLength(1);
    expect(hunks[0]!.lines.map((l) => l.text)).toEqual(["l7", "l8", "l9", "l10", "X", "l11", "l12", "l13"]);
    expect(hunks[0]!.lines[4]).toEqual({ kind: "add", text: "X", new: 11 });
    expect(countLines(diffTexts("", "a\nb\n"))).toEqual({ additions: 2, deletions: 0 });
    expect(diffTexts("a\n", "a\n")).toEqual([]);
    expect(hunks[0]!.lines.at(-1)).toEqual({ kind: "same", text: "l13", old: 14, new: 14 });
  });
  it("numbers the lines after an insertion", () => {
    const [h] = diffTexts("a\nb\nc\n", "a\nX\nb\nc\n");
    expect(h!.lines.at(-1)).toEqual({ kind: "same", text: "c", old: 3, new: 4 });
  });
});

describe("words", () => {
  it("tells times", () => {
    expect([0, 2_540, 9_999, 10_000, 64_000, 7_500_000].map(duration)).toEqual(["0.0 s", "2.5 s", "9.9 s", "10 s", "1 min 4 s", "2 h 5 min"]);
    expect(age(0, 59_000)).toBe("now");
    expect(age(0, 7_200_000)).toBe("2 h");
    expect([999, 1_000, 12_345, 99_960, 2_000_000].map(count)).toEqual(["999", "1k", "12.3k", "100k", "2M"]);
  });
  it("has one word for every state", () => {
    expect(threadStatus({ state: "running", stopping: true }).word).toBe("Stopping");
    expect(threadStatus({ state: "waiting" }).word).toBe("Waiting for approval");
    expect(threadStatus({}).key).toBe("new");
  });
  it("records what was decided, by the agent's own name for it", () => {
    const options = [{ id: "1", name: "Yes, once", kind: "allow_once" }];
    expect(approvalRecord({ state: "approved", title: "x", options, chosenId: "1" })).toMatchObject({ verb: "Approved", how: "Yes, once" });
    expect(approvalRecord({ state: "expired", title: "x", options: null as never }).verb).toBe("Expired");
  });
});

describe("route", () => {
  it("goes there and back", () => {
    for (const r of [{ page: "home" }, { page: "thread", env: "wsl:Ubuntu 22.04", thread: "a/b" }, { page: "project", env: "local", project: "p" }, { page: "settings", section: "about" }] as const) {
      expect(parseRoute(routePath(r))).toEqual(r);
    }
    expect(parseRoute("/nonsense/x")).toEqual({ page: "home" });
    expect(parseRoute("/t/%zz/x")).toEqual({ page: "thread", env: "%zz", thread: "x" });
  });
});

describe("paths in a project", () => {
  it.each([
    ["/home/u/shop/src/a.go", "/home/u/shop", "src/a.go"],
    ["/home/u/shop", "/home/u/shop", "."],
    ["/home/u/shop/", "/home/u/shop/", "."],
    ["/home/u/shopping/a.go", "/home/u/shop", "/home/u/shopping/a.go"],
    ["C:\\code\\shop\\a.go", "C:\\code\\shop", "a.go"],
    ["/etc/hosts", "", "/etc/hosts"],
    ["/etc/hosts", "/", "/etc/hosts"],
  ])("shows %s in %s as %s", (path, root, want) => {
    expect(inProject(path, root)).toBe(want);
  });
});
