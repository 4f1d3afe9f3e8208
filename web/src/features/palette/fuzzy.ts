// Fuzzy matching of what a person types against short texts. Pure.

export interface Match {
  score: number;
  /** Positions of the letters that matched. */
  marks: number[];
}

/**
 * fuzzy finds the letters of a query in their order. Beginnings of words, runs
 * of letters and early places count more; undefined when it does not match.
 * Blanks of the query separate words that may match in any order.
 */
export function fuzzy(query: string, text: string): Match | undefined {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return { score: 0, marks: [] };
  const low = text.toLowerCase();
  let score = 0;
  const marks: number[] = [];
  for (const w of words) {
    const m = one(w, low, text);
    if (!m) return undefined;
    score += m.score;
    marks.push(...m.marks);
  }
  return { score: score - text.length * 0.01, marks: [...new Set(marks)].sort((a, b) => a - b) };
}

const boundary = (low: string, text: string, i: number) => i === 0 || !/[\p{L}\p{N}]/u.test(low[i - 1]!) || (text[i] !== low[i] && text[i - 1] === low[i - 1]);

function one(q: string, low: string, text: string): Match | undefined {
  const whole = low.indexOf(q);
  if (whole >= 0) {
    // The place that begins a word is better than the first one.
    let at = whole;
    for (let i = whole; i >= 0; i = low.indexOf(q, i + 1)) {
      if (boundary(low, text, i)) {
        at = i;
        break;
      }
    }
    return { score: 20 + q.length * 4 + (boundary(low, text, at) ? 15 : 0) + (at === 0 ? 5 : 0), marks: Array.from(q, (_, i) => at + i) };
  }
  // Letter by letter: the beginnings of words first, else the next place.
  const marks: number[] = [];
  let score = 0;
  let from = 0;
  for (const c of q) {
    let at = -1;
    for (let i = from; i < low.length; i++) {
      if (low[i] !== c) continue;
      if (at < 0) at = i;
      if (i === from || boundary(low, text, i)) {
        at = i;
        break;
      }
    }
    // Taking a later beginning of a word must not lose the rest.
    if (at < 0) return first(q, low);
    const last = marks.at(-1);
    score += boundary(low, text, at) ? 6 : last !== undefined && at === last + 1 ? 3 : 0.5;
    marks.push(at);
    from = at + 1;
  }
  return { score, marks };
}

/** first takes the first place of each letter. */
function first(q: string, low: string): Match | undefined {
  const marks: number[] = [];
  let from = 0;
  for (const c of q) {
    const at = low.indexOf(c, from);
    if (at < 0) return undefined;
    marks.push(at);
    from = at + 1;
  }
  return { score: q.length * 0.3, marks };
}

/** pieces cuts a text into parts that matched and parts that did not. */
export function pieces(text: string, marks: readonly number[]): { text: string; hit: boolean }[] {
  const hits = new Set(marks);
  const out: { text: string; hit: boolean }[] = [];
  for (let i = 0; i < text.length; i++) {
    const hit = hits.has(i);
    const last = out.at(-1);
    if (last && last.hit === hit) last.text += text[i];
    else out.push({ text: text[i]!, hit });
  }
  return out;
}

/** best is the matches of a list, the best first, at most n. */
export function best<T>(query: string, list: readonly T[], text: (x: T) => string, more: (x: T) => string, n: number): { item: T; marks: number[] }[] {
  const found: { item: T; marks: number[]; score: number; at: number }[] = [];
  list.forEach((item, at) => {
    const m = fuzzy(query, text(item));
    if (m) return void found.push({ item, marks: m.marks, score: m.score, at });
    const extra = more(item);
    const o = extra ? fuzzy(query, `${text(item)} ${extra}`) : undefined;
    if (o) found.push({ item, marks: o.marks.filter((i) => i < text(item).length), score: o.score - 10, at });
  });
  return found.sort((a, b) => b.score - a.score || a.at - b.at).slice(0, n);
}
