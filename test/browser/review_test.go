package browser

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/test/product"

	"github.com/chromedp/chromedp"
)

// shopWithTurn is a desktop with a project in which the demo agent has had its turn.
func shopWithTurn(t *testing.T, d *product.Desktop) (*tab, string) {
	t.Helper()
	repo := product.GitRepo(t, t.TempDir())
	b := open(t, d.URL)
	b.addProject(repo)
	b.newThread()
	b.prompt("try everything")
	b.click("approve-allow_once")
	b.see("approval-edits")
	b.click("approve-allow_once")
	b.see("changes-card")
	b.gone("approval-card")
	return b, repo
}

// TestReviewOfChanges reads a turn's diff in both ways, comments on a line, and
// goes through the working tree with the keys.
func TestReviewOfChanges(t *testing.T) {
	t.Parallel()
	b, repo := shopWithTurn(t, product.StartDesktop(t, product.Options{}))
	b.click("open-diff")
	b.see("diff-view")
	b.seeText("diff-view", "catamaran-demo.md")
	b.see("diff-line")
	b.click("diff-split")
	b.see("diff-pair")
	b.gone("diff-line")
	b.accessible("changes, side by side")
	b.look("review-split")
	b.click("diff-split")
	b.see("diff-line")

	b.click("comment-line")
	b.fill("comment-text", "Say which folder it was.")
	b.click("comment-keep")
	b.seeText("comment", "Say which folder it was.")
	b.accessible("changes with a comment")
	b.look("review-comment")
	b.click("comments-send")
	b.gone("comment")
	for _, want := range []string{"catamaran-demo.md", "line 1", "Say which folder it was."} {
		b.until("the comment in the message: "+want, fmt.Sprintf(`document.querySelector(%q)?.value.includes(%q)`, css("composer-input"), want))
	}

	// What a person changes is in the working tree, not in the turn.
	put(t, repo, "src/total.go", "package shop\n\n// Total is what a basket costs.\nfunc Total(prices []int) int {\n\tsum := 1\n\tfor _, p := range prices {\n\t\tsum += p\n\t}\n\treturn sum\n}\n")
	b.click("diff-scope")
	b.click("diff-scope-all")
	b.seeText("diff-view", "src/total.go")
	b.until("words that changed are marked", fmt.Sprintf(`document.querySelectorAll(%q).length >= 2`, css("diff-line")+" .mark"))
	b.until("Go code has colours, from the worker", fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.textContent === "func")`, css("diff-line")+" .k1"))
	b.do("focus the changes", chromedp.Focus(sel("diff-view")))
	b.key("j")
	b.key("n")
	b.key("x")
	b.until("a file is folded", fmt.Sprintf(`document.querySelectorAll(%q).length === 1`, css("diff-file")+` .name[aria-expanded="false"]`))
	b.key("?")
	b.see("diff-keys")
	b.accessible("keys of the changes")
	b.clean()
}

// TestRevertAndBack reverts a turn after a look at what it would do, and takes that back.
func TestRevertAndBack(t *testing.T) {
	t.Parallel()
	b, repo := shopWithTurn(t, product.StartDesktop(t, product.Options{}))
	made := filepath.Join(repo, "catamaran-demo.md")
	text, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	b.click("open-diff")
	b.see("diff-view")
	b.click("revert-open")
	b.see("revert-file")
	b.click("revert-apply")
	b.gone("revert-dialog")
	b.see("toast-undo")
	if _, err := os.Stat(made); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
	b.click("toast-undo")
	b.gone("toast-undo")
	// The diff is asked for again once the files are back.
	eventually(t, "the file is back", func() bool {
		again, err := os.ReadFile(made)
		return err == nil && string(again) == string(text)
	})
	b.clean()
}

// eventually waits for something that happens outside the page.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(wait); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", wait, what)
		}
	}
}

// TestRevertStaysInTheTimeline reverts a turn and takes that back after a reload,
// reverts again, and takes it back after a restart of the whole app.
func TestRevertStaysInTheTimeline(t *testing.T) {
	t.Parallel()
	d := product.StartDesktop(t, product.Options{})
	b, repo := shopWithTurn(t, d)
	made := filepath.Join(repo, "catamaran-demo.md")
	there := func() bool { _, err := os.Stat(made); return err == nil }
	b.click("open-diff")
	b.see("diff-view")
	b.click("revert-open")
	b.see("revert-file")
	b.accessible("revert dialog")
	b.look("revert-preview")
	b.click("revert-apply")
	b.gone("revert-dialog")
	b.seeText("thread-item-revert", "Reverted 1 file of turn 1")
	b.look("revert-done")

	b.reload()
	b.seeText("thread-item-revert", "Reverted 1 file of turn 1")
	b.click("revert-undo")
	b.seeText("thread-item-revert", "undone")
	eventually(t, "the file is back", there)
	b.seeText("revert-undo", "Revert again")
	b.clickCSS(css("thread-item-revert") + " .summary")
	b.seeText("thread-item-revert", "catamaran-demo.md")
	b.accessible("undone revert")
	b.look("revert-undone")
	b.click("revert-undo")
	b.seeText("revert-undo", "Undo")
	eventually(t, "the file is gone again", func() bool { return !there() })
	b.clean()
	path := b.eval("location.pathname")
	d.Stop(t)

	d = product.StartDesktop(t, product.Options{Home: d.Home})
	code := d.URL[strings.Index(d.URL, "#"):]
	b = open(t, d.Base+path+code)
	b.seeText("thread-item-revert", "Reverted 1 file of turn 1")
	b.click("revert-undo")
	b.seeText("thread-item-revert", "undone")
	eventually(t, "the file is back", there)

	// Somebody else's file by now: it stays, and so does what the timeline says.
	b.click("revert-undo")
	b.seeText("revert-undo", "Undo")
	put(t, repo, "catamaran-demo.md", "mine\n")
	b.click("revert-undo")
	b.seeText("toast", "1 file was left alone")
	b.seeText("revert-undo", "Undo")
	if text, _ := os.ReadFile(made); string(text) != "mine\n" {
		t.Errorf("%q", text)
	}
	b.clean()
}

// TestResizingKeepsWhatIsOpen makes the window narrower and wider: panels become
// sheets and come back without a dialog, a terminal or a scroll position being lost.
func TestResizingKeepsWhatIsOpen(t *testing.T) {
	t.Parallel()
	b, _ := shopWithTurn(t, product.StartDesktop(t, product.Options{}))
	size := func(width int64) {
		t.Helper()
		b.do(fmt.Sprintf("make it %d wide", width), chromedp.EmulateViewport(width, 900), settled())
	}
	mark := func(id string) {
		t.Helper()
		b.see(id)
		b.do("mark "+id, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`void (document.querySelector(%q).marked = true)`, css(id))))
	}
	marked := func(id string) {
		t.Helper()
		if b.eval(fmt.Sprintf(`document.querySelector(%q)?.marked === true`, css(id))) != "true" {
			t.Errorf("%s was made anew", id)
		}
	}
	b.openTerminal()
	mark("terminal-pane")
	b.click("open-diff")
	mark("diff-view")
	b.click("revert-open")
	b.see("revert-file")
	mark("revert-dialog")
	for _, width := range []int64{1000, 600, 1000, 1440} {
		size(width)
		if width < 1080 {
			b.see("side-sheet")
		} else {
			b.gone("side-sheet")
		}
		marked("revert-dialog")
		marked("diff-view")
		marked("terminal-pane")
	}
	b.do("close the dialog", chromedp.KeyEvent("\x1b"))
	b.gone("revert-dialog")
	marked("diff-view")

	// The sheet keeps the focus, and Esc closes it.
	size(600)
	b.until("the rest is out of reach", `!!document.querySelector('[data-testid="composer-input"]').closest("[inert]")`)
	b.do("close the sheet", chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-testid="side-sheet"]').focus()`), chromedp.KeyEvent("\x1b"))
	b.gone("side-sheet")
	b.see("drawer-sheet")
	marked("terminal-pane")
	b.do("give the terminal the keys", chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-testid="terminal-pane"] textarea').focus()`))
	// Esc is the terminal's own.
	b.types("\x1b")
	b.see("drawer-sheet")
	size(1440)
	b.gone("drawer-sheet")
	marked("terminal-pane")
	b.clean()
}

// TestStageAndCommit takes a change through the Git panel: stage, message, commit, a new branch.
func TestStageAndCommit(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	git := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Dir = repo
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("config", "user.name", "Dev")
	git("config", "user.email", "dev@example.com")
	put(t, repo, "src/total.go", "package shop\n")
	put(t, repo, "notes.txt", "remember\n")
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.addProject(repo)
	b.newThread()
	b.do("open Git", chromedp.KeyEvent("G", chromedp.KeyModifiers(chromedp.ModifierCtrl, chromedp.ModifierShift)))
	b.seeText("git-branch", "main")
	b.seeText("git-changed", "total.go")
	b.seeText("git-new", "notes.txt")
	b.clickCSS(css("git-changed") + " " + css("git-stage"))
	b.seeText("git-staged", "total.go")
	b.look("git")
	b.fill("commit-message", "Empty the total")
	b.click("commit")
	b.gone("git-staged")
	if got := git("log", "-1", "--format=%s"); got != "Empty the total" {
		t.Errorf("committed %q", got)
	}
	if got := git("status", "--porcelain"); got != "?? notes.txt" {
		t.Errorf("left: %q", got)
	}
	// What happens outside is seen by itself.
	put(t, repo, "README.md", "# another shop\n")
	b.seeText("git-changed", "README.md")
	b.click("git-branch")
	b.fill("branch-name", "fix/total")
	b.click("branch-create")
	b.gone("branch-dialog")
	b.seeText("git-branch", "fix/total")
	if got := git("branch", "--show-current"); got != "fix/total" {
		t.Errorf("on %q", got)
	}
	b.clean()
}
