import { describe, expect, it } from "vitest";
import { Offsets, type Row } from "./virtual";

const rows = (n: number, from = 0, height = 40): Row[] => Array.from({ length: n }, (_, i) => ({ key: `r${from + i}`, height, measured: false }));

describe("Offsets", () => {
  it("finds rows by place, and places by row", () => {
    const o = new Offsets<Row>();
    o.set(rows(10));
    o.resize(3, 100);
    expect([o.top(3), o.top(4), o.total]).toEqual([120, 220, 460]);
    expect([o.at(-5), o.at(0), o.at(39.9), o.at(40), o.at(219), o.at(220), o.at(9999)]).toEqual([0, 0, 0, 1, 3, 4, 9]);
    expect(o.indexOf("r9")).toBe(9);
    expect(o.indexOf("none")).toBe(-1);
  });

  it("agrees with adding up, whatever is measured and replaced", () => {
    const o = new Offsets<Row>();
    let seed = 7;
    const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
    let list = rows(200);
    o.set(list);
    for (let step = 0; step < 400; step++) {
      switch (random(4)) {
        case 0:
          o.resize(random(list.length), 1 + random(300));
          break;
        case 1:
          list = [...rows(1 + random(20), 1000 * (step + 1)), ...list];
          o.set(list);
          break;
        case 2:
          list = list.slice(0, Math.max(1, list.length - random(5)));
          o.set(list);
          break;
        default:
          list = [...list, ...rows(random(5), 1_000_000 + 1000 * step)];
          o.set(list);
      }
      const i = random(list.length);
      const sum = list.slice(0, i).reduce((n, r) => n + r.height, 0);
      expect(o.top(i)).toBe(sum);
      expect(o.at(sum)).toBe(i);
      expect(o.indexOf(list[i]!.key)).toBe(i);
    }
  });

  it("draws what is in view at once and around it what there is room for", () => {
    const o = new Offsets<Row>();
    o.set(rows(100));
    const seen = o.range(2000, 400, 0);
    const all = o.range(2000, 400, 800);
    expect([seen, all]).toEqual([{ first: 50, end: 61 }, { first: 30, end: 81 }]);
    const none = () => false;
    expect(o.partly(seen, all, none, 0)).toEqual(seen);
    expect(o.partly(seen, all, none, -3)).toEqual(seen);
    expect(o.partly(seen, all, none, 5)).toEqual({ first: 47, end: 63 });
    expect(o.partly(seen, all, none, 1000)).toEqual(all);
    // What is drawn stays and costs nothing.
    const drawn = new Set(["r49", "r48", "r61"]);
    expect(o.partly(seen, all, (k) => drawn.has(k), 0)).toEqual({ first: 48, end: 62 });
    expect(o.partly(seen, all, (k) => drawn.has(k), 2)).toEqual({ first: 47, end: 63 });
    expect(o.partly({ first: 0, end: 0 }, { first: 0, end: 0 }, none, 5)).toEqual({ first: 0, end: 0 });
  });

  it("keeps the reader's row in place when rows come above and heights turn out otherwise", () => {
    const o = new Offsets<Row>();
    const list = rows(100);
    o.set(list);
    const a = o.anchor(1000)!;
    expect(a).toEqual({ key: "r25", offset: 0 });
    o.set([...rows(50, 500), ...list]);
    for (let i = 0; i < 60; i++) o.resize(i, 77);
    const at = o.scrollFor(a)!;
    expect(o.top(o.indexOf("r25")) - at).toBe(a.offset);
    o.set(list.slice(50));
    expect(o.scrollFor(a)).toBeUndefined();
  });

  it("passes over rows that cannot hold the view", () => {
    const o = new Offsets<Row>();
    o.set([{ key: "more", height: 40, measured: true }, ...rows(5)]);
    expect(o.anchor(0, (r) => r.key !== "more")).toEqual({ key: "r0", offset: 40 });
  });

  it("has nothing to draw of nothing", () => {
    const o = new Offsets<Row>();
    o.set([]);
    expect(o.range(0, 500, 100)).toEqual({ first: 0, end: 0 });
    expect(o.anchor(0)).toBeUndefined();
    expect(o.total).toBe(0);
  });
});
