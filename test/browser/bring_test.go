package browser

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/test/product"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// middle is where an element's middle stands in the window.
func (b *tab) middle(js string) (x, y float64) {
	b.t.Helper()
	if _, err := fmt.Sscanf(b.eval(fmt.Sprintf(`(() => { const r = (%s).getBoundingClientRect(); return (r.x + r.width / 2) + " " + (r.y + r.height / 2); })()`, js)), "%g %g", &x, &y); err != nil {
		b.t.Fatalf("where %s stands: %v", js, err)
	}
	return x, y
}

// drag is what the pointer does while it carries something.
func drag(kind input.DispatchDragEventType, x, y float64, data input.DragData) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, input.DispatchDragEvent, input.DispatchDragEventParams{Type: kind, X: x, Y: y, Data: &data})
		return err
	})
}

// drop lets files of this computer fall on the composer, as from a file manager.
func (b *tab) drop(files ...string) {
	b.t.Helper()
	x, y := b.middle(`document.querySelector('[data-testid="composer"]')`)
	data := input.DragData{Files: files, DragOperationsMask: 1, Items: []*input.DragDataItem{}}
	b.do("carry files over the composer", drag("dragEnter", x, y, data), drag("dragOver", x, y, data))
	b.until("the composer to offer itself", `document.querySelector('[data-testid="composer"]').classList.contains("dragging")`)
	b.do("let them fall", drag("drop", x, y, data))
	b.until("the composer to be itself again", `!document.querySelector('[data-testid="composer"]').classList.contains("dragging")`)
}

// TestPasteAndDrop brings pictures and files into a message.
func TestPasteAndDrop(t *testing.T) {
	t.Parallel()
	repo := product.GitRepo(t, t.TempDir())
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 40, 30))); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	boat, stray := filepath.Join(dir, "boat.png"), filepath.Join(dir, "stray.txt")
	for path, data := range map[string][]byte{boat: picture.Bytes(), stray: []byte("x")} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(repo)
	b.newThread()
	b.see("attach")
	ready := func(n int) {
		t.Helper()
		b.until(fmt.Sprintf("%d pictures", n), fmt.Sprintf(`document.querySelectorAll('[data-testid="attachment"][data-state="ready"]').length === %d`, n))
	}

	b.do("paste a picture", chromedp.Focus(sel("composer-input")), chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
		const data = new DataTransfer();
		data.items.add(new File([Uint8Array.from(atob(%q), c => c.charCodeAt(0))], "image.png", {type: "image/png"}));
		const e = new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
		document.querySelector('[data-testid="composer-input"]').dispatchEvent(e);
		if (!e.defaultPrevented) throw new Error("the picture was left to the browser");
	})()`, base64.StdEncoding.EncodeToString(picture.Bytes()))))
	ready(1)
	b.drop(boat)
	ready(2)
	// One of the project is mentioned; one that nobody can place is said.
	b.drop(filepath.Join(repo, "src", "total.go"))
	b.writes("@src/total.go ")
	b.drop(stray)
	b.seeText("attachment-error", "stray.txt")
	b.look("brought")
	// An editor tells the path.
	b.do("drop an address", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
		// The browser's own door for tests lets no address of a file through.
		const data = new DataTransfer();
		data.setData("text/uri-list", %q);
		const on = document.querySelector('[data-testid="composer"]');
		for (const kind of ["dragover", "drop"]) {
			const e = new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true});
			on.dispatchEvent(e);
			if (!e.defaultPrevented) throw new Error(kind + " was left to the browser");
		}
	})()`, "file://"+filepath.Join(repo, "docs", "usage.txt"))))
	b.until("it is mentioned", `document.querySelector('[data-testid="composer-input"]').value.includes("@docs/usage.txt")`)
	b.click("send")
	b.seeText("timeline", "PNG of 40 by 30 points")
	b.until("both pictures in the log", `document.querySelectorAll('[data-testid="image"] img').length === 2`)
	b.clean()
}

// TestProjectsByPointer drags the second project over the first.
func TestProjectsByPointer(t *testing.T) {
	t.Parallel()
	one, two := product.GitRepo(t, t.TempDir()), product.GitRepo(t, t.TempDir())
	d := product.StartDesktop(t, product.Options{})
	b := open(t, d.URL)
	b.see("env-group-local")
	b.addProject(one)
	b.addProject(two)
	order := func(paths ...string) string {
		return fmt.Sprintf(`[...document.querySelectorAll('[data-testid="project-group"] .open')].map(e => e.title).join() === %q`, strings.Join(paths, ","))
	}
	b.until("both in their order", order(one, two))

	lifted := make(chan input.DragData, 1)
	if err := chromedp.Listen(b.ctx, func(ev any) {
		if e, ok := ev.(*input.EventDragIntercepted); ok {
			select {
			case lifted <- *e.Data:
			default:
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	name := func(i int) string {
		return fmt.Sprintf(`document.querySelectorAll('[data-testid="project-group"] .open')[%d]`, i)
	}
	mouse := func(kind input.DispatchMouseEventType, x, y float64) chromedp.Action[chromedp.Void] {
		return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			p := input.DispatchMouseEventParams{Type: kind, X: x, Y: y, Button: "left", Buttons: 1, ClickCount: 1}
			_, err := cdp.Call(ctx, t, input.DispatchMouseEvent, p)
			return err
		})
	}
	fromX, fromY := b.middle(name(1))
	toX, toY := b.middle(name(0))
	b.do("take the second project", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, input.SetInterceptDrags, input.SetInterceptDragsParams{Enabled: true})
		return err
	}), mouse("mousePressed", fromX, fromY), mouse("mouseMoved", fromX+3, fromY-4), mouse("mouseMoved", fromX+6, fromY-12))
	var data input.DragData
	b.do("wait for it to be lifted", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		select {
		case data = <-lifted:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}))
	b.do("carry it to the first", drag("dragEnter", toX, toY, data), drag("dragOver", toX, toY, data))
	b.until("the place to show", `document.querySelectorAll('[data-testid="project-group"]')[0].classList.contains("over")`)
	b.keep("project drag")
	b.do("let it go", drag("drop", toX, toY, data), mouse("mouseReleased", toX, toY))
	b.until("the new order", order(two, one))
	b.do("load again", chromedp.Reload())
	b.until("the new order after a reload", order(two, one))
	b.clean()
}
