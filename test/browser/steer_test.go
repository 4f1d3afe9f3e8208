package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"catamaran/internal/api"
	"catamaran/test/product"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// call makes a call to an environment's backend as the page does, and gives what it answered.
func (b *tab) call(env, method string, params, into any) {
	b.t.Helper()
	body, err := json.Marshal(params)
	if err != nil {
		b.t.Fatal(err)
	}
	var answer string
	b.do("call "+method, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(async () => {
		const r = await fetch("/e/" + encodeURIComponent(%q) + "/api/call/" + %q, {method: "POST", headers: {"Content-Type": "application/json", Authorization: "Bearer " + sessionStorage.getItem("catamaran.token")}, body: %q});
		window.answered = (r.ok ? "" : "!") + await r.text();
	})()`, env, method, body), chromedp.EvalAwaitPromise))
	if answer = b.eval("window.answered"); answer != "" && answer[0] == '!' {
		b.t.Fatalf("%s: %s", method, answer[1:])
	}
	if into != nil {
		if err := json.Unmarshal([]byte(answer), into); err != nil {
			b.t.Fatalf("%s: %v in %s", method, err, answer)
		}
	}
}

// TestSteer hands messages to a running turn: by the button, by the key, and one that waited in the queue.
func TestSteer(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.call("local", api.MethodInstanceSave, api.AgentInstanceSave{Instance: api.AgentInstance{Base: "codex", Name: "Stand-in", Path: self, Env: []api.AgentVariable{{Name: standInVar, Value: "1"}, {Name: "GORACE", Value: "atexit_sleep_ms=0"}}}}, nil)
	b.do("load again", chromedp.Reload())
	b.newThread()
	b.chooseAgent("Stand-in")
	b.prompt("work on it")
	b.seeText("timeline", "Under way.")

	b.fill("composer-input", "and mind the sails")
	b.click("steer")
	b.seeText("timeline", "Told on the way: and mind the sails.")
	b.writes("")
	if n := b.count("queued"); n != "0" {
		t.Errorf("%s messages are queued; it was handed to the turn", n)
	}
	b.look("steered")

	b.fill("composer-input", "and the ropes")
	b.hit(kb.Enter, withCtrl)
	b.seeText("timeline", "Told on the way: and the ropes.")

	// Queued first, then sent now: it is told once, and waits no more.
	b.prompt("finish with the anchor")
	b.see("queued")
	b.see("queued-now")
	b.look("queued-steer")
	b.click("queued-now")
	b.gone("queued")
	b.seeText("timeline", "Told on the way: finish with the anchor.")
	b.see("turn-footer")
	b.gone("stop")
	if n := b.eval(`[...document.querySelectorAll('[data-testid="thread-item-user_message"]')].filter(e => e.innerText.includes("the anchor")).length`); n != "1" {
		t.Errorf("the message stands there %s times", n)
	}
	b.clean()
}

// TestLiveOutput reads what a command writes while it still runs.
func TestLiveOutput(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.newThread()
	b.prompt(`run for i in 1 2 3; do echo "line $i"; done; while [ ! -e go-on ]; do sleep 0.05; done; echo "all done"`)
	b.see("approval-command")
	b.click("approve-allow_once")
	b.gone("approval-card")
	b.do("open the command", chromedp.WaitVisible(sel("thread-item-tool_call")))
	if b.count("tool-output") == "0" {
		b.do("unfold it", chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-testid="thread-item-tool_call"] button[aria-expanded="false"], button[data-testid="thread-item-tool_call"][aria-expanded="false"]')?.click()`))
	}
	b.seeText("tool-output", "line 3")
	if text := b.eval(`document.querySelector('[data-testid="tool-output"]').innerText`); text == "" || b.count("stop") == "0" {
		t.Errorf("the command runs no more; its output is %q", text)
	}
	b.look("live-output")
	if err := os.WriteFile(filepath.Join(repo, "go-on"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.see("turn-footer")
	b.until("the end of the output", `[...document.querySelectorAll('[data-testid="tool-output"]')].some(e => e.innerText.includes("all done")) || document.querySelector('[data-testid="steps-group"]')`)
	if b.count("tool-output") == "0" {
		b.click("steps-group")
		b.click("thread-item-tool_call")
	}
	b.seeText("tool-output", "all done")
	b.clean()
}
