package browser

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"catamaran/test/product"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestPicturesQuestionsAndPlans sends a picture, takes a command from the menu of
// "/", answers a question of three parts and decides about plans, all but the first by keys alone.
func TestPicturesQuestionsAndPlans(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	var b3 bytes.Buffer
	if err := png.Encode(&b3, image.NewRGBA(image.Rect(0, 0, 30, 20))); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	picture, other := filepath.Join(dir, "boat.png"), filepath.Join(dir, "notes.txt")
	for path, data := range map[string][]byte{picture: b3.Bytes(), other: []byte("no picture")} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.newThread()

	// A picture: taken, sent, shown; what is none is refused.
	b.see("attach")
	b.do("choose a text", chromedp.SetUploadFiles(sel("attach-input"), []string{other}))
	b.seeText("attachment-error", "notes.txt is no PNG")
	b.do("choose a picture", chromedp.SetUploadFiles(sel("attach-input"), []string{picture}))
	b.until("the picture to be there", `document.querySelector('[data-testid="attachment"]')?.dataset.state === "ready"`)
	b.look("attachment")
	b.prompt("what is this?")
	b.gone("attachments")
	b.seeText("timeline", "PNG of 30 by 20 points")
	b.until("the picture to be drawn", `document.querySelector('[data-testid="image"] img')?.naturalWidth === 30`)
	b.click("image")
	b.see("image-large")
	b.hit(kb.Escape)
	b.gone("image-large")

	// A question, by numbers, Enter and words.
	ready := func(id string) {
		t.Helper()
		b.see(id)
		b.until("the card to take keys", `document.querySelector('[data-testid="`+id+`"]')?.dataset.ready === "true"`)
	}
	// The agent's own command brings it, taken from the menu of "/".
	b.do("begin", chromedp.Focus(sel("composer-input")))
	b.hit("/")
	b.until("all its commands", `document.querySelectorAll('[data-testid="suggestion"]').length === 3`)
	b.look("commands")
	b.hit("qu")
	b.until("the one that fits", `document.querySelectorAll('[data-testid="suggestion"]').length === 1`)
	b.hit(kb.Escape)
	b.gone("suggest")
	b.hit(kb.Backspace)
	b.see("suggestion")
	b.enter()
	b.writes("/question ")
	b.gone("suggest")
	b.enter()
	ready("question-card")
	b.until("the word for it", `document.querySelector('[data-testid="turn-working"]')?.innerText.includes("Waiting for an answer")`)
	b.look("question")
	b.hit("2")
	b.until("the second part", `document.querySelector('[data-testid="question-part"]')?.innerText.includes("A sail")`)
	b.hit("1")
	b.until("the sail", `document.querySelector('[data-testid="question-option"]')?.getAttribute("aria-checked") === "true"`)
	b.enter()
	b.see("question-text")
	b.until("the field to have the focus", `document.activeElement?.dataset.testid === "question-text"`)
	b.hit("Kon")
	b.enter()
	b.gone("question-card")
	b.seeText("timeline", "A blue boat with sail, called Kon: noted.")

	// A plan that is kept, and one that is carried out.
	b.click("plan-toggle")
	b.until("planning", `document.querySelector('[data-testid="plan-toggle"]')?.getAttribute("aria-pressed") === "true"`)
	b.prompt("write hello.txt: hello")
	ready("approval-card")
	b.until("the word for it", `document.querySelector('[data-testid="turn-working"]')?.innerText.includes("Plan ready")`)
	b.look("plan")
	b.hit(kb.Escape)
	b.gone("approval-card")
	b.seeText("timeline", "I keep planning.")
	b.prompt("write hello.txt: hello")
	ready("approval-card")
	b.enter()
	b.see("approval-edits")
	ready("approval-card")
	b.enter()
	b.gone("approval-card")
	b.seeText("timeline", "hello.txt")
	b.see("changes-card")
	if text, err := os.ReadFile(filepath.Join(repo, "hello.txt")); err != nil || string(text) != "hello\n" {
		t.Errorf("hello.txt: %q, %v", text, err)
	}
	b.clean()
}
