package browser

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"catamaran/internal/api"
	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
	"catamaran/test/longthread"
	"catamaran/test/product"

	"github.com/chromedp/chromedp"
)

// TestFirstTurnByKeyboard is the first minute with no pointer at all: a project, a
// prompt, both approvals, the diff, and back to the composer.
func TestFirstTurnByKeyboard(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("add-first-project")
	b.until("projects can be added", `!document.querySelector('[data-testid="add-first-project"]').disabled`)
	b.tabTo("add-first-project")
	b.enter()
	b.until("the path to have the focus", `document.activeElement?.dataset.testid === "project-path"`)
	b.hit(repo)
	b.enter()
	b.gone("project-path")
	b.until("the composer to have the focus", `document.activeElement?.dataset.testid === "composer-input"`)
	b.hit("try everything")
	b.enter()
	for _, card := range []string{"approval-command", "approval-edits"} {
		b.see(card)
		b.until("the card to take keys", `document.querySelector('[data-testid="approval-card"]')?.dataset.ready === "true" && document.activeElement?.dataset.testid === "approval-card"`)
		b.enter()
		b.gone(card)
	}
	b.see("changes-card")
	b.see("turn-footer")
	b.until("the composer to have the focus again", `document.activeElement?.dataset.testid === "composer-input"`)
	b.do("start from the top", chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
	b.tabTo("open-diff")
	b.enter()
	b.seeText("diff-view", "catamaran-demo.md")
	b.clean()
}

// TestWSLOffered: a first start on a computer with distros offers to use one, and does.
func TestWSLOffered(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	d := startOn(t, m, "")
	b := open(t, d.URL)
	b.state("local", "ready")
	b.see("welcome-wsl")
	b.seeText("welcome-wsl", "Ubuntu")
	b.look("welcome-wsl")
	b.click("welcome-wsl-use")
	b.see("mode-dialog")
	b.click("mode-confirm")
	b.gone("mode-dialog")
	b.state("wsl:Ubuntu", "ready")
	b.state("local", "ready")
	b.gone("welcome-wsl")
	b.clean()
}

// secondURL is the address that a second start prints: another window of the same app.
func secondURL(t *testing.T, d *product.Desktop) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(product.Bin(t), "catamaran"), "--no-window")
	cmd.Env = append(product.CleanEnv(t), "CATAMARAN_HOME="+d.Home)
	out, err := cmd.Output()
	var l api.Launch
	if err == nil {
		err = json.Unmarshal(out, &l)
	}
	if err != nil || l.URL == "" {
		t.Fatalf("a second start: %v, %q", err, out)
	}
	return l.URL
}

// TestSettingsInASecondWindow: what one window changes the other shows, without a look at it.
func TestSettingsInASecondWindow(t *testing.T) {
	t.Parallel()
	d := product.StartDesktop(t, product.Options{})
	one := open(t, d.URL)
	one.see("env-group-local")
	two := open(t, secondURL(t, d))
	two.see("env-group-local")
	two.visit("/settings/appearance")
	two.see("setting-theme")
	// Nothing but the message may bring it: neither a focus nor a return.
	two.do("look away", chromedp.Evaluate[chromedp.Void](`["focus", "visibilitychange", "online", "pageshow"].forEach(k => window.addEventListener(k, e => e.stopImmediatePropagation(), true))`))
	one.visit("/settings/appearance")
	for _, theme := range []string{"dark", "light"} {
		one.click("theme-" + theme)
		one.until("see it here", fmt.Sprintf(`document.documentElement.dataset.theme === %q`, theme))
		two.until("see it in the other", fmt.Sprintf(`document.documentElement.dataset.theme === %q && !!document.querySelector('[data-testid="theme-%s"].on')`, theme, theme))
	}
	one.clean()
	two.clean()
}

// TestThousandThreads: the sidebar draws a part of them, more on demand, and search finds the rest.
func TestThousandThreads(t *testing.T) {
	t.Parallel()
	home, repo := t.TempDir(), product.GitRepo(t, t.TempDir())
	if err := longthread.WriteThreads(t.Context(), home, repo, 1000); err != nil {
		t.Fatal(err)
	}
	d := product.StartDesktop(t, product.Options{Home: home})
	b := open(t, d.URL)
	b.see("thread-row")
	rows := func(want string) {
		t.Helper()
		b.until(want+" rows", fmt.Sprintf(`document.querySelectorAll('[data-testid="thread-row"]').length === %s`, want))
	}
	rows("8")
	b.keep("thousand threads")
	if n := b.eval(`document.querySelectorAll("*").length < 1500`); n != "true" {
		t.Errorf("the document has %s elements", b.eval(`document.querySelectorAll("*").length`))
	}
	b.click("threads-more")
	rows("100")
	// The oldest is found by its name, and stands in the list while it is open.
	b.hit("k", withCtrl)
	b.choose("thread number 1 ", "Thread number 1 ")
	b.seeText("thread-title", "Thread number 1 of many")
	rows("101")
	b.clean()
}

// TestArchiveAndDelete deletes an archived thread: taken back in time it stays, else it is really gone.
func TestArchiveAndDelete(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.newThread()
	b.prompt("list the files here")
	b.see("turn-footer")
	b.until("see the keys free", `document.activeElement?.dataset.testid === "composer-input"`)
	b.archive()
	b.visit("/settings/archive")
	b.see("archived")
	id := b.eval(`document.querySelector('[data-testid="archived"]').dataset.thread`)
	there := func() int {
		t.Helper()
		var hits api.SearchHits
		b.call("local", api.MethodSearch, api.Search{Text: "files", Archived: true}, &hits)
		return len(hits.Hits)
	}
	if there() == 0 {
		t.Fatal("the search does not find the archived thread")
	}
	undo := `[...document.querySelectorAll('[data-testid="toast"]')].find(e => e.innerText.includes("being deleted"))`
	b.click("archive-delete")
	b.gone("archived")
	b.look("archive-deleting")
	b.do("take it back", chromedp.Evaluate[chromedp.Void](undo+`.querySelector('[data-testid="toast-undo"]').click()`))
	b.see("archived")
	if there() == 0 {
		t.Error("it was deleted all the same")
	}
	b.click("archive-delete")
	b.gone("archived")
	b.until("the toast to come", "!!"+undo)
	if there() == 0 {
		t.Error("it was deleted before its time was over")
	}
	b.until("its time to be over", "!"+undo)
	b.until("nothing to be left", fmt.Sprintf(`!(localStorage.getItem("catamaran.shell.local") ?? "").includes(%q)`, id))
	if there() != 0 {
		t.Error("its messages are still found")
	}
	b.do("load again", chromedp.Reload())
	b.see("archive-empty")
	b.clean()
}
