// The parts of the page that the keyboard goes to: the sidebar, the thread with its
// composer or question, the panel, the terminal.

const composer = '[data-testid="composer-input"]';
const ask = '[data-focus="ask"]';

interface Part {
  /** What belongs to it. */
  area: string;
  /** Where the focus goes in it, the first that is there. */
  goals: string[];
}

const panel: Part = { area: '[data-focus="panel"]', goals: ['[data-focus="panel"] [role="tabpanel"] [role="region"][tabindex="0"]', '[data-focus="panel"] [role="tabpanel"] textarea', '[data-focus="panel"] [role="tab"][aria-selected="true"]'] };
const parts: Part[] = [
  { area: '[data-focus="sidebar"]', goals: ['[data-focus="sidebar"] [aria-current="page"]', '[data-focus="sidebar"] [data-testid="thread-row"]', '[data-focus="sidebar"] button'] },
  { area: "main", goals: [ask, composer, "main button, main input"] },
  panel,
  { area: '[data-focus="terminal"]', goals: ['[data-focus="terminal"] textarea'] },
];

function goal(p: Part): HTMLElement | undefined {
  for (const g of p.goals) {
    for (const e of document.querySelectorAll<HTMLElement>(g)) if (e.checkVisibility() && !e.closest("[inert]")) return e;
  }
  return undefined;
}

/** stepPart moves the focus to the next part that is shown, or the previous one. */
export function stepPart(by: 1 | -1): void {
  const now = document.activeElement;
  // The innermost: a panel and the terminal lie in main.
  const at = now ? parts.findLastIndex((p) => now.closest(p.area)) : -1;
  // From nowhere the next is the first part, the previous the last.
  const from = at < 0 && by < 0 ? 0 : at;
  for (let i = 1; i <= parts.length; i++) {
    const e = goal(parts[(from + by * i + parts.length) % parts.length]!);
    if (e && e !== now) return e.focus();
  }
}

/** focusComposer waits for the page that is being opened. */
export function focusComposer(): void {
  when(() => document.querySelector<HTMLElement>(composer) ?? undefined, 20);
}

/** focusPanel waits for the first content of a panel, which may have to be loaded. */
export function focusPanel(id: string): void {
  const before = document.activeElement;
  const area = `[data-focus="panel"][data-panel="${id}"]`;
  const asked = { area, goals: panel.goals.map((g) => g.replace(panel.area, area)) };
  when((last) => {
    const now = document.activeElement;
    // Somebody went on meanwhile.
    if (now !== before && now !== document.body) return now instanceof HTMLElement ? now : undefined;
    const e = goal(asked);
    return e?.matches('[role="tab"]') && !last ? undefined : e;
  }, 120);
}

/** when focuses what find gives, looking once a frame; last is the last look. */
function when(find: (last: boolean) => HTMLElement | undefined, tries: number): void {
  const e = find(tries <= 1);
  if (e) e.focus();
  else if (tries > 1) requestAnimationFrame(() => when(find, tries - 1));
}
