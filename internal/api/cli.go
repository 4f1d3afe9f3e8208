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
