package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"

	"catamaran/internal/api"
)

type notifier struct {
	can   bool
	err   error
	shown []string
}

func (n *notifier) CanNotify() bool { return n.can }
func (n *notifier) Notify(title, body string) error {
	n.shown = append(n.shown, title+": "+body)
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
	n.can = false
	if _, err := g.notify(context.Background(), api.Notify{Title: "shop"}); api.CodeOf(err) != api.CodeUnavailable {
		t.Errorf("nothing to show it: %v", err)
	}
}
