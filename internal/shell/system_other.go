//go:build !windows

package shell

import "context"

// WatchSystem waits for ctx's end: here a log-off comes as a signal, and what
// sleep does to a link is seen by the link.
func WatchSystem(ctx context.Context, _ func(SystemEvent)) error {
	<-ctx.Done()
	return nil
}
