package browser

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
	"catamaran/test/product"

	"github.com/chromedp/chromedp"
)

// addProject adds a project by typing its path.
func (b *tab) addProject(path string) {
	b.t.Helper()
	b.click("add-project")
	b.fill("project-path", path)
	b.click("project-add")
	b.gone("project-path")
}

// newThread opens the composer of a new thread of the demo agent.
func (b *tab) newThread() {
	b.t.Helper()
	b.click("new-thread")
	b.see("composer-input")
}

func (b *tab) prompt(text string) {
	b.t.Helper()
	b.fill("composer-input", text)
	b.click("send")
}

// demoTurn runs the demo agent's tour: a command and an edit, both approved.
func (b *tab) demoTurn() {
	b.t.Helper()
	b.prompt("try everything")
	b.see("approval-command")
	b.look("approval-command")
	b.click("approve-allow_once")
	b.see("approval-edits")
	b.look("approval-edit")
	b.click("approve-allow_once")
	b.see("changes-card")
	b.gone("approval-card")
	b.seeText("changed-file", "catamaran-demo.md")
}

// TestLifeOfAPrompt is what a new user does first: sign in, add a repository, let
// the demo agent run a command and edit a file, look at the diff, stop a turn, restart the app.
func TestLifeOfAPrompt(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.see("add-project")
	b.look("empty")
	if frag := b.eval("location.hash"); frag != "" {
		t.Errorf("the launch code is still in the address: %q", frag)
	}
	b.addProject(repo)
	b.newThread()
	b.look("new-thread")
	b.demoTurn()
	b.look("turn-done")
	b.click("open-diff")
	b.see("diff-view")
	b.seeText("diff-view", "catamaran-demo.md")
	b.look("diff")
	b.click("panel-close")

	b.prompt("stream 60")
	b.see("stop")
	b.see("turn-working")
	b.look("working")
	b.click("stop")
	b.gone("turn-working")
	b.seeText("turn-reason", "You stopped this turn")
	b.look("interrupted")

	turns := b.count("turn")
	d.Stop(t)
	d2 := product.StartDesktop(t, product.Options{Home: d.Home})
	b2 := open(t, d2.URL)
	b2.click("thread-row")
	b2.see("changes-card")
	b2.seeText("turn-reason", "You stopped this turn")
	if got := b2.count("turn"); got != turns {
		t.Errorf("after the restart %s turns are shown; want %s", got, turns)
	}
	if b, err := os.ReadFile(filepath.Join(repo, "catamaran-demo.md")); err != nil || len(b) == 0 {
		t.Errorf("the agent's file: %q, %v", b, err)
	}
	out, err := exec.Command("git", "-C", repo, "status", "--short").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "?? catamaran-demo.md" {
		t.Errorf("git status after the turn: %q, %v", out, err)
	}
	b.clean()
	b2.clean()
}

// changeMode picks a mode in Settings and confirms the dialog.
func (b *tab) changeMode(mode string) {
	b.t.Helper()
	b.click("open-settings")
	b.click("mode-" + mode)
	b.see("mode-dialog")
	b.look("mode-dialog-" + mode)
	b.click("mode-confirm")
}

func (b *tab) chooseDistro(name string) {
	b.t.Helper()
	b.see("distro-select")
	b.do("choose the distro", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => { const s = document.querySelector(%q); s.value = %q; s.dispatchEvent(new Event("change", {bubbles: true})); })()`, css("distro-select"), name)))
}

// changed waits until the dialog has closed on the new side.
func (b *tab) changed(mode string) {
	b.t.Helper()
	b.gone("mode-dialog")
	b.do("see "+mode+" chosen", chromedp.WaitVisible(chromedp.CSS(css("mode-"+mode)+`[data-selected="true"]`)))
}

// TestModesThereAndBack runs the demo agent on both sides of the switch and finds the threads of each side again.
func TestModesThereAndBack(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	native, linux := product.GitRepo(t, t.TempDir()), product.GitRepo(t, m.Home("Ubuntu"))
	d := product.StartDesktop(t, product.Options{Env: []string{"CATAMARAN_WSL_EXE=" + m.Exe}})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(native)
	b.newThread()
	b.prompt("list the files here")
	b.see("turn-footer")

	b.changeMode("wsl-only")
	b.changed("wsl-only")
	b.look("settings-wsl-only")
	b.see("env-group-wsl:default")
	b.gone("env-group-local")
	b.addProject(linux)
	b.newThread()
	b.demoTurn()
	b.look("turn-in-wsl")
	if _, err := os.Stat(filepath.Join(linux, "catamaran-demo.md")); err != nil {
		t.Errorf("the agent's file in the distro: %v", err)
	}

	b.changeMode("both")
	b.changed("both")
	b.see("env-group-wsl:default")
	b.see("env-group-local")
	b.do("see two threads", chromedp.Poll[chromedp.Void](`document.querySelectorAll('[data-testid="thread-row"]').length === 2`, chromedp.WithPollingTimeout(wait)))
	b.look("both")

	b.changeMode("local")
	b.changed("local")
	b.gone("env-group-wsl:default")
	b.click("thread-row")
	b.seeText("thread-title", "list the files here")
	b.see("turn-footer")
	b.clean()
}
