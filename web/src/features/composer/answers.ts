// The answers to a question of several parts, while they are being given.
import type { QuestionAnswerPart, QuestionPart } from "../../api/types.gen";

export interface Given {
  options: string[];
  text: string;
}

export const nothing: Given = { options: [], text: "" };

/** choose toggles an option where several may be chosen, else takes it alone. */
export function choose(p: QuestionPart, g: Given, option: string): Given {
  if (!p.multiple) return { options: [option], text: "" };
  return { ...g, options: g.options.includes(option) ? g.options.filter((o) => o !== option) : [...g.options, option] };
}

/** write is words; where one answer is wanted they take the place of a chosen option. */
export function write(p: QuestionPart, g: Given, text: string): Given {
  return { options: p.multiple || text === "" ? g.options : [], text };
}

/** wrong says why a part's answer can't be taken, "" when it can. */
export function wrong(p: QuestionPart, g: Given): string {
  const text = g.text.trim();
  if (!g.options.length && !text) return p.optional || p.url ? "" : p.options?.length ? "Choose an answer." : "Write an answer.";
  if (text && p.format === "integer" && !/^[+-]?\d+$/.test(text)) return "A whole number is wanted.";
  if (text && p.format === "number" && !Number.isFinite(Number(text))) return "A number is wanted.";
  return "";
}

/** answersOf is what is sent: parts without an answer are left out. */
export function answersOf(parts: QuestionPart[], given: Record<string, Given>): QuestionAnswerPart[] {
  return parts.flatMap((p) => {
    const g = given[p.id] ?? nothing;
    const text = p.secret ? g.text : g.text.trim();
    if (!g.options.length && !text) return [];
    // The order of the question, not of the clicks.
    const optionIds = (p.options ?? []).map((o) => o.id).filter((id) => g.options.includes(id));
    return [{ partId: p.id, ...(optionIds.length && { optionIds }), ...(text && { text }) }];
  });
}
