package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultStderrTail = 16 << 10
	// pipeGrace is how long output is still awaited once the child is gone, when
	// a program outside its tree keeps the pipe open.
	pipeGrace = time.Second
	// defaultKill bounds the wait after the last rung where the caller gave none.
	defaultKill = 5 * time.Second
)

// Spec describes a child process.
type Spec struct {
	// Name is for logs and errors ("git", "agent opencode").
	Name string
	// Path is resolved by LookPath along Env's PATH (this process's when Env is
	// nil) when it holds no separator.
	Path string
	Args []string
	// CommandLine is, on Windows, what follows the program's name on the command line,
	// verbatim and in place of Args: for the few programs, cmd.exe above all, that do
	// not follow the rules by which arguments are quoted. No effect elsewhere.
	CommandLine string
	Dir         string
	// Env is the whole environment; nil inherits this process's.
	Env []string
	// Guard runs the child under a guard (Linux): the tree, daemons included, ends
	// when the child ends, on Kill, and when this process ends in any way. It
	// needs GuardMain at the start of main. No effect elsewhere: a Windows job
	// holds every descendant anyway, and macOS has nothing to offer.
	Guard bool
	// NewSession detaches the child from the controlling terminal (unix): an
	// interactive shell that is not in a terminal's foreground would be stopped by
	// it, and every program in a WSL distro has one. Not with Guard or InheritConsole.
	NewSession bool
	// Terminal (unix) is the child's end of a pseudo-terminal: its three standard
	// streams and the controlling terminal of a session of its own. There are no
	// pipes then, and the gentle rung of Stop is a hang-up. The caller closes it
	// after Start. Not with NewSession or InheritConsole.
	Terminal *os.File
	// Stderr receives a copy of stderr as it comes; may be nil. The tail is kept
	// anyway. A Write that blocks holds the child's stderr up; one that fails is
	// the last.
	Stderr io.Writer
	// StderrTail bounds the kept tail in bytes; 0 means 16 KiB.
	StderrTail int
	// InheritConsole keeps the parent's console/stdio (the terminal commands
	// only): no pipes, no own group, no guard.
	InheritConsole bool
}

// Process is a started child with pipes on all three standard streams.
type Process struct {
	name   string
	stdin  *stdinPipe
	stdout *stdoutPipe
	tail   *tail
	tree   *tree
	pid    int
	done   chan struct{}
	exit   exit // valid after done
}

// exit is how a child ended.
type exit struct {
	code   int
	signal string
}

// Start starts a child. The error wraps *exec.Error (so os.ErrNotExist and
// os.ErrPermission are recognised) and names Spec.Name.
func Start(spec Spec) (*Process, error) {
	p, err := start(spec)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.label(), err)
	}
	return p, nil
}

// startError gives every way of starting the same error.
func startError(path, dir string, err error) error {
	var at *os.PathError
	if errors.As(err, &at) && at.Op == "fork/exec" {
		err = at.Err
	}
	if err == nil {
		return nil
	}
	// The system says of a folder that is gone what it says of a program that is.
	if _, gone := os.Stat(dir); dir != "" && errors.Is(gone, os.ErrNotExist) {
		return &os.PathError{Op: "enter the folder", Path: dir, Err: os.ErrNotExist}
	}
	return &exec.Error{Name: path, Err: systemError(err)}
}

func (s Spec) label() string {
	if s.Name != "" {
		return s.Name
	}
	return filepath.Base(s.Path)
}

func start(spec Spec) (*Process, error) {
	if spec.InheritConsole && spec.Guard {
		return nil, errors.New("a guarded child cannot keep the console")
	}
	if spec.NewSession && (spec.Guard || spec.InheritConsole) {
		return nil, errors.New("a child with a session of its own has no guard and no console")
	}
	if spec.Terminal != nil && (spec.NewSession || spec.InheritConsole) {
		return nil, errors.New("a child at a terminal has a session of its own and no console")
	}
	path := spec.Path
	if !hasSeparator(path) {
		list := os.Getenv("PATH")
		if spec.Env != nil {
			list, _ = EnvValue(spec.Env, "PATH")
		}
		found, err := LookPath(path, list)
		if err != nil {
			return nil, err
		}
		path = found
	}
	cmd := &exec.Cmd{Path: path, Args: append([]string{path}, spec.Args...), Dir: spec.Dir, Env: spec.Env}
	p := &Process{name: spec.label(), done: make(chan struct{})}
	limit := spec.StderrTail
	if limit <= 0 {
		limit = defaultStderrTail
	}
	p.tail = &tail{limit: limit}

	var stderr *os.File
	var childEnds []*os.File
	switch {
	case spec.InheritConsole:
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		p.stdin, p.stdout = &stdinPipe{}, &stdoutPipe{}
	case spec.Terminal != nil:
		cmd.Stdin, cmd.Stdout, cmd.Stderr = spec.Terminal, spec.Terminal, spec.Terminal
		p.stdin, p.stdout = &stdinPipe{}, &stdoutPipe{}
	default:
		pipes, err := newPipes()
		if err != nil {
			return nil, err
		}
		cmd.Stdin, cmd.Stdout, cmd.Stderr = pipes[0][0], pipes[1][1], pipes[2][1]
		childEnds = []*os.File{pipes[0][0], pipes[1][1], pipes[2][1]}
		p.stdin, p.stdout, stderr = &stdinPipe{f: pipes[0][1]}, &stdoutPipe{f: pipes[1][0]}, pipes[2][0]
	}
	t, err := newTree(spec, cmd)
	if err != nil {
		closeAll(childEnds...)
		p.closePipes(stderr)
		return nil, err
	}
	p.tree = t

	pump := make(chan struct{})
	started := make(chan error)
	go func() {
		// The parent-death signal fires when the thread that forked ends, so the
		// thread stays with the child: it is the one that waits for it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := t.start(cmd)
		closeAll(childEnds...)
		if err == nil {
			p.pid, err = t.started(cmd)
		}
		err = startError(path, spec.Dir, err)
		if err != nil {
			t.release()
			p.closePipes(stderr)
			started <- err
			return
		}
		if stderr != nil {
			go func() {
				defer close(pump)
				p.tail.pump(stderr, spec.Stderr)
			}()
		} else {
			close(pump)
		}
		started <- nil
		p.exit = t.wait(cmd)
		p.settle(stderr, pump)
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// settle gives the output that is already in the pipes time to be read, and no more.
func (p *Process) settle(stderr *os.File, pump <-chan struct{}) {
	p.stdin.Close()
	p.stdout.ended()
	if stderr == nil {
		return
	}
	stderr.SetReadDeadline(time.Now().Add(pipeGrace / 2))
	grace := time.NewTimer(pipeGrace)
	defer grace.Stop()
	select {
	case <-pump:
		stderr.Close()
	case <-grace.C:
		// Something outside the tree holds the pipe, or Spec.Stderr blocks.
		// Closing must not make the child's end wait for it.
		go stderr.Close()
	}
}

func (p *Process) closePipes(stderr *os.File) {
	p.stdin.Close()
	p.stdout.Close()
	if stderr != nil {
		stderr.Close()
	}
}

// Stdin is the child's standard input; closing it, any number of times, is the
// first rung of the ladder.
func (p *Process) Stdin() io.WriteCloser { return p.stdin }

// Stdout is the child's standard output; the caller must read it to its end or
// close it. It ends at the latest one second of silence after the child is
// gone, whoever else holds the pipe.
func (p *Process) Stdout() io.ReadCloser { return p.stdout }

// StderrTail returns the last bytes of stderr, decoded and free of control
// characters. It is complete once Done is closed.
func (p *Process) StderrTail() string { return p.tail.text() }

// Name is Spec.Name, or the program's file name where that is empty.
func (p *Process) Name() string { return p.name }

// PID is the child's process id; under a guard the program's, not the guard's.
func (p *Process) PID() int { return p.pid }

// Done is closed when the process has been reaped and what was left of its tree killed.
func (p *Process) Done() <-chan struct{} { return p.done }

// ExitCode is valid after Done: the exit code; -1 when it ended by a signal
// (see Signal), and before Done.
func (p *Process) ExitCode() int {
	select {
	case <-p.done:
		return p.exit.code
	default:
		return -1
	}
}

// Signal names the signal that ended the process ("killed", "terminated"); ""
// when it exited by itself, before Done, and on Windows.
func (p *Process) Signal() string {
	select {
	case <-p.done:
		return p.exit.signal
	default:
		return ""
	}
}

// Ladder is how long each rung of Stop waits before the next; zero skips the wait.
type Ladder struct {
	CloseStdin time.Duration // after closing stdin
	Terminate  time.Duration // after SIGTERM to the group (Unix)
	Kill       time.Duration // after SIGKILL / TerminateJobObject; bound on being reaped, 0 means 5 s
}

// Stop walks the ladder until the process is gone; nil when it is verified gone.
// The whole tree is gone too on nil: a guarded tree and a job verified, the
// members of an unguarded group killed. When ctx ends, the ladder goes on with
// its last rung at once.
func (p *Process) Stop(ctx context.Context, l Ladder) error {
	p.stdin.Close()
	if p.await(ctx, l.CloseStdin) {
		return nil
	}
	if ctx.Err() == nil && p.tree.terminate() && p.await(ctx, l.Terminate) {
		return nil
	}
	p.Kill()
	if l.Kill <= 0 {
		l.Kill = defaultKill
	}
	if p.await(context.Background(), l.Kill) {
		return nil
	}
	return fmt.Errorf("stop %s: process %d is still there %v after it was killed", p.name, p.pid, l.Kill)
}

// await reports whether the process is gone within d.
func (p *Process) await(ctx context.Context, d time.Duration) bool {
	select {
	case <-p.done:
		return true
	default:
	}
	if d <= 0 {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// Kill ends the tree at once, without waiting.
func (p *Process) Kill() { p.tree.kill() }

// newPipes makes the pipes of stdin, stdout and stderr, each as read and write end.
func newPipes() ([3][2]*os.File, error) {
	var pipes [3][2]*os.File
	for i := range pipes {
		r, w, err := os.Pipe()
		if err != nil {
			for _, made := range pipes[:i] {
				closeAll(made[:]...)
			}
			return pipes, err
		}
		pipes[i] = [2]*os.File{r, w}
	}
	return pipes, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// stdinPipe is the write end of a child's stdin; f is nil when there is no pipe.
type stdinPipe struct {
	f    *os.File
	once sync.Once
	err  error
}

func (s *stdinPipe) Write(b []byte) (int, error) {
	if s.f == nil {
		return 0, os.ErrClosed
	}
	return s.f.Write(b)
}

func (s *stdinPipe) Close() error {
	if s.f != nil {
		s.once.Do(func() { s.err = s.f.Close() })
	}
	return s.err
}

// stdoutPipe is the read end of a child's stdout; f is nil when there is no pipe.
type stdoutPipe struct {
	f    *os.File
	gone atomic.Bool
}

func (s *stdoutPipe) Read(b []byte) (int, error) {
	if s.f == nil {
		return 0, io.EOF
	}
	if s.gone.Load() {
		s.f.SetReadDeadline(time.Now().Add(pipeGrace))
	}
	n, err := s.f.Read(b)
	if err != nil && n == 0 {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = io.EOF
		}
		s.f.Close()
	}
	return n, err
}

func (s *stdoutPipe) Close() error {
	if s.f == nil {
		return nil
	}
	if err := s.f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// ended makes sure that a reader comes to an end. Where the pipe knows no
// deadlines (Windows) the job has taken every writer with it.
func (s *stdoutPipe) ended() {
	if s.f == nil {
		return
	}
	s.gone.Store(true)
	s.f.SetReadDeadline(time.Now().Add(pipeGrace))
}

// EnvValue returns the last value of key in an environment list, as a child
// would see it; on Windows names are compared without case.
func EnvValue(env []string, key string) (string, bool) {
	for i := len(env) - 1; i >= 0; i-- {
		k, v, ok := strings.Cut(env[i], "=")
		if ok && (k == key || envFold && strings.EqualFold(k, key)) {
			return v, true
		}
	}
	return "", false
}
