// JavaScript by TypeScript's grammar, which knows all of it: one large grammar
// less to carry. Other grammars (HTML, Markdown) include it by its scope.
import typescript from "@shikijs/langs/typescript";

const grammar = typescript.at(-1)!;
export default [{ ...grammar, name: "javascript", displayName: "JavaScript", scopeName: "source.js", aliases: ["js"] }];
