package api

// MethodActivity is a backend's, MethodQuit the desktop's control endpoint only.
const (
	MethodActivity = "activity.get" // Empty -> Activity
	MethodQuit     = "desktop.quit" // Quit -> Empty; ends the desktop and every backend
)

// Activity tells what would be cut off if the backend ended now.
type Activity struct {
	// Threads have turns that have not ended, queued ones included.
	Threads []BusyThread `json:"threads"`
}

// BusyThread is a thread with a turn that has not ended.
type BusyThread struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// Quit ends the desktop; with turns that have not ended it is refused (conflict) unless Force is set.
type Quit struct {
	Force bool `json:"force,omitempty"`
}
