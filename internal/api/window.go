package api

// What the desktop and its window program say to each other: JSON, one object a
// line, orders on the program's stdin and reports on its stdout. The program
// ends with its stdin; exit code 0 means that the person closed the window.

// WindowOrder is a line to the window program.
type WindowOrder struct {
	// Op: start (first and once), focus, show (another address), pick and save (answered by a report picked).
	Op  string `json:"op"`
	URL string `json:"url,omitempty"` // start, show
	// Place is where the window was last time (start).
	Place *WindowPlace `json:"place,omitempty"`
	// Data is a folder for what the web view keeps (start).
	Data string `json:"data,omitempty"`
	// Theme is how frame and background look before the page is there: light or
	// dark, "" for the system's (start).
	Theme string `json:"theme,omitempty"`
	// ID, Title and Dir belong to pick and save; Dir is the start folder, "" for
	// the system's choice. Name is the file's to begin with (save).
	ID    int64  `json:"id,omitempty"`
	Title string `json:"title,omitempty"`
	Dir   string `json:"dir,omitempty"`
	Name  string `json:"name,omitempty"`
}

// WindowReport is a line from the window program.
type WindowReport struct {
	// Op: ready (the window is there), place, picked, focus (the window got or lost it).
	Op    string       `json:"op"`
	Place *WindowPlace `json:"place,omitempty"`
	ID    int64        `json:"id,omitempty"`
	// Path is what was picked, to open or to save to, "" when the person cancelled.
	Path    string `json:"path,omitempty"`
	Error   string `json:"error,omitempty"`
	Focused bool   `json:"focused,omitempty"`
}

// Ops of orders and reports.
const (
	WindowStart  = "start"
	WindowFocus  = "focus"
	WindowShow   = "show"
	WindowPick   = "pick"
	WindowSave   = "save"
	WindowReady  = "ready"
	WindowMoved  = "place"
	WindowPicked = "picked"
)

// WindowPlace is where a window is, in the system's own units (pixels that the
// display scale has been taken out of).
type WindowPlace struct {
	X         int  `json:"x"`
	Y         int  `json:"y"`
	Width     int  `json:"width"`
	Height    int  `json:"height"`
	Maximised bool `json:"maximised,omitempty"`
}

// Methods of the gateway that need the desktop's own system.
const (
	MethodPickFolder = "desktop.pickFolder" // PickFolder -> PickedFolder; only where a native window is open
	MethodOpenURL    = "desktop.openURL"    // OpenURL -> Empty
	MethodNotify     = "desktop.notify"     // Notify -> Empty; only where the page cannot do it itself and the system can
	// MethodSaveDiagnostics: Empty -> SavedFile; only where a native window is open. Web
	// views lose what a page offers to download, so the desktop writes the file.
	MethodSaveDiagnostics = "desktop.saveDiagnostics"
)

// PickFolder asks for the native folder dialog, for a project of an environment.
type PickFolder struct {
	Environment string `json:"environment"`
	// Typed is what the person has so far, to start from: "", "~", "~/x", a path of the environment, or a Windows path.
	Typed string `json:"typed,omitempty"`
}

// PickedFolder is the environment that owns the folder and the path as that
// environment sees it; both are "" when the person cancelled.
type PickedFolder struct {
	Environment string `json:"environment"`
	Path        string `json:"path"`
}

// SavedFile is where a file was saved, "" when the person cancelled.
type SavedFile struct {
	Path string `json:"path"`
}

// OpenURL asks for an address of the web or of mail in the system's own program.
type OpenURL struct {
	URL string `json:"url"`
}

// Notify asks for a notification of the system. A click on it shows the window, and
// there the thread of the environment that it names, if it names one.
type Notify struct {
	Title       string `json:"title"`
	Body        string `json:"body"`
	Environment string `json:"environment,omitempty"`
	Thread      string `json:"thread,omitempty"`
}
