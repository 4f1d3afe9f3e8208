// Where the rows of a long list stand when their heights are unlike and most
// have never been drawn: measured heights where they are known, guesses
// elsewhere. Plain numbers, no DOM; VirtualList.svelte draws by it.

/** A Row is kept by its key; its height is a guess until it has been drawn. */
export interface Row {
  readonly key: string;
  height: number;
  measured: boolean;
}

/** An Anchor is a row and how far its top stands below the top of the view, in pixels; rows below it may do what they want. */
export interface Anchor {
  key: string;
  offset: number;
}

export interface Range {
  /** Rows from first up to, not including, end. */
  first: number;
  end: number;
}

export class Offsets<R extends Row> {
  private list: readonly R[] = [];
  private tops = new Float64Array(1);
  /** tops are right up to and including this index. */
  private valid = 0;
  private index: Map<string, number> | undefined;

  get rows(): readonly R[] {
    return this.list;
  }

  /** set replaces the rows. Rows of equal identity at the beginning cost nothing but the comparison. */
  set(rows: readonly R[]): void {
    const n = Math.min(rows.length, this.list.length);
    let same = 0;
    while (same < n && rows[same] === this.list[same]) same++;
    this.reindex(rows, same);
    this.list = rows;
    if (this.tops.length <= rows.length) {
      const grown = new Float64Array(Math.max(64, (rows.length + 1) * 2));
      grown.set(this.tops.subarray(0, Math.min(this.valid, same) + 1));
      this.tops = grown;
    }
    this.valid = Math.min(this.valid, same);
  }

  /** What streams changes or adds rows at the end; the index of a long list must not be made again for that. */
  private reindex(rows: readonly R[], from: number): void {
    const had = this.list.length;
    if (!this.index) return;
    for (let i = from; i < rows.length; i++) {
      const key = rows[i]!.key;
      if (i < had && this.list[i]!.key !== key) {
        this.index = undefined;
        return;
      }
      this.index.set(key, i);
    }
    if (rows.length < had) this.index = undefined;
  }

  /** resize notes a measured height and says by how much it differs from what was believed. */
  resize(i: number, height: number): number {
    const r = this.list[i];
    if (!r) return 0;
    const by = height - r.height;
    r.height = height;
    r.measured = true;
    if (by !== 0) this.valid = Math.min(this.valid, i);
    return by;
  }

  private settle(to: number): void {
    for (let i = this.valid; i < to; i++) this.tops[i + 1] = this.tops[i]! + this.list[i]!.height;
    this.valid = Math.max(this.valid, to);
  }

  /** top is where row i begins; of the length of the list, where it ends. */
  top(i: number): number {
    const at = Math.max(0, Math.min(i, this.list.length));
    this.settle(at);
    return this.tops[at]!;
  }

  get total(): number {
    return this.top(this.list.length);
  }

  /** at is the index of the row that holds y; the last one for what is below, 0 for what is above. */
  at(y: number): number {
    this.settle(this.list.length);
    let low = 0;
    let high = this.list.length - 1;
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if (this.tops[mid]! <= y) low = mid;
      else high = mid - 1;
    }
    return low;
  }

  indexOf(key: string): number {
    if (!this.index) {
      this.index = new Map();
      for (let i = 0; i < this.list.length; i++) this.index.set(this.list[i]!.key, i);
    }
    return this.index.get(key) ?? -1;
  }

  /** range is what to draw for a view of the given height at scroll, with `over` pixels more on both sides. */
  range(scroll: number, height: number, over: number): Range {
    if (this.list.length === 0) return { first: 0, end: 0 };
    return { first: this.at(Math.max(0, scroll - over)), end: this.at(scroll + height + over) + 1 };
  }

  /** partly is as much of `all` around `seen` as needs at most `room` rows that `has` does not know: the nearest first, those in view in any case. */
  partly(seen: Range, all: Range, has: (key: string) => boolean, room: number): Range {
    let { first, end } = seen;
    const free = (i: number) => has(this.list[i]!.key) || room-- > 0;
    let up = true;
    let down = true;
    while (up || down) {
      up &&= first > all.first && free(first - 1);
      if (up) first--;
      down &&= end < all.end && free(end);
      if (down) end++;
    }
    return { first, end };
  }

  /** anchor is the first row that begins in the view, or the one that fills it. */
  anchor(scroll: number, usable: (r: R) => boolean = () => true): Anchor | undefined {
    if (this.list.length === 0) return undefined;
    let i = this.at(scroll);
    if (this.top(i) < scroll && this.top(i + 1) - scroll < 24 && i + 1 < this.list.length) i++;
    while (i + 1 < this.list.length && !usable(this.list[i]!)) i++;
    return { key: this.list[i]!.key, offset: this.top(i) - scroll };
  }

  /** scrollFor is the scroll position that puts the anchor where it was; undefined when its row is gone. */
  scrollFor(a: Anchor): number | undefined {
    const i = this.indexOf(a.key);
    return i < 0 ? undefined : this.top(i) - a.offset;
  }
}
