// Markdown of agents, as blocks: finished blocks keep their HTML, only the last
// one is made again while text arrives. Loaded apart from the first screen.
import DOMPurify from "dompurify";
import { Marked, type Token, type TokensList } from "marked";
import { mend } from "./mend";

export type Block = { raw: string; kind: "html"; html: string } | { raw: string; kind: "code"; lang: string; text: string };

const marked = new Marked({
  gfm: true,
  breaks: false,
  renderer: {
    // Code inside a list or a quote; that of its own is a block with its own component.
    code({ text, lang }) {
      return `<figure class="code"><figcaption><span>${escape(language(lang) || "text")}</span><button type="button" data-copy aria-label="Copy code">Copy</button></figcaption><pre tabindex="0"><code>${escape(text)}\n</code></pre></figure>`;
    },
    checkbox({ checked }) {
      return `<span class="task">${checked ? "☑" : "☐"}</span> `;
    },
    // The page's policy shows no remote pictures; the link says where it is.
    image({ href, text }) {
      return `<a href="${escape(href)}">${escape(text || href)}</a>`;
    },
    html({ text }) {
      return escape(text);
    },
  },
});

const purifier = DOMPurify(window);
purifier.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "A") {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer");
  }
});

const allowed = ["p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "del", "code", "pre", "a", "ul", "ol", "li", "blockquote", "table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "span", "button", "div"];

function clean(html: string): string {
  return purifier.sanitize(html, { ALLOWED_TAGS: allowed, ALLOWED_ATTR: ["href", "title", "class", "align", "start", "type", "tabindex", "data-copy", "aria-label"], ADD_URI_SAFE_ATTR: ["align", "start", "type", "tabindex"], ALLOWED_URI_REGEXP: /^(?:https?|mailto|vscode):/i });
}

function escape(s: string): string {
  return s.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

function language(info: string | undefined): string {
  return (info ?? "").split(/[\s,{]/)[0] ?? "";
}

function block(t: Token, links: TokensList["links"]): Block {
  if (t.type === "code") return { raw: t.raw, kind: "code", lang: language(t.lang as string | undefined), text: t.text as string };
  const list = [t] as Token[] as TokensList;
  list.links = links;
  return { raw: t.raw, kind: "html", html: clean(marked.parser(list)) };
}

/**
 * render gives the blocks of text; those of `before` that did not change keep
 * their identity. Of a live text the last block is drawn as it will most likely
 * read when it is complete.
 */
export function render(text: string, before: Block[] = [], live = false): Block[] {
  const blocks: Block[] = [];
  let at = 0;
  // All but the last block are finished when the text only grew.
  for (const b of before.slice(0, -1)) {
    if (!text.startsWith(b.raw, at)) break;
    blocks.push(b);
    at += b.raw.length;
  }
  const tokens = marked.lexer(text.slice(at));
  tokens.forEach((t, i) => {
    if (t.type === "space" && blocks.length > 0) {
      const last = blocks[blocks.length - 1]!;
      blocks[blocks.length - 1] = { ...last, raw: last.raw + t.raw };
      return;
    }
    let b = block(t, tokens.links);
    if (live && i === tokens.length - 1 && b.kind === "html") {
      const mended = mend(t.raw);
      const again = mended === t.raw ? undefined : marked.lexer(mended);
      if (again?.length === 1) b = { ...block(again[0]!, tokens.links), raw: t.raw };
    }
    const old = before[blocks.length];
    blocks.push(old && same(old, b) ? old : b);
  });
  return blocks;
}

function same(a: Block, b: Block): boolean {
  if (a.raw !== b.raw || a.kind !== b.kind) return false;
  return a.kind === "html" ? a.html === (b as typeof a).html : a.lang === (b as typeof a).lang && a.text === (b as typeof a).text;
}

/** Finished texts by what they say, so that scrolling back costs nothing; the oldest leave first. */
const kept = new Map<string, Block[]>();
const mostKept = 400;
const longestKept = 40_000;

/** renderDone is render for text that will not change. */
export function renderDone(text: string, before: Block[] = []): Block[] {
  let blocks = kept.get(text);
  if (blocks) {
    kept.delete(text);
    kept.set(text, blocks);
    return blocks;
  }
  blocks = render(text, before);
  if (text.length <= longestKept) {
    kept.set(text, blocks);
    if (kept.size > mostKept) kept.delete(kept.keys().next().value!);
  }
  return blocks;
}
