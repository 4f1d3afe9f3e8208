package gateway

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"catamaran/internal/api"
)

type notifier struct {
	can   bool
	err   error
	shown []string
	click func()
}

func (n *notifier) CanNotify() bool { return n.can }
func (n *notifier) Notify(title, body string, clicked func()) error {
	n.shown, n.click = append(n.shown, title+": "+body), clicked
	return n.err
}

func TestNotify(t *testing.T) {
	t.Parallel()
	n := &notifier{can: true}
	g := &Gateway{o: Options{Notifier: n}}
	for _, bad := range []api.Notify{{}, {Title: " "}, {Title: strings.Repeat("x", 5000)}, {Title: "x", Body: strings.Repeat("x", 5000)}} {
		if _, err := g.notify(context.Background(), bad); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%.20v: %v", bad, err)
		}
	}
	if _, err := g.notify(context.Background(), api.Notify{Title: "shop", Body: "done"}); err != nil || strings.Join(n.shown, "|") != "shop: done" {
		t.Errorf("%v, %q", err, n.shown)
	}
	n.err = errors.New("refused")
	if _, err := g.notify(context.Background(), api.Notify{Title: "shop"}); !errors.Is(err, n.err) {
		t.Errorf("refused: %v", err)
	}
	// A click shows the thread where a page is, else in the one that opens, and brings the window to the front.
	var shown atomic.Int32
	g = &Gateway{o: Options{Notifier: n, Now: time.Now, Activate: func(context.Context) error { shown.Add(1); return nil }}, base: t.Context(), watchers: map[chan api.ServerFrame]struct{}{}}
	n.err = nil
	if _, err := g.notify(t.Context(), api.Notify{Title: "shop", Environment: "local", Thread: "t1"}); err != nil {
		t.Fatal(err)
	}
	n.click()
	g.work.Wait()
	first := g.watchTold(t.Context())
	if f := <-first; f.Type != api.FrameOpen || f.Opened.Environment != "local" || f.Opened.Thread != "t1" || shown.Load() != 1 {
		t.Errorf("%+v, shown %d times", f.Opened, shown.Load())
	}
	second := g.watchTold(t.Context())
	if len(second) != 0 {
		t.Error("a later page is shown it again")
	}
	for range toldMost + 2 { // a page that does not read
		n.click()
	}
	g.work.Wait()
	if len(first) != toldMost || len(second) != toldMost || shown.Load() != toldMost+3 {
		t.Errorf("%d and %d frames wait, shown %d times", len(first), len(second), shown.Load())
	}
	n.can = false
	if _, err := g.notify(context.Background(), api.Notify{Title: "shop"}); api.CodeOf(err) != api.CodeUnavailable {
		t.Errorf("nothing to show it: %v", err)
	}
}
