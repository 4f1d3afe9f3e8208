package api

// Severity is how bad a finding is.
type Severity string

const (
	SeverityOK      Severity = "ok"
	SeverityInfo    Severity = "info"    // worth knowing; nothing to do
	SeverityWarning Severity = "warning" // something will be missing
	SeverityError   Severity = "error"   // the app cannot do its work
)

// Finding is one thing the doctor looked at (W9.1).
type Finding struct {
	// ID names the check; stable, unique within an environment.
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	// Environment is the id of the environment it was made in; "" for the desktop's own.
	Environment string `json:"environment,omitempty"`
	// Title says what was found, Why why it matters, "" when all is well.
	Title string `json:"title"`
	Why   string `json:"why,omitempty"`
	// Repair is the exact command or step that repairs it. Command tells that it is a command.
	Repair  string `json:"repair,omitempty"`
	Command bool   `json:"command,omitempty"`
}

// Diagnosis is all findings: the answer of diagnose.run and what `catamaran doctor --json` prints.
type Diagnosis struct {
	Version  VersionInfo `json:"version"`
	Checked  int64       `json:"checked"`
	Findings []Finding   `json:"findings"`
}

// DoctorRun asks a backend to check its own environment.
type DoctorRun struct {
	// Now is the caller's clock, for the skew; 0 leaves that check out.
	Now int64 `json:"now,omitempty"`
	// Fresh looks for agents again instead of answering from the last scan.
	Fresh bool `json:"fresh,omitempty"`
	// Log asks for the end of the backend's log as well.
	Log bool `json:"log,omitempty"`
}

// DoctorReport is a backend's answer.
type DoctorReport struct {
	Findings []Finding `json:"findings"`
	// Log is the end of the backend's log, at most 256 KiB, redacted.
	Log string `json:"log,omitempty"`
}

// ForwardedVariable is a variable of the desktop's system that is handed to agents in every environment.
type ForwardedVariable struct {
	Name string `json:"name"`
	// Wins replaces what the environment itself has under the name; otherwise that stays.
	Wins bool `json:"wins,omitempty"`
	// Set tells that the desktop has a value now. The value itself is never shown.
	Set bool `json:"set,omitempty"`
}

// Forwarding is the user's list of forwarded variables.
type Forwarding struct {
	Variables []ForwardedVariable `json:"variables"`
	// Default tells that the list is the built-in one.
	Default bool `json:"default,omitempty"`
}

// ForwardingChange replaces the list; Reset goes back to the built-in one.
type ForwardingChange struct {
	Variables []ForwardedVariable `json:"variables,omitempty"`
	Reset     bool                `json:"reset,omitempty"`
}

// Opener is a program of the desktop's system that can show a folder of an environment.
type Opener struct {
	ID   string `json:"id"` // folder, vscode, cursor, windsurf, terminal
	Name string `json:"name"`
}

// Openers is what a folder of the environment can be opened in.
type Openers struct {
	Openers []Opener `json:"openers"`
	// Native says that the page is shown by a native window: it has a folder dialog,
	// and addresses that leave the page go through desktop.openURL.
	Native bool `json:"native,omitempty"`
}

// OpenIn shows a folder in a program of the desktop's system, or a file in an editor.
type OpenIn struct {
	Environment string `json:"environment"`
	// Path is an absolute folder in the environment's own form.
	Path string `json:"path"`
	// Line, from 1, says that Path is a file, and where to go in it; only editors take one.
	Line   int    `json:"line,omitempty"`
	Target string `json:"target"` // an Opener's id
}
