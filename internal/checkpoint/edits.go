package checkpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"catamaran/internal/git"
)

const (
	// maxEdits bounds the files one turn is known to have edited.
	maxEdits = 5000
	// unknown is a content that was not seen.
	unknown = "?"
)

// Edit is what is known of an agent's edits of one file in a turn: the objects
// before its first and after its last one ("" for no file, "?" where it was not
// seen). Mixed says that somebody else wrote between two of them.
type Edit struct {
	Before string `json:"before"`
	After  string `json:"after"`
	Mixed  bool   `json:"mixed,omitempty"`
}

// Edits records which files an agent reports to edit in a turn, and what they hold
// around each edit. A checkpoint tells what changed while a turn ran; only
// this tells that it was the turn that changed it, and not a person or another
// thread in the same folder. One goroutine at a time may look and save.
type Edits struct {
	dir    string
	top    string // found at the first look
	prefix string
	ref    string
	paths  map[string]Edit
	begun  map[string]string // what was there when an edit began that has not ended

	threadID string
	live     *live
	closed   bool // guarded by live.mu
}

// Edits returns the record of a turn, to be closed; nil outside Git.
func (s *Store) Edits(dir, threadID, turnID string) *Edits {
	if !git.Inside(dir) {
		return nil
	}
	return &Edits{dir: dir, ref: refName(threadID, turnID+"-edits"), paths: map[string]Edit{}, begun: map[string]string{}, threadID: threadID, live: &s.live}
}

// Before notes what the files hold that are about to be edited. Paths are the
// agent's: absolute, or relative to the project. Those outside it are left out.
func (e *Edits) Before(ctx context.Context, paths ...string) error {
	names := e.names(paths)
	ids, err := e.look(ctx, names)
	if err != nil {
		return err
	}
	for i, n := range names {
		if len(e.begun) < maxEdits {
			e.begun[n] = ids[i]
		}
	}
	return nil
}

// After notes what the files hold that were edited.
func (e *Edits) After(ctx context.Context, paths ...string) error {
	names := e.names(paths)
	ids, err := e.look(ctx, names)
	if err != nil {
		return err
	}
	for i, n := range names {
		begun, ok := e.begun[n]
		delete(e.begun, n)
		if !ok || begun == ids[i] {
			// The note of its beginning is missing, or came after the agent had written.
			begun = unknown
		}
		known, seen := e.paths[n]
		switch {
		case !seen && len(e.paths) >= maxEdits:
			continue
		case !seen:
			known.Before = begun
		case begun != unknown && known.After != unknown && begun != known.After:
			known.Mixed = true
		}
		known.After = ids[i]
		e.paths[n] = known
	}
	return nil
}

// Save keeps the record beside the turn's checkpoints.
func (e *Edits) Save(ctx context.Context) error {
	if len(e.paths) == 0 {
		return nil
	}
	b, err := json.Marshal(e.paths)
	if err != nil {
		return err
	}
	if err := saveBlob(ctx, e.dir, e.ref, b); err != nil {
		return fmt.Errorf("record edits: %w", err)
	}
	return nil
}

func saveBlob(ctx context.Context, dir, ref string, b []byte) error {
	out, err := run(ctx, git.Command{Dir: dir, Args: []string{"hash-object", "-w", "--no-filters", "--stdin"}, Stdin: b, Max: 4096})
	if err != nil {
		return err
	}
	_, err = run(ctx, git.Command{Dir: dir, Args: []string{"update-ref", "--no-deref", ref, strings.TrimSpace(string(out.Stdout))}})
	return err
}

// loadBlob reads what saveBlob kept; nil where there is nothing.
func loadBlob(ctx context.Context, dir, ref string) ([]byte, error) {
	out, err := run(ctx, git.Command{Dir: dir, Args: []string{"cat-file", "blob", ref}, Max: 32 << 20})
	var e *git.Error
	if errors.As(err, &e) {
		return nil, nil
	}
	return out.Stdout, err
}

func (s *Store) edits(ctx context.Context, dir, threadID, turnID string) (map[string]Edit, error) {
	b, err := loadBlob(ctx, dir, refName(threadID, turnID+"-edits"))
	if err != nil || b == nil {
		return nil, err
	}
	var m map[string]Edit
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("read the record of edits: %w", err)
	}
	return m, nil
}

// names spells paths relative to the project with slashes, without those outside and
// without repeats.
func (e *Edits) names(paths []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, p := range paths {
		if n, ok := relativeTo(e.dir, p); ok && !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

// relativeTo spells a path as a snapshot has it; false for one outside dir.
func relativeTo(dir, path string) (string, bool) {
	if path == "" || len(path) > pathMost || strings.ContainsRune(path, 0) || strings.ContainsRune(path, '\n') {
		return "", false
	}
	path = filepath.FromSlash(path)
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	rel, err := filepath.Rel(dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		// The agent may have another name for the folder.
		parent, perr := filepath.EvalSymlinks(filepath.Dir(path))
		if perr != nil {
			return "", false
		}
		if rel, err = filepath.Rel(dir, filepath.Join(parent, filepath.Base(path))); err != nil || !filepath.IsLocal(rel) {
			return "", false
		}
	}
	if rel == "." || rel == ".git" || strings.HasPrefix(rel, ".git"+string(filepath.Separator)) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// pathOf is a path of the repository, of one relative to the folder prefix of it ("." is its top).
func pathOf(prefix, name string) string {
	if prefix == "." || prefix == "" {
		return name
	}
	return prefix + "/" + name
}

// look returns the object ids of files as a snapshot would have them, "" for none.
func (e *Edits) look(ctx context.Context, names []string) ([]string, error) {
	ids := make([]string, len(names))
	if len(names) == 0 {
		return ids, nil
	}
	if e.top == "" {
		repo, err := git.Open(ctx, e.dir)
		if err != nil {
			return nil, err
		}
		prefix, err := filepath.Rel(repo.Top, e.dir)
		if err != nil {
			return nil, err
		}
		e.top, e.prefix = repo.Top, filepath.ToSlash(prefix)
	}
	var list bytes.Buffer
	var asked []int
	for i, n := range names {
		path := filepath.Join(e.dir, filepath.FromSlash(n))
		st, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			ids[i] = unknown
		case st.Mode().IsRegular() && st.Size() <= MaxFileBytes:
			list.WriteString(pathOf(e.prefix, n) + "\n")
			asked = append(asked, i)
		case st.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return nil, err
			}
			out, err := run(ctx, git.Command{Dir: e.dir, Args: []string{"hash-object", "--no-filters", "--stdin"}, Stdin: []byte(filepath.ToSlash(target)), Max: 4096})
			if err != nil {
				return nil, err
			}
			ids[i] = strings.TrimSpace(string(out.Stdout))
		case st.IsDir():
		default:
			ids[i] = unknown
		}
	}
	if len(asked) == 0 {
		return ids, nil
	}
	out, err := run(ctx, git.Command{Dir: e.top, Args: []string{"hash-object", "--stdin-paths"}, Stdin: list.Bytes()})
	lines := strings.Fields(string(out.Stdout))
	if err != nil || len(lines) != len(asked) {
		// One of them went away or can't be read: whatever is not known is a doubt.
		for _, i := range asked {
			ids[i] = unknown
		}
		return ids, ctx.Err()
	}
	for j, i := range asked {
		ids[i] = lines[j]
	}
	return ids, nil
}
