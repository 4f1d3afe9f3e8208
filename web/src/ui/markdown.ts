// Markdown of agents, as blocks: finished blocks keep their HTML, only the last
// one is made again while text arrives. Loaded apart from the first screen.
import DOMPurify from "dompurify";
import { Marked, type Token, type TokensList } from "marked";

export interface Block {
  raw: string;
  html: string;
}

const marked = new Marked({
  gfm: true,
  breaks: false,
  renderer: {
    code({ text, lang }) {
      const name = (lang ?? "").split(/\s/)[0] ?? "";
      return `<figure class="code"><figcaption><span>${escape(name || "text")}</span><button type="button" data-copy aria-label="Copy code">Copy</button></figcaption><pre><code>${escape(text)}\n</code></pre></figure>`;
    },
    checkbox({ checked }) {
      return checked ? "☑ " : "☐ ";
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
  return purifier.sanitize(html, { ALLOWED_TAGS: allowed, ALLOWED_ATTR: ["href", "title", "class", "align", "start", "type", "data-copy", "aria-label"], ALLOWED_URI_REGEXP: /^(?:https?|mailto|vscode):/i });
}

function escape(s: string): string {
  return s.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** render gives the blocks of text; those of `before` that did not change keep their HTML. */
export function render(text: string, before: Block[] = []): Block[] {
  const blocks: Block[] = [];
  let at = 0;
  // All but the last block are finished when the text only grew.
  for (const b of before.slice(0, -1)) {
    if (!text.startsWith(b.raw, at)) break;
    blocks.push(b);
    at += b.raw.length;
  }
  const tokens = marked.lexer(text.slice(at));
  for (const t of tokens) {
    if (t.type === "space" && blocks.length > 0) {
      const last = blocks[blocks.length - 1]!;
      blocks[blocks.length - 1] = { raw: last.raw + t.raw, html: last.html };
      continue;
    }
    const list = [t] as Token[] as TokensList;
    list.links = tokens.links;
    blocks.push({ raw: t.raw, html: clean(marked.parser(list)) });
  }
  return blocks;
}
