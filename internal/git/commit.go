package git

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/proc"
)

const (
	// CommitTimeout bounds a commit with its hooks.
	CommitTimeout = 5 * time.Minute
	// pathsMost bounds the paths of one call.
	pathsMost   = 10_000
	messageMost = 64 << 10
)

// pathspecs spells paths so that Git takes each literally, for --pathspec-from-file.
func pathspecs(paths []string, all bool) ([]byte, error) {
	if all {
		return []byte(":/\x00"), nil
	}
	if len(paths) == 0 {
		return nil, &api.Error{Code: api.CodeInvalid, Message: "No files are given.", Hint: "Choose some, or all."}
	}
	if len(paths) > pathsMost {
		return nil, &api.Error{Code: api.CodeTooLarge, Message: "Too many files are given at once.", Hint: "Choose all."}
	}
	var b bytes.Buffer
	for _, p := range paths {
		if p == "" || strings.ContainsRune(p, 0) || strings.HasPrefix(p, "/") {
			return nil, &api.Error{Code: api.CodeInvalid, Message: "This is not a path of the project: " + p}
		}
		b.WriteString(":(literal)" + p + "\x00")
	}
	return b.Bytes(), nil
}

// Stage puts changes into the index: the files given, relative to dir, or all.
func Stage(ctx context.Context, dir string, paths []string, all bool) error {
	specs, err := pathspecs(paths, all)
	if err != nil {
		return err
	}
	_, err = Run(ctx, Command{Dir: dir, Args: []string{"add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul"}, Stdin: specs})
	return Explain("stage", err)
}

// Unstage takes changes out of the index again; the files stay as they are.
func Unstage(ctx context.Context, dir string, paths []string, all bool) error {
	specs, err := pathspecs(paths, all)
	if err != nil {
		return err
	}
	head, err := Head(ctx, dir)
	if err != nil {
		return err
	}
	args := []string{"reset", "--quiet", "--pathspec-from-file=-", "--pathspec-file-nul"}
	if head == "" {
		// Before the first commit there is nothing to reset to.
		args = []string{"rm", "--cached", "-r", "--quiet", "--ignore-unmatch", "--pathspec-from-file=-", "--pathspec-file-nul"}
	}
	_, err = Run(ctx, Command{Dir: dir, Args: args, Stdin: specs})
	return Explain("unstage", err)
}

// Head is the commit checked out, "" before the first one.
func Head(ctx context.Context, dir string) (string, error) {
	out, err := Run(ctx, Command{Dir: dir, Args: []string{"rev-parse", "--verify", "--quiet", "HEAD^{commit}"}, Max: 4096})
	var e *Error
	if errors.As(err, &e) && e.Exit == 1 {
		return "", nil
	}
	if err != nil {
		return "", Explain("read HEAD", err)
	}
	return strings.TrimSpace(string(out.Stdout)), nil
}

// Commit records the index. The message goes to Git over stdin; an empty one with
// amend keeps the old. It returns what hooks printed. Errors: CodeGitNothing,
// CodeGitIdentity, CodeGitHook, CodeGitSigning, CodeGitConflict, all with what was said in Details.
func Commit(ctx context.Context, dir, message string, amend bool) (output string, err error) {
	message = strings.TrimSpace(message)
	switch {
	case message == "" && !amend:
		return "", &api.Error{Code: api.CodeInvalid, Message: "A commit needs a message.", Hint: "Write one, or let the agent suggest it."}
	case len(message) > messageMost || strings.ContainsRune(message, 0):
		return "", &api.Error{Code: api.CodeInvalid, Message: "This message is too long, or not text.", Hint: "Shorten it."}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, CommitTimeout, errors.New("the commit took longer than "+CommitTimeout.String()))
	defer cancel()
	args := []string{"commit", "--quiet", "--cleanup=whitespace"}
	c := Command{Dir: dir, Hooks: true, Max: 1 << 20, Tail: 64 << 10}
	if amend {
		args = append(args, "--amend", "--allow-empty")
	}
	if message == "" {
		args = append(args, "--no-edit")
	} else {
		args = append(args, "--file=-")
		c.Stdin = []byte(message + "\n")
	}
	c.Args = args
	out, err := Run(ctx, c)
	if err != nil {
		return "", Explain("commit", err)
	}
	return strings.TrimSpace(proc.Text(out.Stdout) + out.Stderr), nil
}

// Subject is the first line of a commit's message.
func Subject(ctx context.Context, dir, commit string) (string, error) {
	out, err := Run(ctx, Command{Dir: dir, Args: []string{"log", "-1", "--no-show-signature", "--format=%s", commit, "--"}, Max: 64 << 10})
	if err != nil {
		return "", Explain("read the commit", err)
	}
	return strings.TrimSpace(proc.Text(out.Stdout)), nil
}
