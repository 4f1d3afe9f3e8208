package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"catamaran/test/product"

	"github.com/chromedp/chromedp"
)

// at selects one of several elements of a test id by an attribute.
func at(id, attr, value string) string {
	return fmt.Sprintf(`[data-testid=%q][data-%s=%q]`, id, attr, value)
}

func (b *tab) key(k string) {
	b.t.Helper()
	b.do("press "+k, chromedp.KeyEvent(k))
}

func put(t *testing.T, repo, name, text string) {
	t.Helper()
	p := filepath.Join(repo, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestFilesPanel looks through the folders, reads a file with colours, a picture, searches, and mentions a file.
func TestFilesPanel(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	// One dark pixel.
	put(t, repo, "dot.png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xff\xff\xff\x7f\x00\t\xfb\x03\xfd\x05CE\xca\x00\x00\x00\x00IEND\xaeB`\x82")
	put(t, repo, "left.tmp", "sum")
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.addProject(repo)
	b.newThread()
	b.do("open the files", chromedp.KeyEvent("E", chromedp.KeyModifiers(chromedp.ModifierCtrl, chromedp.ModifierShift)))
	b.clickCSS(at("file-entry", "path", "src"))
	b.clickCSS(at("file-entry", "path", "src/total.go"))
	b.seeText("file-text", "func Total")
	b.until("the file has colours", fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.textContent === "func")`, css("file-text")+" .k1"))
	b.accessible("file")
	b.look("file")
	b.clickCSS(at("file-entry", "path", "dot.png"))
	b.until("the picture is drawn", fmt.Sprintf(`document.querySelector(%q)?.naturalWidth === 1`, css("file-image")))

	b.click("files-search")
	b.fill("search-text", "sum +=")
	b.see("search-match")
	b.seeText("search-said", "1 line in 1 file")
	b.accessible("search in files")
	b.look("search")
	b.click("search-match")
	b.until("the file at the line", fmt.Sprintf(`document.querySelector(%q)?.dataset.path === "src/total.go" && !!document.querySelector('[data-line="6"].at')`, css("file-view")))
	b.click("search-regex")
	b.fill("search-text", "sum [:+]=")
	b.seeText("search-said", "2 lines in 1 file")
	b.fill("search-text", "(")
	b.see("search-error")

	b.click("file-menu")
	b.click("file-mention")
	b.until("the file in the message", fmt.Sprintf(`document.querySelector(%q)?.value.includes("@src/total.go")`, css("composer-input")))
	b.fill("composer-input", "look at @bask")
	b.seeText("suggest", "basket.go")
	b.clean()
}
