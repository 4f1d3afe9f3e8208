// Package proc owns child processes: it is the only place that imports os/exec.
// Every child started here has an owner, a bounded stderr tail, a stop ladder,
// and dies with this process: a job object on Windows, a process group on Unix
// and, with Spec.Guard on Linux, a guard process that takes the whole tree down
// even when this process is killed with SIGKILL.
package proc

import (
	"context"
	"errors"
	"io"
	"time"
)

var errSkeleton = errors.New("proc: not built yet")

// Spec describes a child process.
type Spec struct {
	// Name is for logs and errors ("git", "agent opencode").
	Name string
	Path string // resolved by LookPath when it holds no separator
	Args []string
	Dir  string
	// Env is the whole environment; nil inherits this process's.
	Env []string
	// Guard runs the child under a guard (Linux): the tree, daemons included, ends
	// when this process ends in any way. No effect elsewhere.
	Guard bool
	// Stderr receives a copy of stderr as it comes; may be nil. The tail is kept anyway.
	Stderr io.Writer
	// StderrTail bounds the kept tail in bytes; 0 means 16 KiB.
	StderrTail int
	// InheritConsole keeps the parent's console/stdio (the terminal commands only).
	InheritConsole bool
}

// Process is a started child with pipes on all three standard streams.
type Process struct{ p *process }

type process struct{}

// Start starts a child. The error is an *exec.Error-like wrapped error naming Spec.Name.
func Start(spec Spec) (*Process, error) { return nil, errSkeleton }

// Stdin is the child's standard input; closing it is the first rung of the ladder.
func (p *Process) Stdin() io.WriteCloser { return nil }

// Stdout is the child's standard output; the caller must read it.
func (p *Process) Stdout() io.Reader { return nil }

// StderrTail returns the last bytes of stderr, decoded and free of control characters.
func (p *Process) StderrTail() string { return "" }

func (p *Process) PID() int { return 0 }

// Done is closed when the process has been reaped.
func (p *Process) Done() <-chan struct{} { return nil }

// ExitCode is valid after Done: the exit code; -1 when it ended by a signal (see Signal).
func (p *Process) ExitCode() int { return -1 }

// Ladder is how long each rung of Stop waits before the next; zero skips the wait.
type Ladder struct {
	CloseStdin time.Duration // after closing stdin
	Terminate  time.Duration // after SIGTERM to the group (Unix)
	Kill       time.Duration // after SIGKILL / TerminateJobObject; bound on being reaped
}

// Stop walks the ladder until the process is gone; nil when it is verified gone.
// The whole tree (group, job, guarded descendants) is gone too on nil.
func (p *Process) Stop(ctx context.Context, l Ladder) error { return errSkeleton }

// Kill ends the tree at once, without waiting.
func (p *Process) Kill() {}

// Result is the outcome of Run.
type Result struct {
	Stdout    []byte
	Stderr    string
	ExitCode  int
	Truncated bool // stdout hit the bound; the child was ended
}

// Run runs a short command to its end with empty stdin (or stdin), stdout bounded to
// maxStdout bytes. ctx must have a deadline; on expiry the tree is killed and the
// error wraps context.DeadlineExceeded. A non-zero exit is not an error.
func Run(ctx context.Context, spec Spec, stdin io.Reader, maxStdout int64) (Result, error) {
	return Result{}, errSkeleton
}

// GuardMain must be the first call of every main: when this process was started
// as a guard (or another hidden role of this package) it does that job and exits.
func GuardMain() {}
