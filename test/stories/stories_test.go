// Package stories looks at every story of the page: the page with canned
// answers, in every state it has. A picture of each, in light and dark, is
// compared with the committed one; axe-core must find nothing; and at 400 pixels
// nothing may be wider than the window.
//
// Pictures are compared small and in few colours, so that the smoothing of
// letters, which differs between machines, does not count; the fonts are those
// of Debian's fonts-liberation. `go test ./test/stories -update` takes new ones.
package stories

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"catamaran/test/chromium"
	"catamaran/test/product"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "take new pictures in the place of the committed ones")

const (
	// A story that does not stand after this is broken; machines may be slow.
	wait = 40 * time.Second
	// Pictures are this much smaller than the window.
	shrink        = 5
	width, height = 1440, 900
	// A pixel of the small picture differs from this much on, of 255, and this share of them may.
	differs = 28
	share   = 0.012
)

// need skips where something is missing, and fails where the project's own commands install it.
func need(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("%s: %v", what, err)
}

// build makes the stories into a folder of this test.
func build(t *testing.T) string {
	t.Helper()
	web := filepath.Join(product.Root(), "web")
	_, err := os.Stat(filepath.Join(web, "node_modules", "vite"))
	need(t, "the page's packages are missing, `make web` installs them", err)
	out := t.TempDir()
	cmd := exec.Command("npx", "--no-install", "vite", "build", "--config", "vite.stories.config.ts", "--outDir", out, "--logLevel", "error")
	cmd.Dir = web
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the stories: %v\n%s", err, b)
	}
	return out
}

func TestStories(t *testing.T) {
	t.Parallel()
	program, err := chromium.Path()
	need(t, "no browser", err)
	_, err = os.Stat("/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf")
	need(t, "fonts-liberation is missing, `go run ./tools/check -only tools` installs it", err)
	axe, err := os.ReadFile(filepath.Join(product.Root(), "web", "node_modules", "axe-core", "axe.min.js"))
	need(t, "axe-core is missing, `make web` installs it", err)
	dir := build(t)
	files := http.FileServer(http.Dir(dir))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The page's own addresses are all the one page.
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(r.URL.Path))); err != nil {
			r.URL.Path = "/"
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	alloc, end := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Headless,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("hide-scrollbars", true), chromedp.Flag("force-device-scale-factor", "1"), chromedp.Flag("font-render-hinting", "none"), chromedp.Flag("disable-lcd-text", true),
		chromedp.UserDataDir(t.TempDir()))...)
	t.Cleanup(end)
	first, endFirst := chromedp.NewContext(alloc)
	// Deferred calls come after the parallel subtests' own: the browser ends last.
	t.Cleanup(func() { _ = chromedp.Cancel(first); endFirst() })
	var names []string
	if err := chromedp.Do(first, chromedp.Navigate(srv.URL), chromedp.Poll[chromedp.Void](`!!window.stories`, chromedp.WithPollingTimeout(wait))); err != nil {
		t.Fatal(err)
	}
	text, err := chromedp.Run(first, chromedp.Evaluate[string](`JSON.stringify(window.stories)`))
	if err == nil {
		err = json.Unmarshal([]byte(text), &names)
	}
	if err != nil || len(names) < 30 {
		t.Fatalf("%d stories, %v", len(names), err)
	}

	// A few tabs at once; each story is a test of its own.
	tabs := make(chan *tab, 3)
	for range cap(tabs) {
		ctx, cancel := chromedp.NewContext(first)
		t.Cleanup(cancel)
		// The first run has no deadline of its own: it would end the tab.
		if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
			t.Fatal(err)
		}
		tb := &tab{ctx: ctx, origin: srv.URL, axe: string(axe)}
		if err := chromedp.Listen(ctx, func(ev any) {
			if e, ok := ev.(*runtime.EventExceptionThrown); ok {
				tb.mu.Lock()
				defer tb.mu.Unlock()
				tb.thrown = append(tb.thrown, e.ExceptionDetails.Text+fmt.Sprintf(" %+v", e.ExceptionDetails.Exception))
			}
		}); err != nil {
			t.Fatal(err)
		}
		tabs <- tb
	}
	var seen sync.Map
	t.Run("all", func(t *testing.T) {
		for _, name := range names {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				tb := <-tabs
				defer func() { tabs <- tb }()
				tb.story(t, name, &seen)
			})
		}
	})
	// A picture whose story is gone must go too; that can be told when every story was looked at.
	if flag.Lookup("test.run").Value.String() != "" {
		return
	}
	if committed, err := filepath.Glob(filepath.Join("testdata", "*.png")); err == nil {
		for _, f := range committed {
			if _, ok := seen.Load(filepath.Base(f)); ok {
				continue
			}
			if *update {
				_ = os.Remove(f)
			} else {
				t.Errorf("%s belongs to no story; run with -update", f)
			}
		}
	}
}

type tab struct {
	ctx         context.Context
	origin, axe string

	mu     sync.Mutex
	thrown []string // exceptions of the page since the story was opened
}

// shows is what a state of a thread and its composer must have in view.
var shows = map[string]string{
	"done": "turn-footer", "done-open": "thread-item-tool_call", "running": "turn-working", "running-text": "steer", "ended": "turn-reason", "rich": "code-block",
	"steps": "thread-item-plan", "steps-open": "tool-output", "approval": "approval-card", "edit-approval": "approval-edits", "question": "question-option",
	"questions": "question-part", "plan": "approval-card", "pictures": "image", "sign-in": "turn-reason", "controls": "context-meter", "models": "model-list",
	"mention": "suggestion", "slash": "suggestion", "new-thread": "composer-input",
}

// story opens it once: in light, then in dark, then narrow.
func (b *tab) story(t *testing.T, name string, seen *sync.Map) {
	b.open(t, name)
	if id := shows[name]; id != "" {
		b.until(t, id+" to be in view", fmt.Sprintf(`!!document.querySelector('[data-testid=%q]')?.getClientRects().length`, id))
	}
	if name == "rich" {
		b.until(t, "the code to be coloured", `document.querySelectorAll('[data-testid="code-block"] .k1').length > 10`)
		if got, err := b.text(`getComputedStyle(document.querySelector('.prose td:nth-child(2)')).textAlign`); err != nil || !strings.HasSuffix(got, "right") {
			t.Errorf("a column that is aligned to the right is aligned to the %q, %v", got, err)
		}
	}
	for _, theme := range []string{"light", "dark"} {
		if theme == "dark" {
			b.await(t, `window.storyTheme("dark")`)
			// Only colours are different now.
			b.accessible(t, theme, `, runOnly: ["color-contrast"]`)
		} else {
			b.accessible(t, theme, "")
		}
		if strings.HasPrefix(name, "terminal-") {
			continue // the emulator draws in its own time, so that two pictures are never quite the same
		}
		file := name + "-" + theme + ".png"
		seen.Store(file, true)
		got := b.picture(t)
		// On a slow machine something may still be coming: it gets a few moments more.
		for range 5 {
			if *update || matches(file, got) {
				break
			}
			b.await(t, `window.storyRests(600)`)
			got = b.picture(t)
		}
		compare(t, file, got)
	}
	// Colours were looked at above.
	b.size(t, 400, 800)
	b.await(t, `window.storyRests(120)`)
	b.accessible(t, "400 pixels wide", "", "color-contrast")
	wider, err := b.text(`[...document.querySelectorAll("body, main, .page, .column, dialog[open], [data-testid=composer], [data-testid=approval-card], [data-testid=question-card]")].filter(e => (e.scrollWidth > e.clientWidth + 1 && !["auto", "scroll"].includes(getComputedStyle(e).overflowX)) || (e.matches(".column *, [data-testid]") && e.getBoundingClientRect().right > innerWidth + 1)).map(e => e.tagName + "." + e.className + " " + e.scrollWidth).join(", ")`)
	if err != nil || wider != "" {
		t.Errorf("at 400 pixels something is wider than its place: %s %v", wider, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.thrown {
		t.Error("the page threw: ", e)
	}
	b.thrown = nil
}

func (b *tab) until(t *testing.T, what, expr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, wait)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Poll[chromedp.Void](expr, chromedp.WithPollingInterval(30*time.Millisecond), chromedp.WithPollingTimeout(wait))); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func (b *tab) await(t *testing.T, expr string) {
	t.Helper()
	if _, err := b.text(expr + `.then(() => "")`); err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
}

func (b *tab) size(t *testing.T, w, h int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, wait)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(w, h)); err != nil {
		t.Fatal(err)
	}
}

// open shows a story and waits until it stands.
func (b *tab) open(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, wait)
	defer cancel()
	err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if _, err := cdp.Call(ctx, t, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "UTC"}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, t, emulation.SetLocaleOverride, emulation.SetLocaleOverrideParams{Locale: "en-GB"})
		if err != nil && strings.Contains(err.Error(), "already") {
			err = nil
		}
		return err
	}), chromedp.Navigate(fmt.Sprintf("%s/?story=%s&theme=light&still", b.origin, name)),
		chromedp.Poll[chromedp.Void](`window.storyReady === true`, chromedp.WithPollingInterval(30*time.Millisecond), chromedp.WithPollingTimeout(wait)))
	if err != nil {
		shown, _ := b.text(`document.readyState + ": " + document.body.innerText.slice(-400)`)
		t.Fatalf("%s does not stand: %v; the page says %q", name, err, shown)
	}
}

func (b *tab) text(expr string) (string, error) {
	ctx, cancel := context.WithTimeout(b.ctx, wait)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[string](expr, chromedp.EvalAwaitPromise))
}

// accessible runs axe-core without the rules in off.
func (b *tab) accessible(t *testing.T, what, more string, off ...string) {
	t.Helper()
	if _, err := b.text(`(() => { if (!window.axe) { ` + b.axe + ` } return ""; })()`); err != nil {
		t.Fatal(err)
	}
	// What an agent writes begins with the heading it likes; the order is not the page's.
	rules := ""
	for _, r := range append(off, "heading-order") {
		rules += fmt.Sprintf("%q: {enabled: false}, ", r)
	}
	found, err := b.text(`axe.run(document, {resultTypes: ["violations"], rules: {` + rules + `}` + more + `}).then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary)).join("\n"))`)
	if err != nil {
		t.Fatal(err)
	}
	if found != "" {
		t.Errorf("%s: %s", what, found)
	}
}

// picture is the window, small and in few colours.
func (b *tab) picture(t *testing.T) *image.Paletted {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, wait)
	defer cancel()
	raw, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	big, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return small(big)
}

// palette has six steps of each colour, and the greys between them that the page is made of.
var palette = func() color.Palette {
	var p color.Palette
	for r := range 6 {
		for g := range 6 {
			for b := range 6 {
				p = append(p, color.RGBA{uint8(r * 51), uint8(g * 51), uint8(b * 51), 255})
			}
		}
	}
	for i := range 40 {
		v := uint8(i * 255 / 39)
		p = append(p, color.RGBA{v, v, v, 255})
	}
	return p
}()

// small averages squares of the picture.
func small(big image.Image) *image.Paletted {
	r := big.Bounds()
	out := image.NewPaletted(image.Rect(0, 0, r.Dx()/shrink, r.Dy()/shrink), palette)
	index := map[color.RGBA]uint8{}
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			var sum [3]uint32
			for dy := range shrink {
				for dx := range shrink {
					cr, cg, cb, _ := big.At(r.Min.X+x*shrink+dx, r.Min.Y+y*shrink+dy).RGBA()
					sum[0], sum[1], sum[2] = sum[0]+cr>>8, sum[1]+cg>>8, sum[2]+cb>>8
				}
			}
			const n = shrink * shrink
			c := color.RGBA{uint8(sum[0] / n), uint8(sum[1] / n), uint8(sum[2] / n), 255}
			i, ok := index[c]
			if !ok {
				i = uint8(palette.Index(c))
				index[c] = i
			}
			out.SetColorIndex(x, y, i)
		}
	}
	return out
}

// compare holds a picture to the committed one; the new one is left beside the failure.
func compare(t *testing.T, file string, got *image.Paletted) {
	t.Helper()
	path := filepath.Join("testdata", file)
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, got); err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile(path)
	if err == nil {
		want, derr := png.Decode(bytes.NewReader(committed))
		if derr != nil {
			t.Fatal(derr)
		}
		part := difference(got, want)
		if part <= share {
			return
		}
		if !*update {
			kept := filepath.Join(os.TempDir(), "story-"+file)
			_ = os.WriteFile(kept, b.Bytes(), 0o644)
			t.Errorf("%s: %.1f %% of the picture differ from the committed one (the new one is %s); look at both, then run with -update", file, part*100, kept)
			return
		}
	} else if !*update {
		t.Errorf("%s: no picture is committed; run with -update and look at it", file)
		return
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// matches tells whether the committed picture is the same within the tolerance.
func matches(file string, got *image.Paletted) bool {
	committed, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		return false
	}
	want, err := png.Decode(bytes.NewReader(committed))
	return err == nil && difference(got, want) <= share
}

// difference is the share of pixels that are another colour, 1 for another size.
func difference(a, b image.Image) float64 {
	if a.Bounds().Size() != b.Bounds().Size() {
		return 1
	}
	n, all := 0, a.Bounds().Dx()*a.Bounds().Dy()
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			ar, ag, ab, _ := a.At(x, y).RGBA()
			br, bg, bb, _ := b.At(x, y).RGBA()
			if max(apart(ar, br), apart(ag, bg), apart(ab, bb)) > differs {
				n++
			}
		}
	}
	return float64(n) / float64(all)
}

func apart(a, b uint32) uint32 { return max(a, b)>>8 - min(a, b)>>8 }

// TestDifference shows that a moved box fails and that noise does not.
func TestDifference(t *testing.T) {
	t.Parallel()
	draw := func(x0 int, noise uint8) image.Image {
		m := image.NewRGBA(image.Rect(0, 0, 400, 400))
		for y := range 400 {
			for x := range 400 {
				v := uint8(240) + noise*uint8((x+y)%2)
				if x >= x0 && x < x0+100 && y >= 100 && y < 200 {
					v = 40
				}
				m.Set(x, y, color.RGBA{v, v, v, 255})
			}
		}
		return small(m)
	}
	base := draw(100, 0)
	if d := difference(draw(100, 8), base); d > share {
		t.Errorf("noise differs by %v", d)
	}
	if d := difference(draw(130, 0), base); d <= share {
		t.Errorf("a box that moved by 30 pixels differs by %v", d)
	}
	if d := difference(base, base); d != 0 {
		t.Errorf("a picture differs from itself by %v", d)
	}
}
