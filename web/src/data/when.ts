// When-expressions of commands and key bindings: names, "!", "&&", "||",
// parentheses, == and != with a quoted or bare word. Pure; a bad one throws with
// the place, so that the key binding file's bad rows can be told.

export type ContextValue = boolean | string | number | undefined;
export type ContextReader = (name: string) => ContextValue;
export type When = (read: ContextReader) => boolean;

const token = /\s*(&&|\|\||==|!=|!|\(|\)|'[^']*'|"[^"]*"|[A-Za-z_][\w.-]*|\d+)/y;

/** parseWhen compiles an expression; "" is always true. Throws an Error that names the place. */
export function parseWhen(text: string): When {
  const words: string[] = [];
  token.lastIndex = 0;
  while (token.lastIndex < text.length) {
    const from = token.lastIndex;
    const m = token.exec(text);
    if (!m) {
      if (!text.slice(from).trim()) break;
      throw new Error(`unexpected "${text.slice(from).trim().slice(0, 12)}" at ${from + 1}`);
    }
    words.push(m[1]!);
  }
  if (words.length === 0) return () => true;
  let at = 0;
  let depth = 0;
  const need = (w: string) => {
    if (words[at] !== w) throw new Error(`"${w}" is missing ${at < words.length ? `before "${words[at]}"` : "at the end"}`);
    at++;
  };
  const isName = (w: string | undefined) => !!w && /^[A-Za-z_]/.test(w);
  function either(): When {
    let left = both();
    while (words[at] === "||") {
      at++;
      const a = left;
      const b = both();
      left = (r) => a(r) || b(r);
    }
    return left;
  }
  function both(): When {
    let left = one();
    while (words[at] === "&&") {
      at++;
      const a = left;
      const b = one();
      left = (r) => a(r) && b(r);
    }
    return left;
  }
  function one(): When {
    const w = words[at++];
    if (++depth > 200) throw new Error("it is nested too deep");
    try {
      if (w === "!") {
        const a = one();
        return (r) => !a(r);
      }
      if (w === "(") {
        const a = either();
        need(")");
        return a;
      }
      if (w === undefined) throw new Error("a name is missing at the end");
      if (!isName(w)) throw new Error(`a name is missing before "${w}"`);
      if (w === "true" || w === "false") return () => w === "true";
      const op = words[at];
      if (op !== "==" && op !== "!=") return (r) => !!r(w);
      at++;
      const v = words[at++];
      if (v === undefined || !/^['"\w]/.test(v)) throw new Error(`a value is missing after "${op}"`);
      const want = v.replace(/^(['"])(.*)\1$/, "$2");
      return (r) => (String(r(w) ?? "") === want) === (op === "==");
    } finally {
      depth--;
    }
  }
  const whole = either();
  if (at < words.length) throw new Error(`"${words[at]}" is not expected here`);
  return whole;
}
