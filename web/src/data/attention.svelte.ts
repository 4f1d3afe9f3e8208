// Whether a person is looking: the window is on screen, and has the focus.
class Attention {
  visible = $state(typeof document === "undefined" || document.visibilityState === "visible");
  focused = $state(typeof document === "undefined" || document.hasFocus());
  here = $derived(this.visible && this.focused);

  constructor() {
    if (typeof document === "undefined") return;
    const look = () => {
      this.visible = document.visibilityState === "visible";
      this.focused = document.hasFocus();
    };
    document.addEventListener("visibilitychange", look);
    window.addEventListener("focus", look);
    window.addEventListener("blur", look);
  }
}

export const attention = new Attention();
