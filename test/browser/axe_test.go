package browser

import (
	"context"
	"os"
	"path/filepath"

	"catamaran/test/product"

	"github.com/chromedp/chromedp"
)

// accessible has axe-core look at the page, in light and dark; it must find nothing.
func (b *tab) accessible(what string) {
	b.t.Helper()
	axe, err := os.ReadFile(filepath.Join(product.Root(), "web", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		b.t.Fatal("axe-core is missing; `npm ci` in web installs it: ", err)
	}
	for _, theme := range []string{"light", "dark"} {
		b.do("set the theme", media(theme))
		b.until("the script is there", `(() => { if (!window.axe) { `+string(axe)+` } return true; })()`)
		ctx, cancel := context.WithTimeout(b.ctx, wait)
		found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r))).then(() => axe.run(document, {resultTypes: ["violations"]})).then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary)))`, chromedp.EvalAwaitPromise))
		cancel()
		if err != nil {
			b.t.Fatalf("axe on %s: %v", what, err)
		}
		for _, f := range found {
			b.t.Errorf("%s, %s: %s", what, theme, f)
		}
	}
	b.do("the browser's own theme", media(""))
}
