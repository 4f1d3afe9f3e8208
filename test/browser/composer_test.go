package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/test/product"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// hit sends a key to what has the focus.
func (b *tab) hit(key string, mods ...chromedp.KeyOption) {
	b.t.Helper()
	if key == kb.Enter && len(mods) == 0 {
		b.enter()
		return
	}
	b.do("press "+key, chromedp.KeyEvent(key, mods...))
}

// enter presses Enter as one event with its text, as keyboards do: who takes the key down takes its text too.
func (b *tab) enter() {
	b.t.Helper()
	b.do("press Enter", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for _, p := range []input.DispatchKeyEventParams{
			{Type: "keyDown", Key: "Enter", Code: "Enter", Text: "\r", UnmodifiedText: "\r", WindowsVirtualKeyCode: 13, NativeVirtualKeyCode: 13},
			{Type: "keyUp", Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13, NativeVirtualKeyCode: 13},
		} {
			if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, p); err != nil {
				return err
			}
		}
		return nil
	}))
}

const inputJS = `document.querySelector('[data-testid="composer-input"]')`

func (b *tab) written() string { return b.eval(inputJS + `.value`) }

// writes waits until the composer has this text.
func (b *tab) writes(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("the composer to say %q", text), fmt.Sprintf(`%s?.value === %q`, inputJS, text))
}

// TestComposerByKeyboard writes as people do: with an input method, going back
// to what was said before, naming files, leaving a draft and coming back.
func TestComposerByKeyboard(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	if err := os.WriteFile(filepath.Join(repo, "my notes.txt"), []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.newThread()
	b.prompt("list the files here")
	b.see("turn-footer")
	b.prompt("list")
	b.until("two turns", `document.querySelectorAll('[data-testid="turn-footer"]').length === 2`)

	// An input method: Enter takes its word and sends nothing; the next one sends.
	b.do("compose", chromedp.Focus(sel("composer-input")), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, input.ImeSetComposition, input.ImeSetCompositionParams{Text: "ふね", SelectionStart: 2, SelectionEnd: 2})
		return err
	}))
	b.writes("ふね")
	b.do("Enter while composing", chromedp.Evaluate[chromedp.Void](inputJS+`.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", keyCode: 229, isComposing: true, bubbles: true, cancelable: true}))`))
	if got := b.written(); got != "ふね" {
		t.Errorf("Enter while composing left %q", got)
	}
	b.do("commit", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: "船"})
		return err
	}))
	b.writes("船")
	b.enter()
	b.writes("")
	b.until("the message in the log", `[...document.querySelectorAll('[data-testid="thread-item-user_message"]')].some(e => e.innerText.includes("船"))`)
	b.until("three turns", `document.querySelectorAll('[data-testid="turn-footer"]').length === 3`)

	// Up and down through what was said, and back to what was typed.
	b.hit(kb.ArrowUp)
	b.writes("船")
	b.hit(kb.ArrowUp)
	b.writes("list")
	b.hit(kb.ArrowUp)
	b.writes("list the files here")
	b.hit(kb.ArrowDown)
	b.writes("list")
	b.hit(kb.ArrowDown)
	b.writes("船")
	b.hit(kb.ArrowDown)
	b.writes("")

	// A file by a few of its letters; a name with a space is quoted.
	b.hit("look at @total")
	b.see("suggestion")
	b.look("composer-mention")
	b.enter()
	b.writes("look at @src/total.go ")
	b.hit("and @mynotes")
	b.seeText("suggest", "my notes.txt")
	b.hit(kb.Tab)
	b.writes(`look at @src/total.go and @"my notes.txt" `)
	b.hit("@nothing-like-it")
	b.seeText("suggest", "No file matches")
	b.hit(kb.Escape)
	b.gone("suggest")

	// The draft stays with its thread, over a look elsewhere and a reload.
	text := b.written()
	if !strings.HasPrefix(text, "look at") {
		t.Fatalf("the composer says %q", text)
	}
	b.click("new-thread")
	b.see("composer-input")
	b.writes("")
	b.click("thread-row")
	b.writes(text)
	b.do("load again", chromedp.Reload())
	b.see("composer-input")
	b.writes(text)
	b.clean()
}

// TestApprovalByKeyboard answers by number, by Enter and by Esc; a key of somebody who types answers nothing.
func TestApprovalByKeyboard(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.newThread()
	ready := `document.querySelector('[data-testid="approval-card"]')?.dataset.ready === "true"`

	b.prompt("run echo one")
	b.see("approval-card")
	b.until("the card to take keys", ready)
	b.until("the card to have the focus", `document.activeElement?.dataset.testid === "approval-card"`)
	b.look("approval-by-keyboard")
	b.enter()
	b.gone("approval-card")
	b.see("turn-footer")
	b.click("steps-group")
	b.click("thread-item-tool_call")
	b.seeText("tool-output", "one")

	b.prompt("run echo two")
	b.see("approval-card")
	// Somebody types on: the keyboard is not still, so nothing is answered.
	b.hit("abc")
	b.enter()
	b.see("approval-card")
	b.until("the card to take keys", ready)
	b.hit(kb.Escape)
	b.gone("approval-card")
	b.until("a turn more", `document.querySelectorAll('[data-testid="turn-footer"]').length === 2`)

	b.prompt("run echo three")
	b.see("approval-card")
	b.until("the card to take keys", ready)
	b.hit("1")
	b.gone("approval-card")
	b.until("a turn more", `document.querySelectorAll('[data-testid="turn-footer"]').length === 3`)
	b.until("the composer to have the focus again", `document.activeElement === `+inputJS)
	b.clean()
}

// TestQueue changes a queued message and takes one back while a turn runs.
func TestQueue(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.newThread()
	b.prompt("stream 60")
	b.see("stop")
	b.prompt("list one")
	b.see("queued")
	b.prompt("list two")
	b.until("two queued", `document.querySelectorAll('[data-testid="queued"]').length === 2`)
	b.look("queue")
	b.click("queued-edit")
	b.fill("queued-text", "list the files, please")
	b.enter()
	b.seeText("queue", "list the files, please")
	b.do("take the second back", chromedp.Evaluate[chromedp.Void](`[...document.querySelectorAll('[data-testid="unqueue"]')].at(-1).click()`))
	b.until("one queued", `document.querySelectorAll('[data-testid="queued"]').length === 1`)
	b.click("stop")
	b.until("the queued one to run", `[...document.querySelectorAll('[data-testid="thread-item-user_message"]')].some(e => e.innerText.includes("list the files, please"))`)
	b.until("both turns to end", `document.querySelectorAll('[data-testid="turn-footer"]').length === 2`)
	b.click("turn-again")
	b.see("stop")
	b.click("stop")
	b.until("three turns", `document.querySelectorAll('[data-testid="turn-footer"]').length === 3`)
	b.clean()
}
