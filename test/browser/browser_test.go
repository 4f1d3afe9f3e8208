// Package browser drives the whole product in Debian's Chromium as a person
// would: real desktop, real backend, real agent, native and inside a simulated
// WSL distro. It finds things by data-testid only.
package browser

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	stdruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"catamaran/test/chromium"
	"catamaran/test/product"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

func TestMain(m *testing.M) {
	maybeStandIn()
	// A test here waits for a browser, a desktop and a distro most of the time:
	// twice as many at once as there are processors halve the whole.
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if !asked {
		if err := flag.Set("test.parallel", strconv.Itoa(2*stdruntime.GOMAXPROCS(0))); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	product.Clean()
	os.Exit(code)
}

// wait is how long a step of a test may take before it fails.
const wait = 20 * time.Second

// tab is one browser tab with the page open.
type tab struct {
	t   *testing.T
	ctx context.Context
	// problems are console errors and uncaught exceptions.
	mu       sync.Mutex
	problems []string
	// requests are the addresses the page asked for, WebSockets included; refused those that were answered 401.
	requests, refused []string
}

// open starts a browser with a profile of its own and loads the address.
func open(t *testing.T, address string) *tab {
	t.Helper()
	program, err := chromium.Path()
	if err != nil {
		t.Fatal(err)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Headless, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("no-proxy-server", true),
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1440, 900),
		// Terminals are drawn as text then, which can be read.
		chromedp.Flag("disable-3d-apis", true),
	)
	alloc, cancelAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(alloc)
	tb := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		if t.Failed() {
			tb.onFailure()
		}
		// Cancel waits for the browser, so that its profile can be removed.
		_ = chromedp.Cancel(ctx)
		cancel()
		cancelAlloc()
	})
	// The first run has no deadline of its own: it would end the browser.
	if err := chromedp.Listen(ctx, func(ev any) {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			tb.problems = append(tb.problems, e.ExceptionDetails.Text+fmt.Sprintf(" %+v", e.ExceptionDetails.Exception))
		case *network.EventRequestWillBeSent:
			tb.requests = append(tb.requests, e.Request.URL)
		case *network.EventWebSocketCreated:
			tb.requests = append(tb.requests, e.URL)
		case *network.EventResponseReceived:
			if e.Response.Status == 401 {
				tb.refused = append(tb.refused, e.Response.URL)
			}
		case *network.EventWebSocketHandshakeResponseReceived:
			if e.Response.Status == 401 {
				tb.refused = append(tb.refused, "a WebSocket")
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	tb.do("open the page", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.Enable, network.EnableParams{})
		return err
	}), chromedp.Navigate(address))
	return tb
}

func (b *tab) onFailure() {
	dir := os.Getenv("CATAMARAN_SCREENSHOTS")
	if dir == "" {
		dir = os.TempDir()
	}
	path := fmt.Sprintf("%s/failed-%s.png", dir, strings.ReplaceAll(b.t.Name(), "/", "-"))
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	png, _ := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	_ = os.WriteFile(path, png, 0o644)
	b.t.Logf("the page at the failure (picture in %s):\n%s", path, text)
	for _, p := range b.problems {
		b.t.Logf("problem in the page: %s", p)
	}
}

// do runs actions within the step's bound.
func (b *tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, wait)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("not within %v", wait)
		}
		b.t.Fatalf("%s: %v", what, err)
	}
}

func css(id string) string { return fmt.Sprintf(`[data-testid=%q]`, id) }

func sel(id string) chromedp.CSS { return chromedp.CSS(css(id)) }

// click clicks where the element stands once it has stopped moving.
func (b *tab) click(id string) {
	b.t.Helper()
	b.clickCSS(css(id))
}

// clickCSS clicks the first element that a selector finds.
func (b *tab) clickCSS(selector string) {
	b.t.Helper()
	still := fmt.Sprintf(`new Promise(done => {
		let last = "";
		document.querySelector(%[1]q)?.scrollIntoView({ block: "nearest" });
		const look = () => {
			const r = document.querySelector(%[1]q)?.getBoundingClientRect();
			const now = r ? [r.x, r.y, r.width, r.height].join() : "";
			if (now && now === last) return done();
			last = now;
			requestAnimationFrame(() => requestAnimationFrame(look));
		};
		look();
	})`, selector)
	at := chromedp.CSS(selector)
	b.do("click "+selector, chromedp.WaitVisible(at), chromedp.WaitEnabled(at),
		chromedp.Evaluate[chromedp.Void](still, chromedp.EvalAwaitPromise), chromedp.Click(at))
}

// fill replaces the text of an input as a person would: focus, then keys.
func (b *tab) fill(id, text string) {
	b.t.Helper()
	b.do("fill "+id, chromedp.WaitVisible(sel(id)),
		chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.focus(); e.select?.(); })()`, css(id))),
		chromedp.KeyEvent(text))
}

func (b *tab) see(id string) {
	b.t.Helper()
	b.do("see "+id, chromedp.WaitVisible(sel(id)))
}

func (b *tab) gone(id string) {
	b.t.Helper()
	b.do("see "+id+" go", chromedp.WaitNotPresent(sel(id)))
}

// seeText waits until the element (or, with id "", the page) contains text.
func (b *tab) seeText(id, text string) {
	b.t.Helper()
	root := "document.body"
	if id != "" {
		root = fmt.Sprintf("document.querySelector(%q)", css(id))
	}
	b.do(fmt.Sprintf("read %q in %s", text, id),
		chromedp.Poll[chromedp.Void](fmt.Sprintf(`(%s?.innerText ?? "").includes(%q)`, root, text), chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(wait)))
}

// eval returns the value of a JavaScript expression as text.
func (b *tab) eval(expr string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, wait)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](`String(`+expr+`)`))
	if err != nil {
		b.t.Fatalf("evaluate %s: %v", expr, err)
	}
	return s
}

func (b *tab) count(id string) string {
	return b.eval(fmt.Sprintf(`document.querySelectorAll(%q).length`, css(id)))
}

// until waits until a JavaScript expression is true.
func (b *tab) until(what, expr string) {
	b.t.Helper()
	b.do(what, chromedp.Poll[chromedp.Void](expr, chromedp.WithPollingInterval(30*time.Millisecond), chromedp.WithPollingTimeout(wait)))
}

// asked counts the requests to environments' backends whose address contains part.
func (b *tab) asked(part string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, r := range b.requests {
		if u, err := url.PathUnescape(r); err == nil && strings.Contains(u, part) {
			n++
		}
	}
	return n
}

// clean fails the test when the page threw anything, or saw a backend's 401 (W7.2).
func (b *tab) clean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.t.Errorf("the page threw: %s", p)
	}
	for _, u := range b.refused {
		b.t.Errorf("the page was answered 401 at %s", u)
	}
}

// look saves a picture in both themes and both sizes when pictures are asked for.
func (b *tab) look(name string) {
	b.t.Helper()
	dir := os.Getenv("CATAMARAN_SCREENSHOTS")
	if dir == "" {
		return
	}
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1440, 480} {
			b.do("prepare a picture of "+name, media(theme), chromedp.EmulateViewport(width, 900),
				settled())
			ctx, cancel := context.WithTimeout(b.ctx, wait)
			png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			cancel()
			if err == nil {
				err = os.WriteFile(fmt.Sprintf("%s/%s-%s-%d.png", dir, name, theme, width), png, 0o644)
			}
			if err != nil {
				b.t.Fatal(err)
			}
		}
	}
	b.do("go back to the usual size", media(""), chromedp.EmulateViewport(1440, 900), settled())
}

// settled waits until the page has been laid out and drawn, so that a click meets what it was aimed at.
func settled() chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](`new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(r, 60))))`, chromedp.EvalAwaitPromise)
}

// media sets the colour scheme ("" is the browser's own).
func media(theme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		p := emulation.SetEmulatedMediaParams{}
		if theme != "" {
			p.Features = []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}
		}
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, p)
		return err
	})
}
