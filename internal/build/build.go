// Package build knows what this program is: its version and commit, set by the
// linker, and where the carried Linux backends lie. It starts nothing.
package build

// Version and Commit are set with -ldflags "-X catamaran/internal/build.Version=...".
var (
	Version = "0.0.0-dev"
	Commit  = "unknown"
	// UpdateURL is the folder of releases and UpdateKey the publisher's ed25519 key in
	// base64; a build without them looks for no updates.
	UpdateURL = ""
	UpdateKey = ""
)
