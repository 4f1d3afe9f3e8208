package shell

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
