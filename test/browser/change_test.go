package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
	"catamaran/test/product"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// W8.2: a switch that fails keeps the dialog with the reason, the remedy and
// what was said last; one that is cancelled leaves no dialog; the app goes on as before.
func TestSwitchThatFails(t *testing.T) {
	t.Parallel()
	hang := wslsim.Fault{ID: "hang", On: wslsim.OnStart, Distro: "Debian", Kind: wslsim.Hang}
	for _, c := range []struct {
		name   string
		faults []wslsim.Fault
		// between happens while the dialog asks.
		between func(m *wsltest.Machine)
		texts   []string
		cancel  bool
	}{
		{name: "start fails", faults: []wslsim.Fault{damaged}, texts: []string{"start wsl:Debian", "virtual disk", "restore the distro", "WSL_E_DISK_CORRUPTED"}},
		{name: "exits before it answers", faults: []wslsim.Fault{
			{ID: "said", On: wslsim.OnLaunch, Distro: "Debian", Kind: wslsim.LinuxNoise, Text: "cannot go on: out of luck"},
			{ID: "exit", On: wslsim.OnLaunch, Distro: "Debian", Kind: wslsim.Output, Text: "bye", Exit: 3},
		}, texts: []string{"start wsl:Debian", "out of luck"}},
		{name: "removed since the list", between: func(m *wsltest.Machine) {
			m.Edit(func(s *wslsim.Scenario) { s.Distros = s.Distros[:1] })
		}, texts: []string{`The distro "Debian" is not installed in WSL.`}},
		{name: "never ready and cancelled", faults: []wslsim.Fault{hang}, cancel: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := wsltest.Scenario(t, wslsim.Scenario{})
			for _, f := range c.faults {
				m.SetFault(f)
			}
			d := startOn(t, m, "")
			b := open(t, d.URL)
			b.state("local", "ready")
			b.addProject(product.GitRepo(t, t.TempDir()))
			b.click("open-settings")
			b.chooseDistro("Debian")
			b.until("the choice shows", fmt.Sprintf(`document.querySelector('%s').value === "Debian"`, css("distro-select")))
			b.click("mode-wsl-only")
			b.see("mode-confirm")
			if c.between != nil {
				c.between(m)
			}
			b.click("mode-confirm")
			if c.cancel {
				b.until("phase, stage and elapsed time", fmt.Sprintf(`(e => e?.dataset.phase === "starting" && /Starting\s+Debian[\s\S]*waking up Debian[\s\S]*[1-9] s elapsed/.test(e.innerText))(document.querySelector('%s'))`, css("mode-progress")))
				b.look("mode-waiting")
				b.click("mode-cancel")
			} else {
				b.see("mode-error")
				b.look("mode-failed-" + strings.ReplaceAll(c.name, " ", "-"))
				for _, text := range append(c.texts, "Copy details") {
					b.seeText("mode-error", text)
				}
				if c.between == nil {
					b.see("mode-rolled-back")
				}
				b.click("mode-dismiss")
			}
			b.changed("local")
			b.newThread()
			b.prompt("list the files here")
			b.see("turn-footer")
			b.clean()
		})
	}
}

// watchWords records every text the page shows that speaks of a lost
// connection, every mode that is shown as chosen, and how long the change took
// from the confirming click until its dialog has closed.
const watchWords = `(() => {
	const w = window.seen = {words: [], modes: [], took: 0, begun: 0};
	const look = () => {
		for (const line of document.body.innerText.split("\n"))
			if (/reconnect|disconnect|can.t be reached|not running\.?$|connection|lost|failed/i.test(line) && !w.words.includes(line)) w.words.push(line);
		const on = document.querySelector('[data-selected="true"]')?.dataset.testid;
		if (on && w.modes.at(-1) !== on) w.modes.push(on);
		if (w.begun && !w.took && !document.querySelector('[data-testid="mode-dialog"]')) w.took = performance.now() - w.begun;
	};
	document.addEventListener("click", (e) => { if (e.target.closest?.('[data-testid="mode-confirm"]')) { w.begun = performance.now(); w.took = 0; } }, true);
	new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["data-selected", "data-state"]});
	look();
	return "";
})()`

// lateAndLost makes backends welcome the page late, and cuts the sockets opened
// from here on when a change begins: the dialog waits for the one, nobody speaks of the other.
const lateAndLost = `(() => {
	const send = WebSocket.prototype.send, real = window.fetch, opened = [];
	WebSocket.prototype.send = function (d) {
		if (!this.url.includes("/e/")) return send.call(this, d);
		if (String(d).includes('"hello"')) {
			opened.push(this);
			this.gate = new Promise((r) => setTimeout(r, 600));
		}
		if (!this.gate) return send.call(this, d);
		// In the order they were sent in.
		this.gate.then(() => this.readyState === 1 && send.call(this, d));
	};
	window.fetch = (u, o) => {
		if (String(u).includes("mode.change")) for (const s of opened.splice(0)) s.close();
		return real(u, o);
	};
	return "";
})()`

type watched struct {
	Words, Modes []string
	Took         float64
}

func (b *tab) watched() watched {
	b.t.Helper()
	var w watched
	if err := json.Unmarshal([]byte(b.eval(`JSON.stringify(window.seen)`)), &w); err != nil {
		b.t.Fatal(err)
	}
	return w
}

// W8.2-W8.4: a change there and back. No word of a lost connection, the choice
// moves once, the dialog closes on the new side's threads and not on a heartbeat.
func TestChangeWithoutAFlash(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	native, linux := product.GitRepo(t, t.TempDir()), product.GitRepo(t, m.Home("Ubuntu"))
	d := startOn(t, m, "")
	b := open(t, d.URL)
	b.state("local", "ready")
	b.addProject(native)
	b.newThread()
	b.prompt("list the files here")
	b.see("turn-footer")
	// Both sides' backends have been staged and have threads, as after the first day.
	b.changeMode("wsl-only")
	b.changed("wsl-only")
	b.addProject(linux)
	b.newThread()
	b.prompt("list the files here")
	b.see("turn-footer")
	b.click("open-settings")
	b.eval(watchWords)
	for i, mode := range []string{"local", "both", "wsl-only", "local", "wsl-only", "local", "both"} {
		if i == 5 {
			b.eval(lateAndLost)
		}
		b.click("mode-" + mode)
		b.click("mode-confirm")
		b.changed(mode)
		// Usable at the very moment the dialog closes.
		for _, id := range map[string][]string{"local": {"local"}, "both": {"local", "wsl:default"}, "wsl-only": {"wsl:default"}}[mode] {
			if n := b.eval(fmt.Sprintf(`document.querySelectorAll('%s %s').length`, css("env-group-"+id), css("add-project"))); n != "1" {
				t.Errorf("%s: the dialog has closed before %s can be used", mode, id)
			}
		}
		w := b.watched()
		t.Logf("change to %s, from the click until the dialog has closed: %.0f ms", mode, w.Took)
		if w.Took > 10_000 {
			t.Errorf("the change to %s stalled: %.0f ms", mode, w.Took)
		}
	}
	b.until("the threads of both sides", fmt.Sprintf(`document.querySelectorAll('%s').length === 2`, css("thread-row")))
	w := b.watched()
	if len(w.Words) > 0 {
		t.Errorf("a deliberate change spoke of: %q", w.Words)
	}
	if got := strings.Join(w.Modes, " "); got != "mode-wsl-only mode-local mode-both mode-wsl-only mode-local mode-wsl-only mode-local mode-both" {
		t.Errorf("the choice moved like this: %s", got)
	}
	b.clean()
}

// W8.3: the desktop has confirmed; then the answer is lost on its way to the
// page, and later the distro is shut down. The choice stays where it is.
func TestChoiceStaysAfterAnError(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	d := startOn(t, m, "")
	b := open(t, d.URL)
	b.state("local", "ready")
	b.click("open-settings")
	b.eval(`(() => { const real = window.fetch; window.fetch = async (u, o) => { const r = await real(u, o); if (String(u).includes("mode.change")) throw new TypeError("the network is gone"); return r; }; return ""; })()`)
	b.eval(watchWords)
	b.click("mode-wsl-only")
	b.click("mode-confirm")
	b.changed("wsl-only")
	m.Edit(func(s *wslsim.Scenario) { s.Distros[0].StartDelayMS = 1500 })
	m.Terminate("Ubuntu")
	b.do("see it boot again", chromedp.WaitVisible(sel("env-stage")))
	b.state("wsl:default", "ready")
	if got := strings.Join(b.watched().Modes, " "); got != "mode-local mode-wsl-only" {
		t.Errorf("the choice moved like this: %s", got)
	}
	b.clean()
}

// lateTopic lets everything the desktop reports on its socket arrive 2 s
// late, and notes which mode is shown half a second after the answer to the change.
const lateTopic = `(() => {
	const d = Object.getOwnPropertyDescriptor(WebSocket.prototype, "onmessage"), real = window.fetch;
	Object.defineProperty(WebSocket.prototype, "onmessage", {...d, set(f) {
		d.set.call(this, f && !this.url.includes("/e/") ? (e) => setTimeout(() => f(e), 2000) : f);
	}});
	window.fetch = async (u, o) => {
		const r = await real(u, o);
		if (String(u).includes("mode.change")) setTimeout(() => (window.soon = document.querySelector('[data-selected="true"]')?.dataset.testid), 500);
		return r;
	};
})()`

// W8.3: the answer is the confirmation. The choice shows it at once, and reports
// from before it that arrive after it do not flip it back.
func TestChoiceShowsAtOnce(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	d := startOn(t, m, "")
	b := open(t, d.URL)
	b.state("local", "ready")
	b.do("let reports come late", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: lateTopic})
		return err
	}))
	b.reload()
	b.click("open-settings")
	b.see("mode-wsl-only")
	b.eval(watchWords)
	b.click("mode-wsl-only")
	b.click("mode-confirm")
	b.changed("wsl-only")
	b.until("the check after the answer", `window.soon !== undefined`)
	if got := b.eval(`window.soon`); got != "mode-wsl-only" {
		t.Errorf("after the answer the choice shows %s", got)
	}
	b.state("wsl:default", "ready")
	if got := strings.Join(b.watched().Modes, " "); got != "mode-local mode-wsl-only" {
		t.Errorf("the choice moved like this: %s", got)
	}
	b.clean()
}

// tabTo presses Tab (or what keys names) until the element has the focus.
func (b *tab) tabTo(id string) {
	b.t.Helper()
	for range 60 {
		if b.eval(fmt.Sprintf(`!!document.activeElement?.closest?.('%s')`, css(id))) == "true" {
			return
		}
		b.do("press Tab", chromedp.KeyEvent("\t"))
	}
	b.t.Fatalf("60 times Tab did not reach %s; the focus is on %s", id, b.eval(`document.activeElement?.outerHTML.slice(0, 200)`))
}

func (b *tab) press(keys string) {
	b.t.Helper()
	b.do("press keys", chromedp.KeyEvent(keys))
}

const arrowRight = "\u0303"

// W8.8: the whole change with keys alone; what is focused can be seen, dialogs
// keep the focus and give it back.
func TestChangeByKeyboard(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{Distros: []wslsim.Distro{{Name: "Ubuntu", StartDelayMS: 1200}}, Default: "Ubuntu"})
	d := startOn(t, m, "")
	b := open(t, d.URL)
	b.state("local", "ready")
	b.tabTo("open-settings")
	b.press("\r")
	b.see("distro-select")
	b.tabTo("mode-local")
	b.press(arrowRight)
	b.press(arrowRight)
	if b.count("mode-dialog") != "0" {
		t.Fatal("an arrow key opened the dialog on its way past")
	}
	if b.eval(fmt.Sprintf(`!!document.activeElement.closest('%s') && getComputedStyle(document.activeElement.closest('%s')).outlineStyle`, css("mode-wsl-only"), css("mode-wsl-only"))) != "solid" {
		t.Error("the focused mode cannot be seen")
	}
	b.press(" ")
	b.see("mode-dialog")
	b.press("\x1b")
	b.gone("mode-dialog")
	if b.eval(fmt.Sprintf(`!!document.activeElement?.closest('%s')`, css("mode-wsl-only"))) != "true" {
		t.Error("the dialog did not give the focus back")
	}
	b.press("\r")
	b.see("mode-dialog")
	b.tabTo("mode-confirm")
	b.press("\r")
	b.see("mode-progress")
	b.tabTo("mode-cancel")
	b.press("\r")
	b.changed("local")
	b.tabTo("mode-local")
	b.press(arrowRight)
	b.press(arrowRight)
	b.press(" ")
	b.tabTo("mode-confirm")
	b.press("\r")
	b.changed("wsl-only")
	b.clean()
}

// W8.8: axe-core finds nothing, in light and dark, on the main screens and in
// every state of a mode change.
func TestAccessibility(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	m.SetFault(wslsim.Fault{ID: "hang", On: wslsim.OnStart, Distro: "Debian", Kind: wslsim.Hang})
	m.SetFault(wslsim.Fault{ID: "disk", On: wslsim.OnStart, Distro: "Ubuntu", Kind: wslsim.Fail, Text: damaged.Text, Code: damaged.Code})
	d := startOn(t, m, homeWith(t, `{"mode":"local","distro":"Debian"}`))
	b := open(t, d.URL)
	b.state("local", "ready")
	check := b.accessible
	check("first project")
	b.addProject(product.GitRepo(t, t.TempDir()))
	check("new thread")
	b.newThread()
	b.prompt("list the files here")
	b.see("turn-footer")
	check("thread")
	b.click("open-settings")
	b.see("env-memory")
	check("settings")
	b.click("mode-wsl-only")
	b.see("mode-confirm")
	check("dialog, asking")
	b.click("mode-confirm")
	b.seeText("mode-progress", "waking up Debian")
	check("dialog, waiting")
	b.click("mode-cancel")
	b.changed("local")
	b.chooseDistro("")
	b.until("the choice shows", fmt.Sprintf(`document.querySelector('%s').value === ""`, css("distro-select")))
	b.click("mode-both")
	b.click("mode-confirm")
	b.see("mode-error")
	check("dialog, failed")
	b.clean()
}

// A change that is cancelled while the distro is still looked up never began: the dialog closes all the same.
func TestCancelBeforeItBegins(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	d := startOn(t, m, "")
	b := open(t, d.URL)
	b.state("local", "ready")
	b.click("open-settings")
	b.see("distro-select")
	m.SetFault(wslsim.Fault{ID: "slow", On: wslsim.OnList, Kind: wslsim.Delay, DelayMS: 4000})
	b.click("mode-wsl-only")
	b.click("mode-confirm")
	b.see("mode-progress")
	b.click("mode-cancel")
	b.changed("local")
	m.ClearFault("slow")
	b.changeMode("wsl-only")
	b.changed("wsl-only")
	b.clean()
}
