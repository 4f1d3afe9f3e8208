// Package checkpoint snapshots a working tree before and after each turn and
// tells what changed between two snapshots. The engine calls it, never for a
// folder outside Git: such a folder has no snapshots, which is no error.
//
// A snapshot is a tree object, made with a copy of the user's index in a
// temporary folder, and kept by the hidden ref
// refs/catamaran/checkpoints/<thread>/<label>, which points at the tree itself.
// That is a choice between three:
//
//   - A commit under a hidden ref shows up in `git log --all`, gitk and every
//     program that lists all refs.
//   - A store of our own that borrows the repository's objects leaves the
//     repository alone, but the user's garbage collection does not know of it:
//     after a rebase and a gc, objects of old snapshots are gone.
//   - A ref to a tree is no history: `git log --all`, `git branch`, `git stash
//     list` and the reflogs never show it, default fetches and pushes do not
//     move it, and the user's own gc keeps exactly what a snapshot needs. What
//     it costs: `git for-each-ref` and `git push --mirror` see it.
//
// Invariants: the user's index, branches, HEAD, stash, reflogs, configuration
// and hooks are never touched or run; ignored files are never read; a snapshot
// is of the project's folder, so a project in a subfolder says nothing about
// its neighbours; threads working in one repository at once do not meet.
// Filters that the user set up (line endings, LFS) run as in `git add`: without
// them every file they touch would look changed.
package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/git"
)

const (
	// refRoot is the namespace of every ref made here.
	refRoot = "refs/catamaran/checkpoints/"
	// MaxFileBytes is the size past which an untracked file is noted, not kept.
	MaxFileBytes = 50 << 20
	// maxLarge bounds the large files noted in one snapshot; what goes past it is left out.
	maxLarge = 200
	// Timeout bounds each operation as a whole where the caller's context does not.
	Timeout = 60 * time.Second
	// maxList bounds a list of untracked names in bytes.
	maxList = 32 << 20
)

// Store takes and compares snapshots. It has no state of its own.
type Store struct {
	maxFile int64
	bounds  bounds
}

// New returns a Store with the bounds of the product.
func New() *Store {
	return &Store{maxFile: MaxFileBytes, bounds: defaultBounds}
}

// quiet keeps an operation from running anything of the user's but filters and
// from writing anything but objects.
var quiet = []string{
	"core.hooksPath=/dev/null",
	"core.logAllRefUpdates=false",
	"core.splitIndex=false",
	"core.safecrlf=false",
	"diff.ignoreSubmodules=dirty",
}

func run(ctx context.Context, c git.Command) (git.Output, error) {
	c.Config = quiet
	return git.Run(ctx, c)
}

// Take snapshots dir (absolute) and returns a reference for Diff, the tree's
// object id. It is "" and nil where dir is not in a Git repository, or is
// ignored by the one around it. A label that was used before is replaced;
// references given out for it stay valid until Git's next pruning. Files that
// cannot be read are left as they were in the index; untracked ones above 50
// MiB are represented by a line of text with their size and time.
func (s *Store) Take(ctx context.Context, dir, threadID, label string) (ref string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, Timeout, errors.New("the snapshot took longer than "+Timeout.String()))
	defer cancel()
	repo, err := git.Open(ctx, dir)
	if errors.Is(err, git.ErrNotRepo) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("take checkpoint: %w", err)
	}
	tmp, err := os.MkdirTemp("", "catamaran-checkpoint-")
	if err != nil {
		return "", fmt.Errorf("take checkpoint: %w", err)
	}
	defer os.RemoveAll(tmp)
	index := filepath.Join(tmp, "index")
	if err := copyIndex(filepath.Join(repo.GitDir, "index"), index); err != nil {
		return "", fmt.Errorf("take checkpoint: copy the index: %w", err)
	}
	t := taker{store: s, dir: dir, env: []string{"GIT_INDEX_FILE=" + index}}
	tree, err := t.tree(ctx)
	if err != nil {
		return "", fmt.Errorf("take checkpoint: %w", err)
	}
	if tree == "" {
		return "", nil
	}
	if _, err := run(ctx, git.Command{Dir: dir, Args: []string{"update-ref", "--no-deref", refName(threadID, label), tree}}); err != nil {
		return "", fmt.Errorf("take checkpoint: %w", err)
	}
	return tree, nil
}

// copyIndex copies the user's index with its time: Git compares that time with
// the files' to know which entries it has to look at again, and a younger copy
// would hide a change made right after the index was written.
func copyIndex(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was ever added
	}
	if err != nil {
		return err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Chtimes(to, st.ModTime(), st.ModTime())
}

type taker struct {
	store *Store
	dir   string
	env   []string
}

func (t taker) git(ctx context.Context, stdin []byte, args ...string) (git.Output, error) {
	return run(ctx, git.Command{Dir: t.dir, Args: args, Env: t.env, Stdin: stdin, Max: maxList})
}

// tree writes the working tree as objects; "" where the project is ignored.
func (t taker) tree(ctx context.Context) (string, error) {
	large, err := t.large(ctx)
	if err != nil {
		return "", err
	}
	// "." keeps a project in a subfolder to itself. Large files are left out
	// here and come back as notes below.
	specs := []byte(".\x00")
	for _, f := range large {
		specs = append(specs, ":(exclude,literal)"+f.path+"\x00"...)
	}
	_, err = t.git(ctx, specs, "add", "--all", "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul")
	if stderr := failure(err, 1); strings.Contains(stderr, "paths are ignored") {
		return "", nil
	} else if stderr != "" {
		err = nil // some file could not be read; the others are in
	}
	if err != nil {
		return "", err
	}
	if err := t.note(ctx, large); err != nil {
		return "", err
	}
	out, err := t.git(ctx, nil, "write-tree")
	if strings.Contains(failure(err, 128), "unmerged") || strings.Contains(failure(err, 128), "not able to write tree") || strings.Contains(failure(err, 128), "error building trees") {
		// A merge with conflicts outside the project's folder is under way.
		if _, err = t.git(ctx, nil, "add", "--all", "--ignore-errors", ":/"); err == nil || failure(err, 1) != "" {
			out, err = t.git(ctx, nil, "write-tree")
		}
	}
	if err != nil {
		return "", err
	}
	tree := strings.TrimSpace(string(out.Stdout))
	if !objectID.MatchString(tree) {
		return "", errors.New("write-tree printed no object id")
	}
	return tree, nil
}

// failure returns what a git that ended with the exit code said, "" otherwise.
func failure(err error, exit int) string {
	var e *git.Error
	if errors.As(err, &e) && e.Exit == exit {
		return e.Stderr + "\n"
	}
	return ""
}

// largeFile is an untracked file too big to keep. path is relative to dir, with slashes.
type largeFile struct {
	path string
	size int64
	at   time.Time
}

// large lists the untracked files that are too big.
func (t taker) large(ctx context.Context) ([]largeFile, error) {
	out, err := t.git(ctx, nil, "ls-files", "-z", "--others", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	if out.Truncated {
		return nil, &api.Error{
			Code:    api.CodeTooLarge,
			Message: "There are too many untracked files here for a snapshot.",
			Hint:    "Add generated folders to .gitignore.",
		}
	}
	var list []largeFile
	for name := range bytes.SplitSeq(out.Stdout, []byte{0}) {
		if len(name) == 0 {
			continue
		}
		st, err := os.Lstat(filepath.Join(t.dir, filepath.FromSlash(string(name))))
		if err == nil && st.Mode().IsRegular() && st.Size() > t.store.maxFile {
			list = append(list, largeFile{path: string(name), size: st.Size(), at: st.ModTime()})
		}
	}
	return list, nil
}

// note puts a line of text in the place of each large file, so that one that
// appears, changes or goes is seen as that.
func (t taker) note(ctx context.Context, large []largeFile) error {
	if len(large) > maxLarge {
		large = large[:maxLarge]
	}
	if len(large) == 0 {
		return nil
	}
	prefix, err := t.git(ctx, nil, "rev-parse", "--show-prefix")
	if err != nil {
		return err
	}
	var info bytes.Buffer
	for _, f := range large {
		text := fmt.Sprintf("Not kept in the snapshot: %d bytes, changed %s.\n", f.size, f.at.UTC().Format(time.RFC3339))
		out, err := t.git(ctx, []byte(text), "hash-object", "-w", "--no-filters", "--stdin")
		if err != nil {
			return err
		}
		fmt.Fprintf(&info, "100644 %s\t%s%s\x00", bytes.TrimSpace(out.Stdout), bytes.TrimRight(prefix.Stdout, "\n"), f.path)
	}
	_, err = t.git(ctx, info.Bytes(), "update-index", "--add", "-z", "--index-info")
	return err
}

// Forget drops a thread's snapshots; Git's next pruning frees the space. A
// folder that is gone, or no repository any more, is no error.
func (s *Store) Forget(ctx context.Context, dir, threadID string) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	if _, err := git.Open(ctx, dir); err != nil {
		if errors.Is(err, git.ErrNotRepo) || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("forget checkpoints: %w", err)
	}
	out, err := run(ctx, git.Command{Dir: dir, Args: []string{"for-each-ref", "--format=%(refname)", refRoot + component(threadID) + "/"}})
	if err != nil {
		return fmt.Errorf("forget checkpoints: %w", err)
	}
	var stdin bytes.Buffer
	for name := range strings.FieldsSeq(string(out.Stdout)) {
		fmt.Fprintf(&stdin, "delete %s\x00\x00", name)
	}
	if stdin.Len() == 0 {
		return nil
	}
	if _, err := run(ctx, git.Command{Dir: dir, Args: []string{"update-ref", "--no-deref", "-z", "--stdin"}, Stdin: stdin.Bytes()}); err != nil {
		return fmt.Errorf("forget checkpoints: %w", err)
	}
	return nil
}

var objectID = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

func refName(threadID, label string) string {
	return refRoot + component(threadID) + "/" + component(label)
}

// component spells s so that it is one valid component of a ref's name, and so
// that two different ones never meet, on file systems that fold case neither.
func component(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	if b.Len() == 0 {
		return "_"
	}
	return b.String()
}
