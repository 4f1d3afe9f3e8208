const byItself = typeof CSS !== "undefined" && CSS.supports("field-sizing", "content");

/** grow makes a text box as high as its text, up to most pixels. Where the browser does so by itself (field-sizing in its style) nothing is measured: that would lay the page out at every key. */
export function grow(box: HTMLTextAreaElement, most: number): void {
  if (byItself) return;
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight, most)}px`;
}
