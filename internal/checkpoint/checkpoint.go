// Package checkpoint snapshots a working tree before and after each turn and
// tells what changed between two snapshots. The engine calls it, never for a
// folder outside Git: such a folder has no snapshots, which is no error.
//
// A snapshot is a tree object, made with an index of our own that begins as a
// copy of the user's, and kept by the hidden ref
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
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// Store takes and compares snapshots. It is safe for concurrent use; snapshots of
// one folder are taken one after the other.
type Store struct {
	maxFile int64
	bounds  bounds
	indexes indexes
	recent  recent
	live    live
}

// New returns a Store with the bounds of the product. dir (absolute, made where
// needed) holds indexes while the process lives and is emptied first; "" keeps
// none between snapshots, which makes the next one slower in a large repository.
func New(dir string) *Store {
	s := &Store{maxFile: MaxFileBytes, bounds: defaultBounds}
	s.indexes.init(dir)
	return s
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

// Take snapshots dir (absolute) and returns a reference for Compare, the tree's
// object id. It is "" and nil where dir is not in a Git repository, or is
// ignored by the one around it. A label that was used before is replaced;
// references given out for it stay valid until Git's next pruning. Files that
// cannot be read are left as they were in the index; untracked ones above 50
// MiB are represented by a line of text with their size and time.
func (s *Store) Take(ctx context.Context, dir, threadID, label string) (ref string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, Timeout, errors.New("the snapshot took longer than "+Timeout.String()))
	defer cancel()
	tree, err := s.snapshot(ctx, dir)
	if err != nil || tree == "" {
		return "", err
	}
	if _, err := run(ctx, git.Command{Dir: dir, Args: []string{"update-ref", "--no-deref", refName(threadID, label), tree}}); err != nil {
		return "", fmt.Errorf("take checkpoint: %w", err)
	}
	return tree, nil
}

// Snapshot is Take without a ref to keep it: the tree is good until Git's next
// pruning, which spares what is younger than two weeks.
func (s *Store) Snapshot(ctx context.Context, dir string) (tree string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, Timeout, errors.New("the snapshot took longer than "+Timeout.String()))
	defer cancel()
	return s.snapshot(ctx, dir)
}

func (s *Store) snapshot(ctx context.Context, dir string) (tree string, err error) {
	if !git.Inside(dir) {
		return "", nil
	}
	x, release, err := s.indexes.take(ctx, dir)
	if err != nil {
		return "", fmt.Errorf("take checkpoint: %w", err)
	}
	defer release()
	repo, err := git.Open(ctx, dir)
	if errors.Is(err, git.ErrNotRepo) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("take checkpoint: %w", err)
	}
	defer func() {
		if err != nil {
			x.drop() // whatever state it is in
		}
	}()
	reused, err := x.seed(repo)
	if err != nil {
		return "", fmt.Errorf("take checkpoint: copy the index: %w", err)
	}
	t := taker{store: s, dir: dir, env: []string{"GIT_INDEX_FILE=" + x.path}}
	tree, err = t.tree(ctx, reused)
	if err != nil {
		return "", fmt.Errorf("take checkpoint: %w", err)
	}
	return tree, nil
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
// reused tells that the index was used for a snapshot before.
func (t taker) tree(ctx context.Context, reused bool) (string, error) {
	names, err := t.moved(ctx)
	if err != nil {
		return "", err
	}
	large, err := t.large(ctx, names)
	if err != nil {
		return "", err
	}
	if ignored, err := t.add(ctx, names, large); err != nil || ignored {
		return "", err
	}
	if err := t.note(ctx, large); err != nil {
		return "", err
	}
	if reused {
		if err := t.dropIgnored(ctx, names); err != nil {
			return "", err
		}
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

// moved lists the files that are not in the index as they are on disk: new,
// changed and deleted ones, relative to dir. A repository within ends in a slash.
func (t taker) moved(ctx context.Context) ([]string, error) {
	out, err := t.git(ctx, nil, "ls-files", "-z", "--others", "--modified", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	if out.Truncated {
		return nil, &api.Error{
			Code:    api.CodeTooLarge,
			Message: "There are too many changed and untracked files here for a snapshot.",
			Hint:    "Add generated folders to .gitignore.",
		}
	}
	var names []string
	for name := range bytes.SplitSeq(out.Stdout, []byte{0}) {
		if len(name) > 0 {
			names = append(names, string(name))
		}
	}
	return names, nil
}

// few is up to how many names are put into the index by name, which spares Git another walk of the tree.
const few = 2000

// add puts what moved into the index, but for large files; ignored tells that the
// whole project is.
func (t taker) add(ctx context.Context, names []string, large []largeFile) (ignored bool, err error) {
	skip := map[string]bool{}
	for _, f := range large {
		skip[f.path] = true
	}
	var list bytes.Buffer
	plain := len(names) <= few
	for _, n := range names {
		if skip[n] {
			continue
		}
		plain = plain && !strings.HasSuffix(n, "/")
		list.WriteString(n + "\x00")
	}
	if plain && len(names) > 0 {
		if list.Len() == 0 {
			return false, nil
		}
		if _, err := t.git(ctx, list.Bytes(), "update-index", "--add", "--remove", "--replace", "-z", "--stdin"); err == nil || ctx.Err() != nil {
			return false, err
		}
		// Something of it can't be read: git add goes on with the rest.
	}
	if len(names) == 0 && t.known(ctx) {
		return false, nil
	}
	// "." keeps a project in a subfolder to itself. Large files are left out
	// here and come back as notes.
	specs := []byte(".\x00")
	for _, f := range large {
		specs = append(specs, ":(exclude,literal)"+f.path+"\x00"...)
	}
	_, err = t.git(ctx, specs, "add", "--all", "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul")
	if stderr := failure(err, 1); strings.Contains(stderr, "paths are ignored") {
		return true, nil
	} else if stderr != "" {
		err = nil // some file could not be read; the others are in
	}
	return false, err
}

// known reports whether the index has anything of the project: where it has
// nothing and nothing moved, the project may be ignored as a whole.
func (t taker) known(ctx context.Context) bool {
	out, err := run(ctx, git.Command{Dir: t.dir, Args: []string{"ls-files", "-z"}, Env: t.env, Max: 1})
	return err == nil && len(out.Stdout) > 0
}

// dropIgnored takes out of a used index what has become ignored since it was put in,
// unless the user's own index has it.
func (t taker) dropIgnored(ctx context.Context, names []string) error {
	rules := false
	for _, n := range names {
		rules = rules || n == ".gitignore" || strings.HasSuffix(n, "/.gitignore")
	}
	if !rules {
		return nil
	}
	out, err := t.git(ctx, nil, "ls-files", "-z", "--cached", "--ignored", "--exclude-standard")
	if err != nil || len(out.Stdout) == 0 {
		return err
	}
	own, err := run(ctx, git.Command{Dir: t.dir, Args: []string{"ls-files", "-z", "--cached", "--ignored", "--exclude-standard"}, Max: maxList})
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for name := range bytes.SplitSeq(own.Stdout, []byte{0}) {
		keep[string(name)] = true
	}
	var list bytes.Buffer
	for name := range bytes.SplitSeq(out.Stdout, []byte{0}) {
		if len(name) > 0 && !keep[string(name)] {
			list.WriteString(string(name) + "\x00")
		}
	}
	if list.Len() == 0 {
		return nil
	}
	_, err = t.git(ctx, list.Bytes(), "update-index", "--force-remove", "-z", "--stdin")
	return err
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

// large finds the files among names that are too big and that the user's index does not have.
func (t taker) large(ctx context.Context, names []string) ([]largeFile, error) {
	var list []largeFile
	for _, name := range names {
		st, err := os.Lstat(filepath.Join(t.dir, filepath.FromSlash(name)))
		if err == nil && st.Mode().IsRegular() && st.Size() > t.store.maxFile {
			list = append(list, largeFile{path: name, size: st.Size(), at: st.ModTime()})
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	args := []string{"ls-files", "-z", "--"}
	for _, f := range list[:min(len(list), maxLarge)] {
		args = append(args, ":(literal)"+f.path)
	}
	out, err := run(ctx, git.Command{Dir: t.dir, Args: args, Max: maxList})
	if err != nil {
		return nil, err
	}
	tracked := map[string]bool{}
	for name := range bytes.SplitSeq(out.Stdout, []byte{0}) {
		tracked[string(name)] = true
	}
	return slices.DeleteFunc(list, func(f largeFile) bool { return tracked[f.path] }), nil
}

// noteText begins what stands in a snapshot for a large file, which is shorter than noteMost bytes.
const (
	noteText = "Not kept in the snapshot:"
	noteMost = 200
)

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
		text := fmt.Sprintf(noteText+" %d bytes, changed %s.\n", f.size, f.at.UTC().Format(time.RFC3339))
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
	names, err := s.refs(ctx, dir, threadID)
	if err != nil {
		return fmt.Errorf("forget checkpoints: %w", err)
	}
	if err := s.dropRefs(ctx, dir, names); err != nil {
		return fmt.Errorf("forget checkpoints: %w", err)
	}
	return nil
}

// refs lists a thread's refs by name.
func (s *Store) refs(ctx context.Context, dir, threadID string) ([]string, error) {
	out, err := run(ctx, git.Command{Dir: dir, Args: []string{"for-each-ref", "--sort=refname", "--format=%(refname)", refRoot + component(threadID) + "/"}})
	return strings.Fields(string(out.Stdout)), err
}

func (s *Store) dropRefs(ctx context.Context, dir string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	var stdin bytes.Buffer
	for _, name := range names {
		fmt.Fprintf(&stdin, "delete %s\x00\x00", name)
	}
	_, err := run(ctx, git.Command{Dir: dir, Args: []string{"update-ref", "--no-deref", "-z", "--stdin"}, Stdin: stdin.Bytes()})
	return err
}

// Prune drops a thread's oldest snapshots beyond the newest keep turns: their
// diffs are gone, and what they changed can't be reverted any more.
func (s *Store) Prune(ctx context.Context, dir, threadID string, keep int) error {
	names, err := s.refs(ctx, dir, threadID)
	if err != nil {
		return fmt.Errorf("prune checkpoints: %w", err)
	}
	// Labels begin with ids that grow with time; a turn has several.
	var groups []string
	for _, n := range names {
		if g := group(n); len(groups) == 0 || groups[len(groups)-1] != g {
			groups = append(groups, g)
		}
	}
	if len(groups) <= keep {
		return nil
	}
	old := map[string]bool{}
	for _, g := range groups[:len(groups)-keep] {
		old[g] = true
	}
	return s.dropRefs(ctx, dir, slices.DeleteFunc(names, func(n string) bool { return !old[group(n)] }))
}

// group is what the refs of one turn or revert have in common.
func group(name string) string {
	i := strings.LastIndexByte(name, '-')
	return name[:max(i, 0)]
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
