import { describe, expect, it } from "vitest";
import type { Project, Thread } from "../../api/types.gen";
import { grouped, moved, ordered, part, pinned } from "./order";

const p = (id: string) => ({ id, name: id }) as Project;
const t = (id: string, projectId: string, updatedAt: number, o: Partial<Thread> = {}) => ({ id, projectId, updatedAt, ...o }) as Thread;

describe("the sidebar's order", () => {
  it("groups in one pass, newest first, without archived and pinned ones", () => {
    const g = grouped([p("a"), p("b")], [t("1", "a", 1), t("2", "a", 3), t("3", "b", 2), t("4", "a", 9, { archivedAt: 1 }), t("5", "b", 9, { pinned: true }), t("6", "gone", 1)], []);
    expect(g.map((x) => [x.project.id, x.threads.map((y) => y.id)])).toEqual([
      ["a", ["2", "1"]],
      ["b", ["3"]],
    ]);
    expect(pinned([t("5", "b", 9, { pinned: true }), t("7", "b", 10, { pinned: true }), t("8", "b", 10, { pinned: true, archivedAt: 3 })]).map((x) => x.id)).toEqual(["7", "5"]);
  });
  it("keeps the person's order and puts new projects behind it", () => {
    expect(ordered([p("a"), p("b"), p("c")], ["c", "gone", "a"]).map((x) => x.id)).toEqual(["c", "a", "b"]);
    expect(moved(["a", "b", "c"], "c", "a")).toEqual(["c", "a", "b"]);
    expect(moved(["a", "b", "c"], "a", undefined)).toEqual(["b", "c", "a"]);
    expect(moved(["a", "b"], "a", "a")).toEqual(["a", "b"]);
    expect(moved(["a", "b"], "a", "gone")).toEqual(["a", "b"]);
  });
  it("draws a part, with the open thread", () => {
    const many = Array.from({ length: 30 }, (_, i) => t(String(i), "a", 30 - i));
    expect(part(many, 8, "20").map((x) => x.id)).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "20"]);
    expect(part(many, 8, "3")).toHaveLength(8);
  });
  it("is quick with many", () => {
    const projects = Array.from({ length: 40 }, (_, i) => p(String(i)));
    const threads = Array.from({ length: 5000 }, (_, i) => t(String(i), String(i % 40), i));
    expect(grouped(projects, threads, []).reduce((n, g) => n + g.threads.length, 0)).toBe(5000);
  });
});
