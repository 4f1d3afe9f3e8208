package browser

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"catamaran/test/longthread"
	"catamaran/test/product"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// longThread starts a desktop whose only thread has so many messages, and opens it.
func longThread(t *testing.T, messages int) (*product.Desktop, *tab) {
	t.Helper()
	home, repo := t.TempDir(), product.GitRepo(t, t.TempDir())
	if err := longthread.Write(t.Context(), home, repo, messages); err != nil {
		t.Fatal(err)
	}
	d := product.StartDesktop(t, product.Options{Home: home})
	b := open(t, d.URL)
	b.click("thread-row")
	b.see("timeline")
	return d, b
}

// go to an address of the page without loading it again.
func (b *tab) visit(path string) {
	b.t.Helper()
	b.do("go to "+path, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => { history.pushState(null, "", %q); dispatchEvent(new PopStateEvent("popstate")); })()`, path)))
}

const timelineJS = `document.querySelector('[data-testid="timeline"]')`

// rowTop is where a row's top stands in the window, "" when it is not drawn.
func (b *tab) rowTop(key string) string {
	return b.eval(fmt.Sprintf(`(() => { const r = document.querySelector('[data-row=%q]'); return r ? Math.round(r.getBoundingClientRect().top) : ""; })()`, key))
}

func (b *tab) seeRow(key string) {
	b.t.Helper()
	b.until("see row "+key, fmt.Sprintf(`(() => {
		const r = document.querySelector('[data-row=%q]')?.getBoundingClientRect(), v = %s?.getBoundingClientRect();
		return !!r && !!v && r.bottom > v.top && r.top < v.bottom;
	})()`, key, timelineJS))
}

func near(t *testing.T, what, got, want string) {
	t.Helper()
	g, err1 := strconv.Atoi(got)
	w, err2 := strconv.Atoi(want)
	if err1 != nil || err2 != nil || g-w > 2 || w-g > 2 {
		t.Errorf("%s stands at %q; it stood at %q", what, got, want)
	}
}

// TestLongThread reads a thread of 20,000 messages: only what is in view is
// in the document, the reader's place is kept while earlier parts load and an
// agent writes, and an address leads to a message far away.
func TestLongThread(t *testing.T) {
	t.Parallel()
	const messages = 20_000
	_, b := longThread(t, messages)
	last := longthread.AnswerID(messages / 2)
	b.seeRow(last)
	if rows := b.eval(`document.querySelectorAll("[data-row]").length`); len(rows) > 2 {
		t.Errorf("%s rows are in the document", rows)
	}

	// Going up loads earlier parts; what is in view stays where it is.
	before := b.eval(timelineJS + `.dataset.rows`)
	b.do("go up", chromedp.Evaluate[chromedp.Void](timelineJS+`.scrollTop = 900`))
	b.see("to-end")
	held := b.eval(`(() => { const v = ` + timelineJS + `.getBoundingClientRect(); return [...document.querySelectorAll("[data-row]")].find(r => r.getBoundingClientRect().top >= v.top).dataset.row; })()`)
	top := b.rowTop(held)
	b.until("more rows", fmt.Sprintf(`+%s.dataset.rows > %s`, timelineJS, before))
	b.do("settle", settled())
	near(t, held, b.rowTop(held), top)

	// Far away, by an address.
	far := longthread.AnswerID(1234)
	b.visit("/t/local/" + longthread.ThreadID + "/" + far)
	b.seeRow(far)
	b.seeText("", "Answer 1234.")
	b.do("settle", settled())
	b.look("long-thread-target")

	// An agent writes while one reads elsewhere: nothing moves, the way to the end counts.
	b.prompt("stream 6")
	b.see("stop")
	b.prompt("list the files here")
	b.see("queued")
	b.seeRow(last)
	b.do("go up a little", chromedp.Evaluate[chromedp.Void](timelineJS+`.scrollTop -= 700`))
	b.see("to-end")
	b.do("settle", settled())
	held = b.eval(`(() => { const v = ` + timelineJS + `.getBoundingClientRect(); return [...document.querySelectorAll("[data-row]")].find(r => r.getBoundingClientRect().top >= v.top).dataset.row; })()`)
	top = b.rowTop(held)
	b.until("both turns to end", `!document.querySelector('[data-testid="queued"]') && !document.querySelector('[data-testid="stop"]')`)
	near(t, held, b.rowTop(held), top)
	b.until("the count of what is new", `/new message/.test(document.querySelector('[data-testid="to-end"]')?.getAttribute("aria-label") ?? "")`)
	b.click("to-end")
	b.gone("to-end")
	b.see("turn-footer")

	// By keyboard: from prompt to prompt, and to the end.
	b.do("focus the log", chromedp.Evaluate[chromedp.Void](timelineJS+`.focus()`))
	b.hit(kb.ArrowUp, chromedp.KeyModifiers(chromedp.ModifierAlt, chromedp.ModifierShift))
	b.see("to-end")
	b.do("press End", chromedp.KeyEvent(kb.End))
	b.gone("to-end")

	// Find what is far away; the words are marked where they are drawn.
	b.hit("f", chromedp.KeyModifiers(chromedp.ModifierCtrl))
	b.see("find-text")
	b.hit("answer 4321")
	b.seeRow(longthread.AnswerID(4321))
	b.seeText("find-said", "1 of 1")
	b.until("the words to be marked", `CSS.highlights.get("find-current")?.size >= 2`)
	b.look("find")
	b.do("clear", chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-testid="find-text"]').select()`))
	b.hit("nosuchword")
	b.seeText("find-said", "No match")
	b.hit(kb.Escape)
	b.gone("find")
	b.click("to-end")
	b.gone("to-end")
	if got := b.eval(`document.querySelectorAll("[data-row]").length`); strings.TrimSpace(got) == "0" {
		t.Error("nothing is drawn at the end")
	}
	b.clean()
}
