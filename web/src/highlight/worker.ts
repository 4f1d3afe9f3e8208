// Colours for code, off the main thread: Shiki's core with the browser's own
// regular expressions, so there is no WebAssembly. A grammar is fetched when
// the first file of its language is shown.
import { createCssVariablesTheme, createHighlighterCore } from "@shikijs/core";
import { createJavaScriptRegexEngine } from "@shikijs/engine-javascript";
import { type Answer, type Ask, tokenRow } from "./protocol";

type Module = { default: Parameters<Awaited<typeof highlighter>["loadLanguage"]> };
const grammars: Record<string, () => Promise<unknown>> = {
  c: () => import("@shikijs/langs/c"),
  csharp: () => import("@shikijs/langs/csharp"),
  css: () => import("@shikijs/langs/css"),
  dart: () => import("@shikijs/langs/dart"),
  diff: () => import("@shikijs/langs/diff"),
  docker: () => import("@shikijs/langs/docker"),
  go: () => import("@shikijs/langs/go"),
  hcl: () => import("@shikijs/langs/hcl"),
  html: () => import("@shikijs/langs/html"),
  ini: () => import("@shikijs/langs/ini"),
  java: () => import("@shikijs/langs/java"),
  javascript: () => import("@shikijs/langs/javascript"),
  json: () => import("@shikijs/langs/json"),
  kotlin: () => import("@shikijs/langs/kotlin"),
  lua: () => import("@shikijs/langs/lua"),
  make: () => import("@shikijs/langs/make"),
  markdown: () => import("@shikijs/langs/markdown"),
  powershell: () => import("@shikijs/langs/powershell"),
  proto: () => import("@shikijs/langs/proto"),
  python: () => import("@shikijs/langs/python"),
  rust: () => import("@shikijs/langs/rust"),
  scss: () => import("@shikijs/langs/scss"),
  shellscript: () => import("@shikijs/langs/shellscript"),
  sql: () => import("@shikijs/langs/sql"),
  svelte: () => import("@shikijs/langs/svelte"),
  swift: () => import("@shikijs/langs/swift"),
  toml: () => import("@shikijs/langs/toml"),
  tsx: () => import("@shikijs/langs/tsx"),
  typescript: () => import("@shikijs/langs/typescript"),
  vue: () => import("@shikijs/langs/vue"),
  xml: () => import("@shikijs/langs/xml"),
  yaml: () => import("@shikijs/langs/yaml"),
};

const theme = createCssVariablesTheme({ name: "ours", variablePrefix: "--", fontStyle: false });
const highlighter = createHighlighterCore({ themes: [theme], langs: [], engine: createJavaScriptRegexEngine({ forgiving: true }) });
const loading = new Map<string, Promise<void>>();

function load(lang: string): Promise<void> {
  let l = loading.get(lang);
  if (!l) {
    const grammar = grammars[lang];
    if (!grammar) return Promise.reject(new Error("unknown language"));
    l = Promise.all([highlighter, grammar()]).then(([h, m]) => h.loadLanguage(...[(m as Module).default].flat()));
    loading.set(lang, l);
    l.catch(() => loading.delete(lang));
  }
  return l;
}

/** Longer lines are minified or data; colouring one can take seconds. */
const longest = 1000;

onmessage = async (e: MessageEvent<Ask>) => {
  const { id, lang, lines } = e.data;
  const answer: Answer = { id };
  try {
    await load(lang);
    const h = await highlighter;
    // A language's rules are compiled at their first use, within the first line's time.
    const rows = h.codeToTokensBase(lines.join("\n"), { lang, theme: "ours", tokenizeMaxLineLength: longest, tokenizeTimeLimit: 1000 });
    answer.lines = rows.map(tokenRow);
  } catch {
    // Without colours, then.
  }
  postMessage(answer);
};
