// Changes a piece of the document into another one with as few changes as
// there are differences: what is selected stays selected, what did not change
// is not laid out again.

/** morph makes the children of el those of html, which must have been sanitized. */
export function morph(el: Element, html: string): void {
  const t = document.createElement("template");
  t.innerHTML = html;
  children(el, t.content);
}

function children(into: Node, from: Node): void {
  let a = into.firstChild;
  let b = from.firstChild;
  while (b) {
    const next = b.nextSibling;
    if (!a) into.appendChild(b);
    else {
      const after: ChildNode | null = a.nextSibling;
      if (a.nodeType !== b.nodeType || a.nodeName !== b.nodeName) into.replaceChild(b, a);
      else if (a instanceof Text) text(a, b as Text);
      else if (a instanceof Element) {
        attributes(a, b as Element);
        children(a, b);
      }
      a = after;
    }
    b = next;
  }
  while (a) {
    const after: ChildNode | null = a.nextSibling;
    a.remove();
    a = after;
  }
}

function text(a: Text, b: Text): void {
  if (a.data === b.data) return;
  // Appending leaves a selection in the text alone; replacing would not.
  if (b.data.startsWith(a.data)) a.appendData(b.data.slice(a.data.length));
  else a.data = b.data;
}

function attributes(a: Element, b: Element): void {
  for (const { name } of [...a.attributes]) if (!b.hasAttribute(name)) a.removeAttribute(name);
  for (const { name, value } of b.attributes) if (a.getAttribute(name) !== value) a.setAttribute(name, value);
}
