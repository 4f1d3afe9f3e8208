// Package git runs the git CLI safely: GIT_* of the parent removed, no prompts,
// no optional locks, deadlines, bounded output. It holds no state and decides
// nothing; checkpoint and engine call it.
package git

import (
	"context"
	"errors"
)

var errSkeleton = errors.New("git: not built yet")

// Repo is a working tree. Top is its root (absolute), GitDir the repository's directory.
type Repo struct{ Top, GitDir, Branch string }

// ErrNotRepo: the directory is not inside a working tree.
var ErrNotRepo = errors.New("not a Git repository")

// Open finds the working tree that dir is in.
func Open(ctx context.Context, dir string) (Repo, error) { return Repo{}, errSkeleton }

// Command is one git invocation.
type Command struct {
	Dir   string
	Args  []string
	Env   []string // added after the cleaning, e.g. GIT_INDEX_FILE
	Stdin []byte
	Max   int64 // bound on stdout, default 16 MiB
}

// Output is the result of a Command.
type Output struct {
	Stdout    []byte
	Truncated bool
}

// Run runs git. A non-zero exit is an *Error with the cleaned stderr.
func Run(ctx context.Context, c Command) (Output, error) { return Output{}, errSkeleton }

// Error is a git command that failed.
type Error struct {
	Args   []string
	Exit   int
	Stderr string
}

func (e *Error) Error() string { return e.Stderr }
