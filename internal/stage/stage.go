// Package stage puts the right backend in place inside a distro: one sh script,
// run by the same wsl.exe call that then becomes the backend, probes for the
// content-addressed file, takes it over stdin when it is missing, verifies,
// renames, prunes and execs. It knows pipes, not wsl.exe.
package stage

import (
	"context"
	"errors"
	"io"
)

var errSkeleton = errors.New("stage: not built yet")

// Carried is the set of Linux backends this desktop carries.
type Carried struct{}

// Load reads the carried backends from dir: files catamaran-backend-linux-amd64 and -arm64.
func Load(dir string) (*Carried, error) { return nil, errSkeleton }

// Argv is the command to run in the distro. force replaces a file that is there.
func (c *Carried) Argv(force bool) []string { return nil }

// Negotiate talks with the script until it is about to exec the backend. It returns a reader that continues
// stdout right after the negotiation, and the SHA-256 of the backend chosen. Errors are *api.Error CodeStageFailed
// (no such architecture, home not writable, noexec, disk full, digest mismatch) naming the cause and a remedy.
// skipped gets output that was not the script's. progress gets the stage in words.
func (c *Carried) Negotiate(ctx context.Context, stdin io.Writer, stdout io.Reader, skipped func([]byte), progress func(string)) (rest io.Reader, digest string, err error) {
	return nil, "", errSkeleton
}
