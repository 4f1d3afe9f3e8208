package shell

import "log/slog"

// SystemEvent is something the system tells every program that runs.
type SystemEvent string

const (
	// SystemEnding: the person logs off or shuts down, or asked this program to close.
	// The system waits for the answer, a few seconds at most.
	SystemEnding SystemEvent = "ending"
	// SystemSuspends and SystemResumed: the computer goes to sleep, or has slept.
	SystemSuspends SystemEvent = "suspends"
	SystemResumed  SystemEvent = "resumed"
)

// SystemOptions configure System. The functions are called one at a time on the
// system's thread and must not wait for Run's end, but for On with SystemEnding,
// for which the log-off waits.
type SystemOptions struct {
	On func(SystemEvent)
	// Tray asks for an icon in the notification area (Windows): a click calls Open, its
	// menu Open and Quit.
	Tray bool
	Open func()
	Quit func()
	Log  *slog.Logger
}
