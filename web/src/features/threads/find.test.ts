import { describe, expect, it, vi } from "vitest";
import type { SearchHit, SearchHits, Thread } from "../../api/types.gen";
import type { ThreadStore } from "../../data/thread.svelte";
import { Find, wordsOf } from "./find.svelte";

const hit = (itemId: string, at: number): SearchHit => ({ thread: {} as Thread, itemId, at, snippet: "", marks: [] });

describe("wordsOf", () => {
  it("marks beginnings of words, whatever the case", () => {
    const found = (text: string, q: string) => [...text.matchAll(wordsOf(q)!)].map((m) => m[0]);
    expect(found("Total of the subtotal, TOTALS", "tot")).toEqual(["Tot", "TOT"]);
    expect(found("a.b (c) Straße", "stra c")).toEqual(["c", "Stra"]);
    expect(wordsOf(" .* ")).toBeUndefined();
  });
});

describe("Find", () => {
  it("begins with the newest, goes around and says what went wrong", async () => {
    const shown: string[] = [];
    const answer = vi.fn(async (text: string): Promise<SearchHits> => {
      if (text === "bad") throw new Error("not now");
      return { hits: [hit("c", 3), hit("a", 1), hit("", 9), hit("b", 2)] };
    });
    const f = new Find({ find: answer } as unknown as ThreadStore, async (id) => void shown.push(id));
    f.text = "x";
    await f.search();
    expect([f.at, f.hits.length]).toEqual([2, 3]);
    await f.step(1);
    await f.step(-1);
    await f.step(-1);
    expect(shown).toEqual(["c", "a", "c", "b"]);
    // The same words are not asked for twice.
    await f.search();
    expect(answer).toHaveBeenCalledTimes(1);
    f.text = "bad";
    await f.search();
    expect(f.problem).toBe("not now");
    expect(f.hits).toEqual([]);
  });
});
