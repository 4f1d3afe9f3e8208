// Package loginenv finds the environment a person has in a new terminal: what
// their login shell's start-up files make of it. Agents and terminals start with
// it, because a program started by a desktop or by wsl.exe has not read those
// files and would find the wrong programs, or none. It runs the shell once and
// never again until asked, never fails (a broken profile costs a warning), and
// lets none of this product's own variables through. The registry of agents and
// the terminals call it; it is never on the readiness path.
package loginenv

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"catamaran/internal/proc"
)

const (
	// DefaultTimeout bounds the shell's start-up files.
	DefaultTimeout = 5 * time.Second
	// maxOutput bounds what the start-up files may print together with the environment, in bytes.
	maxOutput = 4 << 20
	// ownPrefix marks variables of this product.
	ownPrefix = "CATAMARAN_"
)

// Options say whose environment; zero values are the user's own.
type Options struct {
	// Base is the environment the shell starts with; nil means this process's.
	Base []string
	// Shell overrides SHELL of Base and the user database. Absolute path.
	Shell string
	// Forward are variables added where the result has none of that name; those
	// that Wins names replace what it has (W3.6).
	Forward map[string]string
	Wins    []string
	// Timeout bounds the shell; 0 means DefaultTimeout.
	Timeout time.Duration
	// HasTerminal says that a person started the process from a terminal, so that
	// its environment is a login environment already. nil asks the system, which
	// is wrong in a WSL distro: there every program has a terminal (WSL facts A3.1).
	HasTerminal func() bool
}

// Source captures once and remembers. Safe for concurrent use.
type Source struct {
	o  Options
	mu sync.Mutex // held while capturing: others wait for the same result

	captured bool
	env      []string
	warning  string
}

// New returns a source that has not captured yet.
func New(o Options) *Source {
	if o.Base == nil {
		o.Base = os.Environ()
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.HasTerminal == nil {
		o.HasTerminal = hasTerminal
	}
	return &Source{o: o}
}

// Env returns the login environment as KEY=VALUE, captured at the first call and
// again when fresh is set. The warning is for people, "" when all went well;
// with one the environment is the process's own.
func (s *Source) Env(ctx context.Context, fresh bool) (env []string, warning string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fresh || !s.captured {
		env, warning := s.capture(ctx)
		if ctx.Err() != nil {
			return env, warning // not remembered: the caller went away
		}
		s.env, s.warning, s.captured = env, warning, true
	}
	return slices.Clone(s.env), s.warning
}

func (s *Source) capture(ctx context.Context) ([]string, string) {
	base := withoutOwn(s.o.Base)
	shell, args := s.shell()
	if shell == "" || s.o.HasTerminal() {
		return s.forward(base), ""
	}
	env, err := s.ask(ctx, shell, args, base)
	if err != nil {
		return s.forward(base), fmt.Sprintf("The login environment could not be read (%v); programs that only your shell's start-up files make known may not be found.", err)
	}
	return s.forward(withoutOwn(keepPath(restore(env, base), base))), ""
}

// Shell is the login shell that is asked, "" where none is.
func (s *Source) Shell() string {
	shell, _ := s.shell()
	return shell
}

// shell returns the login shell and its switches; "" where there is none to ask.
func (s *Source) shell() (string, []string) {
	shell := s.o.Shell
	if shell == "" {
		shell, _ = proc.EnvValue(s.o.Base, "SHELL")
	}
	if !filepath.IsAbs(shell) {
		shell = userShell()
	}
	if shell == "" {
		return "", nil
	}
	switch name := filepath.Base(shell); name {
	case "nologin", "false", "true":
		return "", nil
	case "csh", "tcsh":
		return shell, []string{"-c"} // they take -l only alone
	default:
		return shell, []string{"-l", "-i", "-c"}
	}
}

func (s *Source) ask(ctx context.Context, shell string, args []string, base []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	var raw [12]byte
	_, _ = rand.Read(raw[:]) // never fails
	// Start-up files may print anything, so the environment stands between marks they cannot know.
	begin, end := "<"+hex.EncodeToString(raw[:6]), hex.EncodeToString(raw[6:])+">"
	command := fmt.Sprintf("/usr/bin/env printf %%s %s; /usr/bin/env -0; /usr/bin/env printf %%s %s", quote(begin), quote(end))
	name := filepath.Base(shell)
	// Not guarded: an ssh-agent that a profile starts must outlive the shell, as it
	// does after an ordinary login.
	r, err := proc.Run(ctx, proc.Spec{
		Name: name, Path: shell, Args: append(slices.Clone(args), command), Dir: home(base),
		Env: append(slices.Clone(base), captureEnv...), NewSession: true,
	}, nil, maxOutput)
	env, ok := between(r.Stdout, begin, end)
	switch {
	case ok:
		return env, nil // whatever the shell's exit code: logout files may fail
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("%s was not done with its start-up files after %v", name, s.o.Timeout)
	case err != nil:
		return nil, err
	case r.Truncated:
		return nil, fmt.Errorf("the start-up files of %s print too much", name)
	}
	return nil, fmt.Errorf("%s ended with exit code %d without telling", name, r.ExitCode)
}

// captureEnv keeps start-up files from asking questions.
var captureEnv = []string{"TERM=dumb", "DISABLE_AUTO_UPDATE=true", "GIT_TERMINAL_PROMPT=0"}

// private are variables of the capturing shell itself; the base's values come back.
var private = []string{"TERM", "DISABLE_AUTO_UPDATE", "GIT_TERMINAL_PROMPT", "PWD", "OLDPWD", "SHLVL", "_"}

// quote is for marks of hexadecimal digits and brackets, the same in every shell.
func quote(s string) string { return "'" + s + "'" }

// between returns the NUL-separated variables between the marks.
func between(out []byte, begin, end string) ([]string, bool) {
	i := bytes.Index(out, []byte(begin))
	if i < 0 {
		return nil, false
	}
	out = out[i+len(begin):]
	i = bytes.LastIndex(out, []byte("\x00"+end))
	if i < 0 {
		return nil, false
	}
	var env []string
	for entry := range strings.SplitSeq(string(out[:i]), "\x00") {
		if name, _, ok := strings.Cut(entry, "="); ok && name != "" {
			env = append(env, entry)
		}
	}
	return env, len(env) > 0
}

func nameOf(entry string) string {
	name, _, _ := strings.Cut(entry, "=")
	return name
}

func restore(env, base []string) []string {
	env = slices.DeleteFunc(env, func(e string) bool { return slices.Contains(private, nameOf(e)) })
	for _, name := range private {
		if v, ok := proc.EnvValue(base, name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// keepPath appends the folders of the base's PATH that the start-up files dropped.
// Debian's /etc/profile sets PATH anew, and with it goes what only whoever
// started us knows of, such as WSL's own folder.
func keepPath(env, base []string) []string {
	now, _ := proc.EnvValue(env, "PATH")
	before, _ := proc.EnvValue(base, "PATH")
	dirs := filepath.SplitList(now)
	for _, dir := range filepath.SplitList(before) {
		if dir != "" && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	path := strings.Join(dirs, string(os.PathListSeparator))
	if path == now {
		return env
	}
	return append(slices.DeleteFunc(env, func(e string) bool { return nameOf(e) == "PATH" }), "PATH="+path)
}

// withoutOwn drops this product's variables: agents have no business with them.
func withoutOwn(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(e string) bool { return strings.HasPrefix(nameOf(e), ownPrefix) })
}

func (s *Source) forward(env []string) []string {
	names := make([]string, 0, len(s.o.Forward))
	for name := range s.o.Forward {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasPrefix(name, ownPrefix) {
			continue
		}
		_, has := proc.EnvValue(env, name)
		if has && slices.Contains(s.o.Wins, name) {
			env = slices.DeleteFunc(env, func(e string) bool { _, same := proc.EnvValue([]string{e}, name); return same })
			has = false
		}
		if !has {
			env = append(env, name+"="+s.o.Forward[name])
		}
	}
	return env
}

func home(env []string) string {
	h, _ := proc.EnvValue(env, "HOME")
	if info, err := os.Stat(h); h == "" || err != nil || !info.IsDir() {
		return string(filepath.Separator)
	}
	return h
}
