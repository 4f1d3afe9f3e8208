package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/test/product"

	"github.com/chromedp/chromedp"
)

// serveStories builds the stories and serves them; the address ends in a slash.
func serveStories(t *testing.T) string {
	t.Helper()
	web, out := filepath.Join(product.Root(), "web"), t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	vite := filepath.Join(web, "node_modules", ".bin", "vite")
	if _, err := os.Stat(vite); err != nil {
		t.Fatal("vite is missing; `npm ci` in web installs it: ", err)
	}
	cmd := exec.CommandContext(ctx, vite, "build", "--config", "vite.stories.config.ts", "--outDir", out, "--logLevel", "error")
	cmd.Dir = web
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the stories: %v\n%s", err, b)
	}
	files := http.FileServer(http.Dir(out))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The page has addresses of its own.
		if r.URL.Path != "/" && !strings.HasPrefix(r.URL.Path, "/assets/") {
			r.URL.Path = "/"
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/"
}

// TestThreadStories opens every state of a thread and its composer: nothing is
// thrown, axe-core finds nothing, and nothing is wider than a narrow window.
func TestThreadStories(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(filepath.Join(product.Root(), "web", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal("axe-core is missing; `npm ci` in web installs it: ", err)
	}
	address := serveStories(t)
	b := open(t, address+"?story=done")
	for story, sees := range map[string]string{
		"done": "turn-footer", "done-open": "thread-item-tool_call", "running": "turn-working", "running-text": "steer", "ended": "turn-reason", "rich": "code-block",
		"steps": "thread-item-plan", "steps-open": "tool-output", "approval": "approval-card", "edit-approval": "approval-edits", "question": "question-option",
		"questions": "question-part", "plan": "approval-card", "pictures": "image", "sign-in": "turn-reason", "controls": "context-meter", "models": "model-list",
		"mention": "suggestion", "slash": "suggestion", "new-thread": "composer-input",
	} {
		for _, theme := range []string{"light", "dark"} {
			what := story + ", " + theme
			b.do("open "+what, chromedp.EmulateViewport(1440, 900), chromedp.Navigate(fmt.Sprintf("%s?story=%s&theme=%s", address, story, theme)))
			b.see(sees)
			b.until("the script is there", `(() => { if (!window.axe) { `+string(axe)+` } return true; })()`)
			ctx, cancel := context.WithTimeout(b.ctx, wait)
			found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r))).then(() => axe.run(document, {resultTypes: ["violations"]})).then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary)))`, chromedp.EvalAwaitPromise))
			cancel()
			if err != nil {
				t.Fatalf("axe on %s: %v", what, err)
			}
			for _, f := range found {
				t.Errorf("%s: %s", what, f)
			}
		}
		if story == "rich" {
			b.until("the code to be coloured", `document.querySelectorAll('[data-testid="code-block"] .k1').length > 10`)
			if got := b.eval(`getComputedStyle(document.querySelector('.prose td:nth-child(2)')).textAlign`); !strings.HasSuffix(got, "right") {
				t.Errorf("a column that is aligned to the right is aligned to the %s", got)
			}
		}
		b.do("make the window narrow", chromedp.EmulateViewport(400, 800), settled())
		if story == "models" {
			b.click("model-select")
			b.see("model-list")
		}
		wide := b.eval(`[...document.querySelectorAll('[data-testid="timeline"] .column, [data-testid="composer"], [data-testid="approval-card"], [data-testid="question-card"]')].filter(e => e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().right > innerWidth + 1).map(e => e.dataset.testid || e.className).join()`)
		if wide != "" {
			t.Errorf("%s: wider than a window of 400: %s", story, wide)
		}
	}
	b.clean()
}
