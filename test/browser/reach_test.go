package browser

import (
	"bytes"
	"context"
	"fmt"
	"image/color"
	"image/png"
	"os"
	"strings"
	"testing"

	"catamaran/test/product"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// unreachable names what a person could not get at: what makes the window scroll
// sideways, and controls that stay covered or outside after they were scrolled to.
const unreachable = `(() => {
	const problems = [];
	const root = document.scrollingElement;
	if (root.scrollWidth > innerWidth) problems.push("the page is " + root.scrollWidth + " wide");
	for (const e of document.querySelectorAll("main, [data-testid=timeline], [data-testid=settings], dialog[open], .scroll"))
		if (e.scrollWidth > e.clientWidth + 1 && !["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(e).overflowX)) problems.push(e.tagName + "." + e.className + " is wider than its place");
	const open = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document;
	for (const e of open.querySelectorAll("button, input, select, textarea, a[href], summary")) {
		if (!e.checkVisibility({opacityProperty: true, visibilityProperty: true}) || e.closest("[inert]")) continue;
		// What appears with the pointer or the focus is not in the way of anything.
		let faded = false;
		for (let p = e; p; p = p.parentElement) faded ||= getComputedStyle(p).opacity === "0";
		if (faded) continue;
		e.scrollIntoView({block: "center", inline: "nearest"});
		const r = e.getClientRects()[0];
		if (!r || r.width < 2 || r.height < 2) continue;
		const x = r.x + r.width / 2, y = r.y + r.height / 2, name = e.dataset.testid ?? e.ariaLabel ?? e.innerText.slice(0, 30);
		if (x < 0 || x > innerWidth || y < 0 || y > innerHeight) { problems.push(name + " stays outside at " + Math.round(x) + "," + Math.round(y)); continue; }
		const hit = document.elementFromPoint(x, y);
		if (!hit || !(e.contains(hit) || hit.contains(e) || hit.closest("label")?.contains(e))) problems.push(name + " is covered by " + (hit?.className || hit?.tagName));
	}
	return problems.join("; ");
})()`

// reaches fails where something cannot be reached in the window as it is now.
func (b *tab) reaches(where string) {
	b.t.Helper()
	b.do("settle", settled())
	if problems := b.eval(unreachable); problems != "" {
		b.t.Errorf("%s: %s", where, problems)
	}
	b.keep(where)
}

// keep saves a picture of the window as it is, when pictures are asked for.
func (b *tab) keep(name string) {
	b.t.Helper()
	dir := os.Getenv("CATAMARAN_SCREENSHOTS")
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, wait)
	defer cancel()
	shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(fmt.Sprintf("%s/%s.png", dir, strings.NewReplacer(" ", "-", ",", "", "%", "").Replace(name)), shot, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// TestSmallWindows goes through the screens at 200 % of 1440 by 900, and at 400 pixels:
// nothing scrolls sideways, and every control can be reached.
func TestSmallWindows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		width, height int64
		scale         float64
	}{{"at 200 %", 720, 450, 2}, {"at 400 pixels", 400, 800, 1}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			repo := product.GitRepo(t, t.TempDir())
			d := product.StartDesktop(t, product.Options{})
			b := open(t, d.URL)
			b.do("make the window small", chromedp.EmulateViewport(c.width, c.height, chromedp.EmulateScale(c.scale)))
			b.see("add-first-project")
			// What is hidden is found: something over a button.
			b.do("spoil it", chromedp.Evaluate[chromedp.Void](`document.body.insertAdjacentHTML("beforeend", '<div id="spoilt" style="position: fixed; inset: 0; z-index: 99">')`))
			if problems := b.eval(unreachable); !strings.Contains(problems, "add-first-project is covered by") {
				t.Fatalf("a covered button is not seen: %q", problems)
			}
			b.do("mend it", chromedp.Evaluate[chromedp.Void](`document.querySelector("#spoilt").remove()`))
			b.reaches("welcome " + c.name)
			b.click("add-first-project")
			b.see("project-path")
			b.reaches("add a project " + c.name)
			b.fill("project-path", repo)
			b.click("project-add")
			b.see("composer-input")
			b.reaches("new thread " + c.name)
			b.prompt("try everything")
			b.see("approval-command")
			b.reaches("approval " + c.name)
			b.click("approve-allow_once")
			b.see("approval-edits")
			b.reaches("edit approval " + c.name)
			b.click("approve-allow_once")
			b.see("changes-card")
			b.see("turn-footer")
			b.reaches("thread " + c.name)
			b.click("open-diff")
			b.seeText("diff-view", "catamaran-demo.md")
			b.reaches("diff " + c.name)
			b.click("panel-close")
			b.gone("diff-view")
			b.hit("k", withCtrl)
			b.see("palette-input")
			b.reaches("palette " + c.name)
			b.hit("\x1b")
			b.gone("palette")
			for _, s := range []string{"general", "appearance", "environments", "agents", "keys", "git", "terminal", "archive", "diagnostics", "about"} {
				b.visit("/settings/" + s)
				b.see("settings")
				b.until("see "+s, fmt.Sprintf(`document.querySelector('[data-section=%q]') !== null`, s))
				b.reaches("settings " + s + " " + c.name)
			}
			b.clean()
		})
	}
}

// features sets what the system says of how a person wants it.
func features(list ...*emulation.MediaFeature) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: list})
		return err
	})
}

// colours counts the colours that an element is drawn in, its edge left out.
func (b *tab) colours(js string) int {
	b.t.Helper()
	var x, y, w, h float64
	if _, err := fmt.Sscanf(b.eval(fmt.Sprintf(`(() => { const r = (%s).getBoundingClientRect(); return [r.x, r.y, r.width, r.height].join(" "); })()`, js)), "%g %g %g %g", &x, &y, &w, &h); err != nil {
		b.t.Fatalf("where %s stands: %v", js, err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, wait)
	defer cancel()
	shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	m, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		b.t.Fatal(err)
	}
	seen := map[color.Color]bool{}
	for py := int(y - 2); py < int(y+h+2); py++ {
		for px := int(x - 2); px < int(x+w+2); px++ {
			seen[m.At(px, py)] = true
		}
	}
	return len(seen)
}

// TestForcedColours looks at what says something by a ground alone: with the
// system's own colours such a ground is gone, and something must stand in for it.
func TestForcedColours(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.newThread()
	b.demoTurn()
	b.do("force the system's colours", features(&emulation.MediaFeature{Name: "forced-colors", Value: "active"}), settled())
	if b.eval(`matchMedia("(forced-colors: active)").matches`) != "true" {
		t.Fatal("the browser forces no colours")
	}
	b.keep("forced thread")
	drawn := func(what, js string) {
		t.Helper()
		b.until("see "+what, "!!("+js+")")
		if b.colours(js) < 2 {
			t.Errorf("%s cannot be seen", what)
		}
	}
	drawn("the environment's dot", `document.querySelector('[data-testid="env-group-local"] .dot .dot')`)
	outlined := func(what, js string) {
		t.Helper()
		if s := b.eval(fmt.Sprintf(`(() => { const s = getComputedStyle(%s); return (parseFloat(s.outlineWidth) > 0 && s.outlineStyle !== "none") || parseFloat(s.borderTopWidth) > 0; })()`, js)); s != "true" {
			t.Errorf("%s has no line around it", what)
		}
	}
	outlined("the open thread in the sidebar", `document.querySelector('[data-testid="thread-row"][aria-current="page"]')`)
	outlined("the composer", `document.querySelector('[data-testid="composer"]')`)
	outlined("the button that sends", `document.querySelector('[data-testid="send"]')`)
	b.do("write", chromedp.Focus(sel("composer-input")))
	b.hit("x")
	b.hit("\t")
	b.until("the focus to show", `(() => { const s = getComputedStyle(document.activeElement); return document.activeElement.matches(":focus-visible") && s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2; })()`)
	b.click("permission-select")
	b.see("permission-select-full")
	b.keep("forced menu")
	outlined("the choice under the keys", `document.querySelector('.option.at')`)
	b.hit("\x1b")
	b.click("open-diff")
	b.seeText("diff-view", "catamaran-demo.md")
	b.keep("forced diff")
	b.click("panel-close")
	b.visit("/settings/general")
	b.see("settings")
	b.keep("forced settings")
	outlined("the chosen section", `document.querySelector('[data-testid="settings-general"][aria-current="page"]')`)
	drawn("a switch", `document.querySelector('[role="switch"]')`)
	drawn("a switch's knob", `document.querySelector('[role="switch"] span')`)
	b.visit("/settings/appearance")
	b.see("setting-theme")
	b.keep("forced appearance")
	outlined("the chosen theme", `document.querySelector('[data-testid="setting-theme"] .on')`)
	b.clean()
}

// TestReducedMotion: where the system or the person wants it still, nothing moves.
func TestReducedMotion(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.newThread()
	b.prompt("stream 60")
	b.see("turn-working")
	const moving = `document.getAnimations().some(a => a.playState === "running" && a.effect.getComputedTiming().activeDuration > 1)`
	b.until("something to move", moving)
	b.do("ask for less motion", features(&emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"}))
	b.until("all of it to stand", "!"+moving)
	b.seeText("turn-working", "Working")
	b.do("take it back", features())
	b.until("something to move again", moving)
	b.visit("/settings/appearance")
	b.click("motion-reduced")
	b.click("thread-row")
	b.see("turn-working")
	b.until("all of it to stand by the setting", "!"+moving)
	b.click("stop")
	b.gone("turn-working")
	b.clean()
}
