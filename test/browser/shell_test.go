package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/test/product"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var (
	withCtrl     = chromedp.KeyModifiers(chromedp.ModifierCtrl)
	withShift    = chromedp.KeyModifiers(chromedp.ModifierShift)
	withAltShift = chromedp.KeyModifiers(chromedp.ModifierAlt, chromedp.ModifierShift)
)

// choose types into the palette and takes the row that is chosen.
func (b *tab) choose(text, want string) {
	b.t.Helper()
	b.see("palette-input")
	b.do("type "+text, chromedp.KeyEvent(text))
	b.until("see "+want+" chosen", fmt.Sprintf(`document.querySelector('[data-testid="palette-row"][aria-selected="true"]')?.innerText.includes(%q)`, want))
	b.hit(kb.Enter)
	b.gone("palette")
}

// setFile waits until a file below the desktop's state folder contains text.
func setFile(t *testing.T, path, text string) string {
	t.Helper()
	for end := time.Now().Add(wait); ; time.Sleep(20 * time.Millisecond) {
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), text) {
			return string(b)
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not contain %q: %q, %v", path, text, b, err)
		}
	}
}

// TestPaletteSettingsAndKeys goes through the app by keyboard alone: the palette, the settings it leads to, a key of one's own.
func TestPaletteSettingsAndKeys(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("add-project")
	b.addProject(repo)
	b.see("composer-input")

	// A person in the middle of a message reaches everything.
	b.fill("composer-input", "a draft")
	b.hit("k", withCtrl)
	b.see("palette")
	b.look("palette")
	b.choose("settapp", "Settings: Appearance")
	b.see("setting-theme")
	b.look("settings-appearance")
	b.click("theme-dark")
	b.until("see it dark", `document.documentElement.dataset.theme === "dark"`)
	home := filepath.Join(d.Home, "desktop")
	setFile(t, filepath.Join(home, "settings.json"), `"appearance.theme": "dark"`)
	b.do("reload", chromedp.Reload())
	b.until("see it dark at once", `document.documentElement.dataset.theme === "dark" && !!document.querySelector('[data-testid="theme-dark"].on')`)

	// Search in Settings leads to a row.
	b.fill("settings-search", "density")
	b.see("settings-hit")
	b.hit(kb.Enter)
	b.until("see the row found", `!!document.querySelector('#setting-density')`)
	b.click("density-compact")
	b.until("see it compact", `document.documentElement.dataset.density === "compact"`)

	// A key of one's own: what else it does is said before it is taken.
	b.click("settings-keys")
	b.fill("keys-find", "between light")
	b.until("see one command", `document.querySelectorAll('[data-testid="key-row"]').length === 1`)
	b.click("key-add")
	b.hit("b", withCtrl)
	b.seeText("key-taken", "sidebar")
	b.hit(kb.Backspace)
	b.hit(kb.F9)
	b.click("key-take")
	setFile(t, filepath.Join(home, "keys.json"), `{"key":"f9","command":"view.theme"}`)
	b.look("settings-keys")
	b.hit(kb.F9)
	b.until("see it light", `document.documentElement.dataset.theme === "light"`)
	b.click("key-reset")
	b.gone("key-reset")

	// A file that somebody edited: good rows work, bad ones are told with their line.
	// What the page has just reset is written in its own time.
	for range 200 {
		if now, err := os.ReadFile(filepath.Join(home, "keys.json")); err != nil || !strings.Contains(strings.ToLower(string(now)), "f9") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	rows := "[\n  {\"key\": \"f8\", \"command\": \"view.theme\"},\n  {\"key\": \"f7\"},\n  {\"key\": \"mod+what\", \"command\": \"view.theme\"}\n]\n"
	if err := os.WriteFile(filepath.Join(home, "keys.json"), []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	b.do("reload", chromedp.Reload())
	b.seeText("keys-problems", "Line 3")
	b.seeText("keys-problems", "mod+what")
	b.hit(kb.F8)
	b.until("see it dark again", `document.documentElement.dataset.theme === "dark"`)

	// Ctrl+Enter sends where it was chosen, and Enter writes a line.
	b.click("settings-general")
	b.click("send-key-mod+enter")
	b.do("go back to the project", chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-testid="project-group"] .open').click()`))
	b.see("composer-input")
	b.fill("composer-input", "one")
	b.hit(kb.Enter)
	b.until("see a second line", `document.querySelector('[data-testid="composer-input"]').value.includes("\n")`)
	b.hit(kb.Enter, withCtrl)
	b.see("turn")

	// The palette finds the thread by its title.
	b.hit("k", withCtrl)
	b.choose("#one", "one")
	b.see("thread-title")
	b.clean()
}

// TestSidebarKeepsOrder pins, renames, archives and takes back, folds and sizes the sidebar, and finds all of it after a restart.
// archive presses the key until the page has taken it: right after a change of
// what is on screen a key may still go nowhere.
func (b *tab) archive() {
	b.t.Helper()
	for range 5 {
		b.hit("a", withAltShift)
		for range 40 {
			if b.eval(`document.querySelector('[data-testid="thread-row"]') === null`) == "true" {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	b.t.Fatal("the thread is not archived by its key")
}

func TestSidebarKeepsOrder(t *testing.T) {
	t.Parallel()
	one, two := product.GitRepo(t, t.TempDir()), product.GitRepo(t, t.TempDir())
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("add-project")
	b.addProject(one)
	b.newThread()
	b.prompt("list the files here")
	b.see("turn-footer")
	b.addProject(two)
	b.until("see two projects", `document.querySelectorAll('[data-testid="project-group"]').length === 2`)

	// Pinned by the row's menu, with the keyboard.
	b.do("focus the row", chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-testid="thread-row"]').focus()`))
	b.hit(kb.F10, withShift)
	b.see("menu")
	b.click("thread-pin")
	b.see("pinned")
	b.click("thread-row")
	b.seeText("thread-title", "list the files here")

	b.hit(kb.F2)
	b.fill("thread-rename-input", "Files of the first project")
	b.hit(kb.Enter)
	b.seeText("thread-title", "Files of the first project")

	// Archived, taken back, archived again, brought back from Settings.
	// The field is gone only after the title has come, and with it what the keys go to.
	b.gone("thread-rename-input")
	b.until("see the keys free", `!["INPUT", "TEXTAREA"].includes(document.activeElement?.tagName) || document.activeElement.dataset.testid === "composer-input"`)
	b.archive()
	b.see("toast-undo")
	b.look("toast-undo")
	b.click("toast-undo")
	b.see("thread-row")
	b.until("see the thread again", `document.querySelector('[data-testid="thread-title"]') !== null`)
	b.archive()
	b.gone("thread-row")
	b.hit(",", withCtrl)
	b.click("settings-archive")
	b.see("archived")
	b.look("settings-archive")
	b.click("archive-restore")
	b.see("archive-empty")
	b.see("thread-row")

	// The second project goes to the top and the first is folded.
	b.do("open the second project's menu", chromedp.Evaluate[chromedp.Void](`document.querySelectorAll('[data-testid="project-row-menu"]')[1].click()`))
	b.click("project-up")
	order := fmt.Sprintf(`[...document.querySelectorAll('[data-testid="project-group"] .open')].map(e => e.title).join() === %q`, two+","+one)
	b.until("see the order", order)
	b.do("fold the first project", chromedp.Evaluate[chromedp.Void](`document.querySelectorAll('[data-testid="project-fold"]')[1].click()`))

	b.do("focus the edge", chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-testid="rail-resizer"]').focus()`))
	before := b.eval(`document.querySelector('[data-testid="sidebar"]').offsetWidth`)
	b.hit(kb.ArrowRight)
	b.hit(kb.ArrowRight)
	b.until("see it wider", fmt.Sprintf(`document.querySelector('[data-testid="sidebar"]').offsetWidth === %s + 32`, before))

	d.Stop(t)
	d2 := product.StartDesktop(t, product.Options{Home: d.Home})
	b.do("open it again", chromedp.Navigate(d2.URL))
	b.see("pinned")
	b.until("see the order after a restart", order)
	b.until("see the width after a restart", fmt.Sprintf(`document.querySelector('[data-testid="sidebar"]').offsetWidth === %s + 32`, before))
	b.until("see the fold after a restart", `document.querySelectorAll('[data-testid="project-fold"][aria-expanded="false"]').length === 1`)
	b.clean()
}

// TestNotificationsWhenAway: a window without the focus tells of a question and of an end, the badge counts, a click leads there.
func TestNotificationsWhenAway(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("add-project")
	b.addProject(repo)
	b.newThread()
	// In the place of the system, which a browser without a screen has none of: what would be shown, and a window that has lost the focus.
	b.do("watch notifications", chromedp.Evaluate[chromedp.Void](`(() => {
		window.shown = [];
		window.Notification = class {
			static permission = "granted";
			constructor(title, o) { window.shown.push({title, body: o.body, note: this}); }
			close() {}
		};
		window.away = (yes) => { document.hasFocus = () => !yes; window.dispatchEvent(new Event(yes ? "blur" : "focus")); };
	})()`))
	b.prompt("try everything")
	b.see("approval-command")
	if n := b.eval("window.shown.length"); n != "0" {
		t.Errorf("%s notifications while somebody looks", n)
	}
	b.do("look elsewhere", chromedp.Evaluate[chromedp.Void](`window.away(true)`))
	b.until("see the badge", `/^\(1\) /.test(document.title)`)
	b.until("see the icon's badge", `document.querySelector('link[rel="icon"]').href.startsWith("data:")`)
	b.click("approve-allow_once")
	b.until("be told of the next question", `window.shown.some(s => s.body.includes("asks for an approval"))`)
	b.click("approve-allow_once")
	b.until("be told of the end", `window.shown.some(s => s.body.includes("is done"))`)
	var titles []string
	if err := json.Unmarshal([]byte(b.eval(`JSON.stringify(window.shown.map(s => s.title))`)), &titles); err != nil || titles[0] != "try everything" {
		t.Errorf("titles %q, %v", titles, err)
	}
	// A click leads to the thread, from anywhere.
	b.click("open-settings")
	b.do("click the notification", chromedp.Evaluate[chromedp.Void](`window.shown.at(-1).note.onclick()`))
	b.see("thread-title")
	b.do("come back", chromedp.Evaluate[chromedp.Void](`window.away(false)`))
	b.until("see the badge go", `!/^\(/.test(document.title) && document.querySelector('link[rel="icon"]').href.endsWith("/favicon.svg")`)
	b.clean()
}
