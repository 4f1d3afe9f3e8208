// Package git runs the git CLI safely: GIT_* of the parent removed, no prompts,
// no pager, no editor, no optional locks, no file system monitor, a deadline
// and bounded output for every call, messages in English whatever the user's
// locale. It holds no state and decides nothing; packages checkpoint and engine
// call it.
//
// Invariants: no call outlives its deadline; no call asks anybody anything;
// paths go to git behind "--" or over stdin, so that a file's name is never
// taken for an option.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/proc"
)

const (
	// DefaultTimeout bounds a call whose context has no deadline.
	DefaultTimeout = 30 * time.Second
	// DefaultMax bounds stdout in bytes where Command.Max is 0.
	DefaultMax = 16 << 20
)

// Command is one git invocation.
type Command struct {
	Dir  string
	Args []string
	// Config are settings of this call, "name=value".
	Config []string
	Env    []string // added after the cleaning, e.g. GIT_INDEX_FILE
	Stdin  []byte
	Max    int64 // bound on stdout, default 16 MiB
	// Progress receives stderr as it comes; may be nil.
	Progress io.Writer
	// Hooks says that the user's hooks and filters may run programs for whom a
	// plain C locale is too little.
	Hooks bool
	// Tail bounds the stderr that is kept, in bytes; 0 is 16 KiB.
	Tail int
}

// Output is the result of a Command.
type Output struct {
	Stdout    []byte
	Stderr    string
	Truncated bool
}

// Error is a git command that failed.
type Error struct {
	Args   []string
	Exit   int // -1 when a signal ended it
	Stderr string
	// Stdout is the beginning of what it printed: some failures are told there.
	Stdout string
}

func (e *Error) Error() string {
	name := "git"
	if len(e.Args) > 0 {
		name += " " + e.Args[0]
	}
	if e.Stderr == "" {
		return fmt.Sprintf("%s: exit code %d", name, e.Exit)
	}
	return fmt.Sprintf("%s: exit code %d: %s", name, e.Exit, e.Stderr)
}

// settings go before every subcommand. A monitor would leave a daemon behind
// and is a program the repository names; advice is for people at a terminal.
var settings = []string{
	"--no-pager",
	"-c", "core.fsmonitor=false",
	"-c", "core.quotePath=false",
	"-c", "color.ui=false",
	"-c", "advice.addEmbeddedRepo=false",
	"-c", "gc.auto=0",
	"-c", "maintenance.auto=false",
}

// Run runs git. A non-zero exit is an *Error with the cleaned stderr; no git at
// all is an *api.Error CodeUnavailable; a call past its deadline wraps
// context.DeadlineExceeded. Stdout past the bound is cut and marked, and the
// exit code then means nothing.
func Run(ctx context.Context, c Command) (Output, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, DefaultTimeout, errors.New("git took longer than "+DefaultTimeout.String()))
		defer cancel()
	}
	max := c.Max
	if max <= 0 {
		max = DefaultMax
	}
	env := append(cleanEnv(environ(ctx)), c.Env...)
	if c.Hooks {
		env = append(env, "LC_ALL=C.UTF-8")
	}
	path, _ := proc.EnvValue(env, "PATH")
	program, err := proc.LookPath("git", path)
	if err != nil {
		return Output{}, missing()
	}
	args := append([]string(nil), settings...)
	for _, kv := range c.Config {
		args = append(args, "-c", kv)
	}
	var stdin io.Reader
	if c.Stdin != nil {
		stdin = bytes.NewReader(c.Stdin)
	}
	res, err := proc.Run(ctx, proc.Spec{
		Name: "git",
		Path: program,
		Args: append(args, c.Args...),
		Dir:  c.Dir,
		Env:  env,
		// Without a terminal of its own nothing below can ask at ours.
		NewSession: true,
		Stderr:     c.Progress,
		StderrTail: c.Tail,
	}, stdin, max)
	if err != nil {
		return Output{}, err
	}
	if res.Truncated {
		return Output{Stdout: res.Stdout, Truncated: true}, nil
	}
	if res.ExitCode != 0 {
		return Output{Stdout: res.Stdout, Stderr: res.Stderr}, &Error{Args: c.Args, Exit: res.ExitCode, Stderr: strings.TrimSpace(res.Stderr),
			Stdout: proc.Text(res.Stdout[:min(len(res.Stdout), 4<<10)])}
	}
	return Output{Stdout: res.Stdout, Stderr: res.Stderr}, nil
}

type envKey struct{}

// WithEnv returns a context in which git and gh run in the given environment
// instead of this process's: a person's hooks need their login PATH. GIT_* is
// taken out of it all the same.
func WithEnv(ctx context.Context, environ []string) context.Context {
	return context.WithValue(ctx, envKey{}, environ)
}

func environ(ctx context.Context) []string {
	if env, ok := ctx.Value(envKey{}).([]string); ok && env != nil {
		return env
	}
	return os.Environ()
}

// overrides replace what a person's shell may have set.
var overrides = []string{
	"GIT_TERMINAL_PROMPT=0",
	"GIT_OPTIONAL_LOCKS=0",
	"GIT_PAGER=cat",
	"GIT_EDITOR=:",
	"GIT_SEQUENCE_EDITOR=:",
	"GIT_ASKPASS=",
	"SSH_ASKPASS=",
	"SSH_ASKPASS_REQUIRE=never",
	"GCM_INTERACTIVE=never",
	"LC_ALL=C",
	"LANGUAGE=",
}

// cleanEnv removes GIT_* (a backend started from a hook or an alias would work
// on the wrong repository) and sets the overrides.
func cleanEnv(environ []string) []string {
	drop := map[string]bool{"EDITOR": true, "VISUAL": true, "PAGER": true, "GPG_TTY": true}
	for _, o := range overrides {
		name, _, _ := strings.Cut(o, "=")
		drop[name] = true
	}
	out := make([]string, 0, len(environ)+len(overrides))
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		// Windows does not tell names apart by case.
		name = strings.ToUpper(name)
		if strings.HasPrefix(name, "GIT_") || drop[name] {
			continue
		}
		out = append(out, kv)
	}
	return append(out, overrides...)
}

func missing() error {
	return &api.Error{
		Code:    api.CodeUnavailable,
		Message: "Git was not found.",
		Hint:    "Install Git " + minVersion + " or newer in this environment; until then threads work without diffs.",
	}
}

// Repo is a working tree. Top is its root (absolute), GitDir the repository's
// directory of this working tree.
type Repo struct{ Top, GitDir string }

// CommonDir is the directory that all working trees of the repository share;
// GitDir itself in the main one.
func (r Repo) CommonDir() string {
	line := readLine(filepath.Join(r.GitDir, "commondir"))
	switch {
	case line == "":
		return r.GitDir
	case filepath.IsAbs(line):
		return filepath.FromSlash(line)
	}
	return filepath.Join(r.GitDir, filepath.FromSlash(line))
}

// readLine reads a small file of Git's own, "" where there is none.
func readLine(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// ErrNotRepo: the directory is not inside a working tree.
var ErrNotRepo = errors.New("not a Git repository")

// Open finds the working tree that dir is in. Errors: ErrNotRepo; *api.Error
// when git is missing or too old; *Error, e.g. for a repository that git
// refuses because another user owns it.
func Open(ctx context.Context, dir string) (Repo, error) {
	if !Inside(dir) {
		return Repo{}, ErrNotRepo
	}
	out, err := Run(ctx, Command{Dir: dir, Args: []string{"rev-parse", "--show-toplevel", "--absolute-git-dir"}, Max: 64 << 10})
	if err != nil {
		var e *Error
		if errors.As(err, &e) && (strings.Contains(e.Stderr, "not a git repository") || strings.Contains(e.Stderr, "must be run in a work tree")) {
			return Repo{}, ErrNotRepo
		}
		return Repo{}, fmt.Errorf("open repository: %w", err)
	}
	top, rest, ok := strings.Cut(string(out.Stdout), "\n")
	gitDir, _, ok2 := strings.Cut(rest, "\n")
	if !ok || !ok2 || top == "" || gitDir == "" {
		return Repo{}, ErrNotRepo
	}
	return Repo{Top: filepath.FromSlash(top), GitDir: filepath.FromSlash(gitDir)}, nil
}

// Inside reports whether dir or one of its parents holds a ".git", without
// starting a process: in a folder without one Git is never called.
func Inside(dir string) bool {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}

// CheckedOut is what a folder is at: a branch, or the commit DetachedAt where none
// is checked out. Repo is false outside Git; nothing else is set then.
type CheckedOut struct {
	Repo               bool
	Branch, DetachedAt string
}

// CheckedOut tells what is checked out. It reads HEAD's own file in the place of a
// process, which is right for a branch without a commit too; where refs are no
// files there is a placeholder in it, and Git is asked.
func (r Repo) CheckedOut(ctx context.Context) (CheckedOut, error) {
	h := CheckedOut{Repo: true}
	b, err := os.ReadFile(filepath.Join(r.GitDir, "HEAD"))
	if err != nil {
		return h, fmt.Errorf("read HEAD: %w", err)
	}
	line := strings.TrimSpace(string(b))
	name, isBranch := strings.CutPrefix(line, "ref: refs/heads/")
	switch {
	case isBranch && name != ".invalid":
		h.Branch = name
		return h, nil
	case !strings.HasPrefix(line, "ref:"):
		h.DetachedAt = line
		return h, nil
	}
	out, err := Run(ctx, Command{Dir: r.Top, Args: []string{"symbolic-ref", "--quiet", "HEAD"}, Max: 4096})
	if name, ok := strings.CutPrefix(strings.TrimSpace(string(out.Stdout)), "refs/heads/"); err == nil && ok {
		h.Branch = name
		return h, nil
	}
	h.DetachedAt, err = Head(ctx, r.Top)
	return h, err
}

// minVersion is the oldest Git that is known to do all we ask.
const minVersion = "2.34"

var versionPattern = regexp.MustCompile(`^git version (\d+)\.(\d+)`)

// Check asks git for its version. Errors: *api.Error CodeUnavailable when there
// is none, or one older than 2.34.
func Check(ctx context.Context) (version string, err error) {
	out, err := Run(ctx, Command{Args: []string{"version"}, Max: 4096})
	if err != nil {
		return "", err
	}
	return parseVersion(string(out.Stdout))
}

func parseVersion(out string) (string, error) {
	m := versionPattern.FindStringSubmatch(out)
	if m == nil {
		return "", &api.Error{Code: api.CodeUnavailable, Message: "The program git does not tell its version.", Hint: "Install Git " + minVersion + " or newer."}
	}
	major, err1 := strconv.Atoi(m[1])
	minor, err2 := strconv.Atoi(m[2])
	version := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(out), "git version "))
	if errors.Join(err1, err2) != nil || major < 2 || major == 2 && minor < 34 {
		return version, &api.Error{
			Code:    api.CodeUnavailable,
			Message: "Git " + version + " is too old.",
			Hint:    "Install Git " + minVersion + " or newer in this environment.",
		}
	}
	return version, nil
}
