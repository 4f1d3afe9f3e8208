package gateway

import (
	"context"
	"strings"

	"catamaran/internal/api"
)

// Notifier shows notifications of the desktop's own system; *shell.System is one.
type Notifier interface {
	// CanNotify reports whether there is something now that shows them.
	CanNotify() bool
	Notify(title, body string) error
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
	return api.Empty{}, g.o.Notifier.Notify(r.Title, r.Body)
}

// AskQuit ends the desktop as the quit of a terminal does: not while agents work.
func (g *Gateway) AskQuit(ctx context.Context) error {
	_, err := g.quit(ctx, api.Quit{})
	return err
}
