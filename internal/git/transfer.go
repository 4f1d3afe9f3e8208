package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/proc"
)

const (
	// TransferTimeout bounds a push, a pull or a fetch; CloneTimeout a clone.
	TransferTimeout = 10 * time.Minute
	CloneTimeout    = 2 * time.Hour
	// outputMost bounds what of a remote's words is answered, in bytes.
	outputMost = 32 << 10
)

// remote runs a command that speaks to a remote. A GIT_SSH_COMMAND of ours makes
// ssh fail where it would ask, unless the repository names its own ssh.
func remote(ctx context.Context, c Command) (Output, error) {
	own, err := Run(ctx, Command{Dir: c.Dir, Args: []string{"config", "--get", "core.sshCommand"}, Max: 64 << 10})
	var e *Error
	if err != nil && !errors.As(err, &e) {
		return Output{}, err
	}
	if err != nil || len(own.Stdout) == 0 {
		c.Env = append(c.Env, "GIT_SSH_COMMAND=ssh -o BatchMode=yes", "GIT_SSH_VARIANT=ssh")
	}
	c.Hooks, c.Max, c.Tail = true, 1<<20, outputMost
	return Run(ctx, c)
}

func transfer(ctx context.Context, what, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, TransferTimeout, errors.New("the "+what+" took longer than "+TransferTimeout.String()))
	defer cancel()
	out, err := remote(ctx, Command{Dir: dir, Args: args})
	if err != nil {
		return "", scrub(Explain(what, err))
	}
	return hideSecrets(strings.TrimSpace(proc.Text(out.Stdout) + out.Stderr)), nil
}

// credentials match what may stand between the scheme and the host of an address.
var credentials = regexp.MustCompile(`(https?://)[^/\s@]+@`)

// hideSecrets takes credentials out of addresses.
func hideSecrets(s string) string { return credentials.ReplaceAllString(s, "$1") }

// scrub takes credentials out of an error's texts.
func scrub(err error) error {
	if a := api.AsError(err); a != nil {
		clean := *a
		clean.Message, clean.Details = hideSecrets(a.Message), hideSecrets(a.Details)
		return &clean
	}
	return err
}

// Push pushes the branch checked out to its upstream's remote; without an
// upstream to name ("" is the only remote, or origin), which becomes it. force
// overwrites the remote branch if it is still as it was fetched last.
func Push(ctx context.Context, dir, name string, force bool) (string, error) {
	branch, err := current(ctx, dir)
	if err != nil {
		return "", err
	}
	key := func(k string) (string, error) {
		out, err := Run(ctx, Command{Dir: dir, Args: []string{"config", "--get", "branch." + branch + "." + k}, Max: 64 << 10})
		var e *Error
		if errors.As(err, &e) && e.Exit == 1 {
			return "", nil
		}
		return strings.TrimSpace(string(out.Stdout)), err
	}
	upstream, err := key("remote")
	if err != nil {
		return "", Explain("push", err)
	}
	merge, err := key("merge")
	if err != nil {
		return "", Explain("push", err)
	}
	args := []string{"push", "--porcelain"}
	if force {
		args = append(args, "--force-with-lease")
	}
	if upstream != "" && upstream != "." && merge != "" {
		args = append(args, "--", upstream, "HEAD:"+merge)
	} else {
		if name, err = pickRemote(ctx, dir, name); err != nil {
			return "", err
		}
		args = append(args, "--set-upstream", "--", name, "HEAD:refs/heads/"+branch)
	}
	return transfer(ctx, "push", dir, args...)
}

func pickRemote(ctx context.Context, dir, name string) (string, error) {
	names, err := Remotes(ctx, dir)
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", &api.Error{Code: api.CodeGitUpstream, Message: "This repository has no remote.", Hint: "Add one in a terminal: git remote add origin ADDRESS"}
	case name != "" && slices.Contains(names, name):
		return name, nil
	case name != "":
		return "", &api.Error{Code: api.CodeInvalid, Message: "There is no remote " + name + ".", Hint: "Choose one of: " + strings.Join(names, ", ")}
	case len(names) == 1:
		return names[0], nil
	case slices.Contains(names, "origin"):
		return "origin", nil
	}
	return "", &api.Error{Code: api.CodeGitUpstream, Message: "The repository has several remotes.", Hint: "Choose one of: " + strings.Join(names, ", ")}
}

// current is the branch checked out; CodeGitDetached where there is none.
func current(ctx context.Context, dir string) (string, error) {
	out, err := Run(ctx, Command{Dir: dir, Args: []string{"symbolic-ref", "--quiet", "--short", "HEAD"}, Max: 4096})
	var e *Error
	if errors.As(err, &e) && e.Exit == 1 {
		return "", &api.Error{Code: api.CodeGitDetached, Message: "No branch is checked out (detached HEAD).", Hint: "Create a branch for these commits, then try again."}
	}
	if err != nil {
		return "", Explain("read HEAD", err)
	}
	return strings.TrimSpace(string(out.Stdout)), nil
}

// Pull brings the upstream's commits in: how is "ff" (or ""), "merge" or "rebase".
// Conflicts are CodeGitConflict, and the operation stays under way.
func Pull(ctx context.Context, dir, how string) (string, error) {
	args := []string{"pull", "--no-edit", "--no-autostash"}
	switch how {
	case "", "ff":
		args = append(args, "--ff-only")
	case "merge":
		args = append(args, "--no-rebase", "--no-ff")
		args[len(args)-1] = "--ff"
	case "rebase":
		args = append(args, "--rebase")
	default:
		return "", &api.Error{Code: api.CodeInvalid, Message: "This way to pull is not known: " + how, Hint: "Use ff, merge or rebase."}
	}
	if _, err := current(ctx, dir); err != nil {
		return "", err
	}
	return transfer(ctx, "pull", dir, args...)
}

// Fetch fetches from all remotes.
func Fetch(ctx context.Context, dir string, prune bool) (string, error) {
	args := []string{"fetch", "--all", "--no-auto-maintenance"}
	if prune {
		args = append(args, "--prune")
	}
	return transfer(ctx, "fetch", dir, args...)
}

// Progress is where a clone stands.
type Progress struct {
	Phase   string // as Git words it
	Percent int
}

// CloneOptions say what to clone.
type CloneOptions struct {
	URL, Branch string
	Depth       int
	// Dir is the new folder, absolute; it must not exist, or be empty.
	Dir string
	// Progress is told where it stands; Output gets all that Git says. Both may be nil.
	Progress func(Progress)
	Output   func([]byte)
}

// schemes are the transports a clone may use; others could run programs ("ext::").
var schemes = []string{"http", "https", "ssh", "git", "file"}

// CheckURL refuses an address that Git would take for an option or a command, or
// that carries a password.
func CheckURL(address string) error {
	bad := func(message, hint string) error {
		return &api.Error{Code: api.CodeInvalid, Message: message, Hint: hint}
	}
	address = strings.TrimSpace(address)
	switch {
	case address == "" || strings.HasPrefix(address, "-") || strings.ContainsAny(address, "\x00\n\r"):
		return bad("This is no address of a repository.", "Use one such as https://host/owner/name.git or git@host:owner/name.git")
	case strings.Contains(address, "::"):
		return bad("This kind of address is not allowed.", "Use https, ssh or a path.")
	case strings.Contains(address, "://"):
		u, err := url.Parse(address)
		if err != nil || !slices.Contains(schemes, strings.ToLower(u.Scheme)) {
			return bad("This kind of address is not allowed.", "Use https, ssh or a path.")
		}
		if _, secret := u.User.Password(); secret {
			return bad("The address holds a password, which Git would keep in the clone's configuration.", "Leave it out: sign in with a credential helper, or use ssh.")
		}
		if strings.HasPrefix(u.Host, "-") {
			return bad("This is no address of a repository.", "")
		}
	}
	return nil
}

// RepoName is the folder that Git would make for an address; "" where it can't be told.
func RepoName(address string) string {
	s := strings.TrimRight(strings.TrimSpace(address), "/\\")
	s = strings.TrimSuffix(strings.TrimSuffix(s, "/.git"), ".git")
	if i := strings.LastIndexAny(s, "/\\:"); i >= 0 {
		s = s[i+1:]
	}
	if s == "." || s == ".." || strings.HasPrefix(s, "-") {
		return ""
	}
	return s
}

// Clone clones into o.Dir. When it fails or ctx ends Git removes what it made.
func Clone(ctx context.Context, o CloneOptions) error {
	if err := CheckURL(o.URL); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, CloneTimeout, errors.New("the clone took longer than "+CloneTimeout.String()))
	defer cancel()
	args := []string{"clone", "--progress"}
	if o.Branch != "" {
		if strings.HasPrefix(o.Branch, "-") {
			return &api.Error{Code: api.CodeInvalid, Message: "This is no name for a branch: " + o.Branch}
		}
		args = append(args, "--branch", o.Branch)
	}
	if o.Depth > 0 {
		args = append(args, "--depth", strconv.Itoa(o.Depth))
	}
	args = append(args, "--", strings.TrimSpace(o.URL), o.Dir)
	before, look := os.ReadDir(o.Dir)
	_, err := remote(ctx, Command{Dir: filepath.Dir(o.Dir), Args: args, Progress: &progress{o: o}})
	// Git cleans up after itself, but not when it is killed.
	if err != nil && (errors.Is(look, fs.ErrNotExist) || look == nil && len(before) == 0) {
		if rerr := wipe(o.Dir, look == nil); rerr != nil {
			err = errors.Join(err, fmt.Errorf("remove what was cloned: %w", rerr))
		}
	}
	return scrub(Explain("clone", err))
}

// wipe removes a folder, or with keep what is in it.
func wipe(dir string, keep bool) error {
	if !keep {
		return os.RemoveAll(dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// progress reads Git's progress lines, which end in a carriage return while they change.
type progress struct {
	mu   sync.Mutex
	o    CloneOptions
	line []byte
}

func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.o.Output != nil {
		p.o.Output(b)
	}
	for _, c := range b {
		if c != '\r' && c != '\n' {
			if len(p.line) < 512 {
				p.line = append(p.line, c)
			}
			continue
		}
		if at, ok := parseProgress(string(p.line)); ok && p.o.Progress != nil {
			p.o.Progress(at)
		}
		p.line = p.line[:0]
	}
	return len(b), nil
}

var progressLine = regexp.MustCompile(`^(?:remote: )?([A-Z][a-z]+ [a-z]+|Filtering content): +(\d{1,3})%`)

func parseProgress(line string) (Progress, bool) {
	m := progressLine.FindStringSubmatch(line)
	if m == nil {
		return Progress{}, false
	}
	n, err := strconv.Atoi(m[2])
	if err != nil || n > 100 {
		return Progress{}, false
	}
	return Progress{Phase: m[1], Percent: n}, true
}
