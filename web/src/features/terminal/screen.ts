// A terminal as it is drawn: xterm.js with its add-ons, colours from the tokens.
import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { WebglAddon } from "@xterm/addon-webgl";
import { type ITheme, Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import type { Emulator } from "./session";

const scrollback = 20_000;

export interface ScreenHost {
  textSize: number;
  label: string;
  oninput(data: Uint8Array): void;
  /** A key went down or up; false keeps it from the program. */
  onkey(e: KeyboardEvent): boolean;
  onselect(text: string): void;
  onfocus(): void;
  onfound(f: { index: number; count: number }): void;
}

const ansi = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white", "brightBlack", "brightRed", "brightGreen", "brightYellow", "brightBlue", "brightMagenta", "brightCyan", "brightWhite"] as const;

function tokens(at: Element): (name: string) => string {
  const style = getComputedStyle(at);
  return (name) => style.getPropertyValue(`--${name}`).trim();
}

function themeOf(at: Element): ITheme {
  const token = tokens(at);
  const theme: ITheme = {
    background: token("bg"),
    foreground: token("text"),
    cursor: token("accent"),
    cursorAccent: token("bg"),
    selectionBackground: token("accent-soft"),
    selectionInactiveBackground: token("line"),
    scrollbarSliderBackground: token("hover"),
    scrollbarSliderHoverBackground: token("pressed"),
    scrollbarSliderActiveBackground: token("line-strong"),
  };
  ansi.forEach((name, i) => (theme[name] = token(`ansi-${i}`)));
  return theme;
}

/** Links lead to the web only, in a window of their own, whatever a program prints. */
function follow(_: MouseEvent, address: string): void {
  if (/^https?:\/\//i.test(address)) window.open(address, "_blank", "noopener,noreferrer");
}

export class Screen implements Emulator {
  readonly term: Terminal;
  private readonly fitting = new FitAddon();
  private readonly search = new SearchAddon({ highlightLimit: 1000 });
  private gl: WebglAddon | undefined;
  /** WebGL failed here: another try would too. */
  private plain = false;

  constructor(
    private readonly place: HTMLElement,
    host: ScreenHost,
  ) {
    const encoder = new TextEncoder();
    this.term = new Terminal({
      allowProposedApi: true,
      scrollback,
      // A canvas takes this generic name for an unknown font, and another font then.
      fontFamily: getComputedStyle(place).fontFamily.replace(/^ui-monospace,\s*/, ""),
      fontSize: host.textSize,
      lineHeight: 1.2,
      cursorBlink: true,
      minimumContrastRatio: 4.5,
      macOptionIsMeta: true,
      theme: themeOf(place),
      linkHandler: { activate: follow },
    });
    this.term.loadAddon(this.fitting);
    this.term.loadAddon(this.search);
    this.term.loadAddon(new Unicode11Addon());
    this.term.loadAddon(new WebLinksAddon(follow));
    this.term.unicode.activeVersion = "11";
    this.term.open(place);
    this.term.textarea?.setAttribute("aria-label", host.label);
    this.term.textarea?.addEventListener("focus", () => host.onfocus());
    this.term.attachCustomKeyEventHandler((e) => host.onkey(e));
    this.term.onData((text) => host.oninput(encoder.encode(text)));
    this.term.onBinary((text) => host.oninput(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    this.term.onSelectionChange(() => host.onselect(this.term.getSelection()));
    this.search.onDidChangeResults((r) => host.onfound({ index: r.resultIndex, count: r.resultCount }));
  }

  write(data: Uint8Array | string, done?: () => void): void {
    this.term.write(data, done);
  }

  /** show draws with WebGL while it is seen: the browser has few such contexts. */
  show(visible: boolean): void {
    if (!visible) {
      this.gl?.dispose();
      this.gl = undefined;
      return;
    }
    if (this.gl || this.plain) return;
    try {
      const gl = new WebglAddon();
      gl.onContextLoss(() => {
        this.plain = true;
        this.show(false);
      });
      this.term.loadAddon(gl);
      this.gl = gl;
    } catch {
      this.plain = true;
    }
  }

  /** room is the size that fits its place, undefined while that is not shown. */
  room(): { cols: number; rows: number } | undefined {
    const d = this.place.clientWidth ? this.fitting.proposeDimensions() : undefined;
    return d && d.cols > 1 && d.rows > 0 ? d : undefined;
  }

  resize(cols: number, rows: number): void {
    if (cols !== this.term.cols || rows !== this.term.rows) this.term.resize(cols, rows);
  }

  restyle(textSize: number): void {
    this.term.options.theme = themeOf(this.place);
    this.term.options.fontSize = textSize;
  }

  find(text: string, back: boolean, live = false): void {
    const token = tokens(this.place);
    const decorations = { matchBackground: token("warn-soft"), matchOverviewRuler: token("warn"), activeMatchBackground: token("accent-soft"), activeMatchBorder: token("accent"), activeMatchColorOverviewRuler: token("accent") };
    const options = { decorations, incremental: live };
    if (!text) this.search.clearDecorations();
    else if (back) this.search.findPrevious(text, options);
    else this.search.findNext(text, options);
  }
  endFind(): void {
    this.search.clearDecorations();
    this.term.clearSelection();
  }

  dispose(): void {
    this.show(false);
    this.term.dispose();
  }
}
