import { describe, expect, it } from "vitest";
import type { QuestionPart } from "../../api/types.gen";
import { answersOf, choose, nothing, write, wrong } from "./answers";

const options = [
  { id: "a", label: "A" },
  { id: "b", label: "B" },
];
const one: QuestionPart = { id: "one", text: "Which?", options, freeText: true };
const many: QuestionPart = { id: "many", text: "Which?", options, multiple: true };

describe("answers", () => {
  it("takes one option or words instead", () => {
    let g = choose(one, nothing, "a");
    g = choose(one, g, "b");
    expect(g.options).toEqual(["b"]);
    g = write(one, g, "neither");
    expect(g).toEqual({ options: [], text: "neither" });
    expect(choose(one, g, "a")).toEqual({ options: ["a"], text: "" });
  });
  it("toggles where several may be chosen, and sends them in the question's order", () => {
    let g = choose(many, choose(many, nothing, "b"), "a");
    expect(answersOf([many], { many: g })).toEqual([{ partId: "many", optionIds: ["a", "b"] }]);
    g = choose(many, g, "b");
    expect(g.options).toEqual(["a"]);
  });
  it("tells what is missing or wrong", () => {
    expect(wrong(one, nothing)).toBe("Choose an answer.");
    expect(wrong({ id: "x", text: "?", freeText: true }, nothing)).toBe("Write an answer.");
    expect(wrong({ id: "x", text: "?", optional: true }, nothing)).toBe("");
    expect(wrong({ id: "x", text: "?", format: "integer" }, { options: [], text: "3.5" })).toBe("A whole number is wanted.");
    expect(wrong({ id: "x", text: "?", format: "number" }, { options: [], text: "3.5" })).toBe("");
    expect(wrong({ id: "x", text: "?", format: "number" }, { options: [], text: "three" })).toBe("A number is wanted.");
  });
  it("leaves out what was not answered, and secrets as they are", () => {
    expect(answersOf([one, { id: "s", text: "?", secret: true }], { s: { options: [], text: " key " } })).toEqual([{ partId: "s", text: " key " }]);
  });
});
