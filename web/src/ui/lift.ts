/** lift keeps toasts above an element at the window's end: they would lie on its buttons. For {@attach}. */
export function lift(node: HTMLElement): () => void {
  const root = document.documentElement.style;
  const watch = new ResizeObserver(() => root.setProperty("--lift", `${Math.max(0, Math.round(innerHeight - node.getBoundingClientRect().top))}px`));
  watch.observe(node);
  return () => {
    watch.disconnect();
    root.removeProperty("--lift");
  };
}
