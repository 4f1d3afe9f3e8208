package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/test/product"

	"github.com/chromedp/chromedp"
)

// chooseAgent picks the agent of the composer by its name.
func (b *tab) chooseAgent(name string) {
	b.t.Helper()
	option := fmt.Sprintf(`[...document.querySelectorAll('[data-testid^="agent-select-"]')].find(e => e.innerText.includes(%q))`, name)
	b.click("agent-select")
	b.until("see "+name+" among the agents", "!!"+option)
	b.do("pick "+name, chromedp.Evaluate[chromedp.Void](option+".click()"))
	b.until("see it picked", fmt.Sprintf(`document.querySelector('[data-testid="agent-select"]')?.innerText.includes(%q)`, name))
}

// TestSecondAgent adds the demo agent a second time, as a program of one's own with
// variables and a secret; runs it; changes it; and removes it again.
func TestSecondAgent(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	bin := product.Bin(t)
	d := product.StartDesktop(t, product.Options{Env: []string{"LENT_BY_THE_DESKTOP=lent"}})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.do("go to the agents", chromedp.Evaluate[chromedp.Void](`(() => { history.pushState(null, "", "/settings/agents"); dispatchEvent(new PopStateEvent("popstate")); })()`))

	// What is missing is said at its field, and nothing is saved.
	b.click("agents-add")
	b.click("instance-save")
	b.seeText("instance-problem-name", "Give it a name")
	b.seeText("instance-problem-path", "PATH")
	b.until("the first wrong field to have the focus", `document.activeElement?.dataset.testid === "instance-name"`)
	b.look("agent-problems")
	b.fill("instance-name", "Demo at work")
	b.gone("instance-problem-name")
	b.fill("instance-path", filepath.Join(bin, "no-such-agent"))
	b.click("variable-add")
	b.fill("variable-name", "9BOATS")
	b.fill("variable-value", "two hulls")
	b.click("instance-save")
	b.seeText("variable-problem", "not a digit first")
	b.fill("variable-name", "BOATS")
	b.gone("variable-problem")
	b.click("secret-add")
	// The second row is the secret.
	b.until("two rows", `document.querySelectorAll('[data-testid="variable"]').length === 2`)
	b.until("the new row to have the focus", `document.activeElement === document.querySelectorAll('[data-testid="variable-name"]')[1]`)
	b.hit("HARBOUR_KEY")
	b.do("go to the value", chromedp.Evaluate[chromedp.Void](`document.querySelectorAll('[data-testid="variable-value"]')[1].focus()`))
	b.hit("first-secret")
	b.fill("instance-without", "LENT_BY_THE_DESKTOP")
	b.look("agent-form")
	b.click("instance-save")
	b.gone("instance-dialog")

	// A path where nothing is: the card says so, and what to do.
	b.seeText("agents-local", "Demo at work")
	b.seeText("agents-local", "no-such-agent that can be run here")
	b.seeText("agents-local", "Correct the path")
	id := b.eval(`[...document.querySelectorAll('[data-testid^="agent-card-acp-"]')].map(e => e.dataset.testid.slice("agent-card-".length))[0]`)
	b.click("agent-edit-" + id)
	b.see("variable-set")
	if text := b.eval(`document.querySelector('[data-testid="instance-dialog"]').innerHTML`); strings.Contains(text, "first-secret") {
		t.Error("the form holds the secret")
	}
	b.fill("instance-path", filepath.Join(bin, "demoagent"))
	b.click("instance-save")
	b.gone("instance-dialog")
	b.until("the agent to be found", fmt.Sprintf(`document.querySelector('[data-testid="agent-card-%s"]')?.dataset.state === "found"`, id))
	b.look("agent-second")

	// It runs with its own variables, and without the one it is not given.
	run := func(want string) {
		t.Helper()
		b.click("new-thread")
		b.see("composer-input")
		b.chooseAgent("Demo at work")
		b.prompt(`run echo "$BOATS/$HARBOUR_KEY/$LENT_BY_THE_DESKTOP/"`)
		b.see("approval-card")
		b.click("approve-allow_once")
		b.see("turn-footer")
		b.click("steps-group")
		b.click("thread-item-tool_call")
		b.seeText("tool-output", want)
	}
	run("two hulls/first-secret//")

	// The secret is replaced; the rest stays.
	edit := func() {
		t.Helper()
		b.visit("/settings/agents")
		b.click("agent-edit-" + id)
		b.see("instance-dialog")
	}
	edit()
	b.click("variable-replace")
	b.until("a field for it", `document.querySelectorAll('[data-testid="variable-value"]').length === 2`)
	b.do("go to the value", chromedp.Evaluate[chromedp.Void](`document.querySelectorAll('[data-testid="variable-value"]')[1].focus()`))
	b.hit("second-secret")
	b.click("instance-save")
	b.gone("instance-dialog")
	kept := setFile(t, filepath.Join(d.Home, "backend", "agent-secrets.json"), "second-secret")
	if strings.Contains(kept, "first-secret") {
		t.Error("the replaced secret is still there")
	}
	if info, err := os.Stat(filepath.Join(d.Home, "backend", "agent-secrets.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secrets' file: %v, %v", info.Mode(), err)
	}

	// Not offered, it leaves the lists and keeps its settings.
	edit()
	b.click("instance-shown")
	b.click("instance-save")
	b.gone("instance-dialog")
	b.see("agent-off-" + id)
	b.gone("agent-card-" + id)

	// Removed, its secret goes with it.
	b.click("agent-edit-" + id)
	b.click("instance-remove")
	b.seeText("instance-dialog", "Its secrets are deleted")
	b.look("agent-remove")
	b.click("instance-remove-confirm")
	b.gone("instance-dialog")
	b.gone("agent-off-" + id)
	if text, err := os.ReadFile(filepath.Join(d.Home, "backend", "agent-secrets.json")); err != nil || strings.Contains(string(text), "second-secret") {
		t.Errorf("after the removal: %s, %v", text, err)
	}
	b.clean()
}
