package gateway

import (
	"context"
	"strings"
	"time"

	"catamaran/internal/api"
)

// Notifier shows notifications of the desktop's own system; *shell.System is one.
type Notifier interface {
	// CanNotify reports whether there is something now that shows them.
	CanNotify() bool
	// Notify shows one; clicked is called at most once, on a goroutine that must not wait.
	Notify(title, body string, clicked func()) error
}

// maxNote bounds each text of a notification in bytes; systems cut them much earlier.
const maxNote = 4 << 10

// notify shows what a page cannot show itself, because its browser or web view may not.
func (g *Gateway) notify(_ context.Context, r api.Notify) (api.Empty, error) {
	if strings.TrimSpace(r.Title) == "" || len(r.Title) > maxNote || len(r.Body) > maxNote {
		return api.Empty{}, &api.Error{Code: api.CodeInvalid, Message: "A notification needs a title, and both its texts have a limit of 4 KiB."}
	}
	if !g.o.Notifier.CanNotify() {
		return api.Empty{}, &api.Error{Code: api.CodeUnavailable, Message: "This system shows no notifications of the app now."}
	}
	return api.Empty{}, g.o.Notifier.Notify(r.Title, r.Body, func() {
		if leave, ok := g.enter(false); ok {
			go func() {
				defer leave()
				g.noteClicked(r)
			}()
		}
	})
}

// activateWait bounds how long the window may take to come to the front.
const activateWait = 20 * time.Second

// noteClicked brings the window to the front and, there, what the notification was about.
func (g *Gateway) noteClicked(r api.Notify) {
	ctx, cancel := context.WithTimeout(g.base, activateWait)
	defer cancel()
	if r.Environment != "" && r.Thread != "" {
		g.show(api.OpenedPath{Environment: r.Environment, Thread: r.Thread})
	}
	if g.o.Activate == nil {
		return
	}
	if err := g.o.Activate(ctx); err != nil {
		g.o.Log.Warn("a notification was clicked, but no window shows it", "error", err)
	}
}

// AskQuit ends the desktop as the quit of a terminal does: not while agents work.
func (g *Gateway) AskQuit(ctx context.Context) error {
	_, err := g.quit(ctx, api.Quit{})
	return err
}
