package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
	"catamaran/test/product"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// shown is the text of the terminal with the keys, as it is drawn without WebGL.
const shown = `([...document.querySelectorAll('[data-testid="terminal-pane"]')].filter(p => !p.closest("[inert]")).map(p => [...p.querySelectorAll(".xterm-rows > div")].map(r => r.innerText.replace(/\u00a0/g, " ").trimEnd()).join("\n")).join("\n---\n"))`

func (b *tab) sees(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("read %q in the terminal", text), fmt.Sprintf(`%s.includes(%q)`, shown, text))
}

// types sends keys to what has the focus, as a keyboard does: the character is part
// of the key that goes down, so that a page that takes the key gets no other event.
func (b *tab) types(keys string) {
	b.t.Helper()
	b.do("type "+keys, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for _, r := range keys {
			events := kb.Encode(r)
			for i, e := range events {
				if e.Type == kb.KeyChar {
					continue
				}
				if e.Type == kb.KeyDown && i+1 < len(events) {
					e.Text, e.UnmodifiedText = events[i+1].Text, events[i+1].UnmodifiedText
				}
				if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, *e); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

func (b *tab) chord(key string, m ...chromedp.Modifier) {
	b.t.Helper()
	b.do("press "+key, chromedp.KeyEvent(key, chromedp.KeyModifiers(m...)))
}

// openTerminal shows the drawer and waits for a shell with the keys in it.
func (b *tab) openTerminal() {
	b.t.Helper()
	b.click("toggle-drawer")
	b.see("terminal-panel")
	b.live()
}

func (b *tab) live() {
	b.t.Helper()
	b.until("a live terminal has the focus", `document.activeElement?.closest('[data-testid="terminal-pane"][data-state="running"] .xterm')?.closest('[data-testid="terminal-pane"]').dataset.live === "true"`)
}

// bash is an environment whose terminals are plain.
func bash(t *testing.T) []string {
	t.Helper()
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".bashrc"), []byte("PS1='shop$ '\nexport HISTFILE=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"HOME=" + home, "SHELL=/bin/bash"}
}

// TestTerminal opens shells, splits them, finds text, and closes one in which something runs.
func TestTerminal(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	d := product.StartDesktop(t, product.Options{Env: bash(t)})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.see("composer-input")
	b.openTerminal()
	b.sees("shop$")
	b.types("pwd; stty size\r")
	b.sees(repo)
	b.types(`seq 1 400; printf '\033[1;31mred\033[0m \033[32mgreen\033[0m \033[44m blue \033[0m äöü 漢字 \U1F6A2 https://example.org/docs\n'` + "\r")
	b.sees("äöü")
	b.accessible("terminal")
	b.look("terminal")

	// What ran is known, and the title is the tab's.
	b.types(`printf '\033]0;my title\a'; sleep 300` + "\r")
	b.until("a busy tab with a title", `(t => t?.dataset.busy === "true" && t.innerText.includes("my title"))(document.querySelector('[data-testid="terminal-tab"]'))`)
	b.chord("c", chromedp.ModifierCtrl)
	b.until("an idle tab", `document.querySelector('[data-testid="terminal-tab"]').dataset.busy === "false"`)

	// A second one beside it; the size is shared out.
	b.click("terminal-split")
	b.until("two panes", `document.querySelectorAll('[data-testid="terminal-pane"]').length === 2`)
	b.live()
	b.sees("---\nshop$")
	b.types("echo si''de\r")
	b.sees("side")
	b.accessible("two terminals side by side")
	b.look("terminal-split")

	// A tab of its own, and back.
	b.click("terminal-new")
	b.until("two tabs", `document.querySelectorAll('[data-testid="terminal-tab"]').length === 2`)
	b.live()
	b.types("cat\r")
	b.until("cat in the tab", `[...document.querySelectorAll('[data-testid="terminal-tab"]')].some(t => t.dataset.busy === "true" && t.innerText.includes("cat"))`)
	b.types("to the cat\r")
	b.sees("to the cat\nto the cat")

	// The page is loaded again: everything is there, in the same tabs.
	b.do("reload", chromedp.Reload())
	b.see("terminal-panel")
	// It is there as it was left, and does not take the keys from the composer.
	b.sees("to the cat\nto the cat")
	b.until("the composer has the focus", onComposer)
	b.press(kb.F6)
	b.live()
	b.sees("to the cat\nto the cat")
	b.types("still there\r")
	b.sees("still there\nstill there")
	if n := b.count("terminal-tab"); n != "2" {
		t.Errorf("%s tabs after the reload", n)
	}

	// Ctrl+Shift+F finds, also above what is shown.
	b.do("the first tab", chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-testid="terminal-tab"]').click()`))
	b.live()
	b.chord("F", chromedp.ModifierCtrl, chromedp.ModifierShift)
	b.see("terminal-find")
	b.types("123")
	b.until("a match", `/^\d+ of \d+$|^\d+$/.test(document.querySelector('[data-testid="terminal-found"]')?.innerText ?? "")`)
	b.chord("\x1b")
	b.gone("terminal-find")

	// Closing asks where something runs.
	b.do("close the second tab", chromedp.Evaluate[chromedp.Void](`document.querySelectorAll('[data-testid="terminal-close"]')[1].click()`))
	b.see("terminal-close-dialog")
	b.seeText("terminal-close-dialog", "cat")
	b.click("terminal-close-confirm")
	b.until("one tab", `document.querySelectorAll('[data-testid="terminal-tab"]').length === 1`)
	// A shell that ends well takes its pane along, and the last one the drawer.
	b.live()
	b.chord("d", chromedp.ModifierCtrl)
	b.until("one pane", `document.querySelectorAll('[data-testid="terminal-pane"]').length === 1`)
	b.live()
	b.types("exit 0\r")
	b.gone("terminal-panel")
	b.clean()
}

const onComposer = `document.activeElement?.dataset.testid === "composer-input"`

// TestPartsByKeyboard goes from part to part of the page without a mouse.
func TestPartsByKeyboard(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	if err := os.WriteFile(filepath.Join(repo, "new.txt"), []byte("new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := product.StartDesktop(t, product.Options{Env: bash(t)})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.see("composer-input")
	on := func(what, selector string) {
		t.Helper()
		b.until("the focus on "+what, fmt.Sprintf("document.activeElement?.matches(%q)", selector))
	}
	ctrlShift := []chromedp.Modifier{chromedp.ModifierCtrl, chromedp.ModifierShift}
	on("the composer", css("composer-input"))
	b.press(kb.F6)
	b.until("the focus in the sidebar", `!!document.activeElement?.closest('[data-testid="sidebar"]')`)
	b.press(kb.F6)
	on("the composer again", css("composer-input"))

	// A panel that is asked for by its key has the keys.
	b.chord("D", ctrlShift...)
	on("the changes", css("diff-view"))
	b.chord("E", ctrlShift...)
	on("the files", css("file-tree"))
	b.chord("G", ctrlShift...)
	on("the message", css("commit-message"))
	b.chord(kb.F6, chromedp.ModifierShift)
	on("the composer", css("composer-input"))
	b.press(kb.F6)
	on("the message", css("commit-message"))
	// Also where somebody writes, and the focus does not get lost with what is hidden.
	b.chord("B", ctrlShift...)
	b.gone("side-panel")
	on("the composer", css("composer-input"))

	// The key that shows the terminal hides it.
	b.chord("j", chromedp.ModifierCtrl)
	b.live()
	b.sees("shop$")
	b.chord(kb.F6, chromedp.ModifierShift)
	on("the composer", css("composer-input"))
	b.press(kb.F6)
	b.live()
	b.chord("j", chromedp.ModifierCtrl)
	b.gone("terminal-panel")
	on("the composer", css("composer-input"))
	b.clean()
}

// TestVimAndHtop uses two programs that draw the whole screen.
func TestVimAndHtop(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	d := product.StartDesktop(t, product.Options{Env: bash(t)})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.see("composer-input")
	b.openTerminal()
	b.sees("shop$")
	b.types("vim -u NONE -N README.md\r")
	b.sees("A small shop.")
	b.types("Goadded in vim\x1b:set number\r")
	b.sees("4 added in vim")
	b.look("terminal-vim")
	b.types(":wq\r")
	b.sees("shop$")
	if text, err := os.ReadFile(filepath.Join(repo, "README.md")); err != nil || !strings.HasSuffix(string(text), "A small shop.\nadded in vim\n") {
		t.Errorf("%q, %v", text, err)
	}
	b.types("clear; htop\r")
	b.sees("Load average")
	b.until("a busy tab", `document.querySelector('[data-testid="terminal-tab"]').dataset.busy === "true"`)
	b.look("terminal-htop")
	// Taller and narrower: it draws itself anew in that size.
	b.do("make the window small", chromedp.EmulateViewport(900, 700))
	b.sees("Load average")
	b.do("and large", chromedp.EmulateViewport(1440, 900))
	b.sees("F10Quit")
	b.types("q")
	b.until("htop's screen is gone", fmt.Sprintf(`!%s.includes("Load average") && %s.includes("shop$")`, shown, shown))
	b.clean()
}

// TestTerminalHistoryAfterRestart: the app ends; the next one shows what was there and starts again below it.
func TestTerminalHistoryAfterRestart(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	env := bash(t)
	d := product.StartDesktop(t, product.Options{Env: env})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.see("composer-input")
	b.openTerminal()
	b.sees("shop$")
	b.types("echo be''fore\r")
	b.sees("before")
	d.Stop(t)
	b.until("the terminal waits", `document.querySelector('[data-testid="terminal-pane"]')?.dataset.live === "false"`)
	b.look("terminal-waiting")

	d2 := product.StartDesktop(t, product.Options{Home: d.Home, Env: env})
	b2 := open(t, d2.URL)
	b2.click("new-thread")
	b2.see("toggle-drawer")
	if b2.count("terminal-panel") == "0" {
		b2.click("toggle-drawer")
	}
	b2.see("terminal-pane")
	b2.sees("before")
	b2.see("terminal-ended")
	b2.look("terminal-lost")
	b2.click("terminal-restart")
	b2.live()
	b2.sees("shop$")
	b2.types("echo af''ter\r")
	b2.sees("after")
	b2.sees("before")
	b2.clean()
}

// TestTerminalInADistro has a terminal in a simulated distro, over the link through wsl.exe.
func TestTerminalInADistro(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	linux := product.GitRepo(t, m.Home("Ubuntu"))
	d := product.StartDesktop(t, product.Options{Env: []string{"CATAMARAN_WSL_EXE=" + m.Exe}})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.changeMode("wsl-only")
	b.changed("wsl-only")
	b.do("go back", chromedp.Evaluate[chromedp.Void](`location.assign("/")`))
	b.see("add-project")
	b.addProject(linux)
	b.see("composer-input")
	b.openTerminal()
	b.types("echo [$WSL_DISTRO_NAME] [$TERM] [$(pwd)]\r")
	b.sees("[Ubuntu] [xterm-256color] [" + linux + "]")
	b.clean()
}
