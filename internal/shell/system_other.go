//go:build !windows && !linux

package shell

import "context"

// System is the app's part in what the system shows and says.
type System struct{}

// NewSystem prepares; it shows nothing.
func NewSystem(SystemOptions) *System { return &System{} }

// Run waits for ctx's end: here a log-off comes as a signal, and what sleep does
// to a link is seen by the link.
func (*System) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// CanNotify reports whether Notify shows anything here.
func (*System) CanNotify() bool { return false }

// Notify shows nothing here; browsers and web views do it themselves.
func (*System) Notify(title, body string, clicked func()) error { return nil }
