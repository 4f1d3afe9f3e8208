package api

// Documents that the terminal commands print with --json, beside the gateway's own.

// VersionInfo is what `catamaran version --json` prints.
type VersionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Protocol int    `json:"protocol"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

// FindingStatus is how bad a finding is.
type FindingStatus string

const (
	FindingOK      FindingStatus = "ok"
	FindingWarning FindingStatus = "warning" // something will be missing
	FindingProblem FindingStatus = "problem" // the app cannot do its work
)

// Finding is one thing `catamaran doctor` looked at.
type Finding struct {
	// ID names the check; stable.
	ID     string        `json:"id"`
	Status FindingStatus `json:"status"`
	// What was found; Why it matters and the command or step that Repairs it, both empty when all is well.
	What   string `json:"what"`
	Why    string `json:"why,omitempty"`
	Repair string `json:"repair,omitempty"`
}

// Diagnosis is what `catamaran doctor --json` prints.
type Diagnosis struct {
	Version  VersionInfo `json:"version"`
	Findings []Finding   `json:"findings"`
}

// LogFile is one file that `catamaran logs --json` lists.
type LogFile struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	// Modified is when it was last written to.
	Modified int64 `json:"modified"`
}

// LogFiles is the answer of `catamaran logs --json`.
type LogFiles struct {
	Files []LogFile `json:"files"`
}
