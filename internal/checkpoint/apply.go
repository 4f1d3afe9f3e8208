package checkpoint

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/git"
)

// change brings one file from one content to another. then is the file as it was
// on disk before the snapshot that has from: written only while it is still that.
type change struct {
	path     string
	from, to content
	then     fs.FileInfo // nil: there was none
	staged   string      // where its content lies ready, absolute
	there    bool        // it is as it is to be already
}

// record is what is kept of a revert, for its undo.
type record struct {
	Files []recorded `json:"files"`
}

type recorded struct {
	Path     string `json:"path"`
	FromMode string `json:"fromMode,omitempty"`
	From     string `json:"from,omitempty"`
	ToMode   string `json:"toMode,omitempty"`
	To       string `json:"to,omitempty"`
}

// Revert carries a plan out: seen is the plan's, paths are the files chosen, nil
// for the clean ones. A checkpoint of everything is made first, under id. Errors:
// CodeConflict when a chosen file changed since the plan was made, or may not be
// reverted; nothing is done then. A file that turns out not to be writable is
// among Left, and the others are done. begin, which may be nil, is called with the
// paths when the revert is noted and nothing is written yet; its error stops it.
func (s *Store) Revert(ctx context.Context, t Target, seen string, paths []string, id string, begin func(paths []string) error) (api.Reverted, error) {
	none := api.Reverted{Files: []string{}}
	if !objectID.MatchString(seen) {
		return none, &api.Error{Code: api.CodeInvalid, Message: "This is not what a preview answered.", Hint: "Ask for a preview first."}
	}
	planned, err := s.steps(ctx, t, seen)
	if err != nil {
		return none, fmt.Errorf("revert: %w", err)
	}
	if err := s.block(ctx, t.Dir, planned); err != nil {
		return none, fmt.Errorf("revert: %w", err)
	}
	chosen, err := choose(planned, paths)
	if err != nil || len(chosen) == 0 {
		return none, err
	}
	root, err := os.OpenRoot(t.Dir)
	if err != nil {
		return none, fmt.Errorf("revert: %w", err)
	}
	defer root.Close()
	changes := make([]change, len(chosen))
	for i, st := range chosen {
		changes[i] = change{path: st.path, from: st.now, to: st.base, then: lstat(root, st.path)}
	}
	now, err := s.Take(ctx, t.Dir, t.ThreadID, id+"-before")
	if err != nil {
		return none, err
	}
	want := map[string]*step{}
	for i := range chosen {
		want[chosen[i].path] = &chosen[i]
	}
	have, err := s.lookup(ctx, t.Dir, now, want)
	if err != nil {
		return none, fmt.Errorf("revert: %w", err)
	}
	for _, c := range changes {
		if have[c.path] != c.from {
			return none, &api.Error{Code: api.CodeConflict, Message: "A file has changed since the preview: " + c.path, Hint: "Nothing was reverted. Look at the preview again.", Retryable: true}
		}
	}
	return s.carryOut(ctx, root, t.Dir, t.ThreadID, id, changes, begin)
}

// choose picks the steps to carry out.
func choose(steps []step, paths []string) ([]step, error) {
	var out []step
	found := map[string]bool{}
	for _, st := range steps {
		name := strings.ToValidUTF8(st.path, "\uFFFD")
		if paths == nil && st.state == stateClean || slices.Contains(paths, name) {
			if !st.allowed && st.state != stateDone {
				return nil, &api.Error{Code: api.CodeConflict, Message: "This file can't be reverted: " + name + ". " + st.reason, Hint: "Leave it out."}
			}
			found[name] = true
			if st.state != stateDone {
				out = append(out, st)
			}
		}
	}
	for _, p := range paths {
		if !found[p] {
			return nil, &api.Error{Code: api.CodeInvalid, Message: "The turn did not change this file: " + p, Hint: "Choose among the files of the preview."}
		}
	}
	return out, nil
}

// Undo brings back what the revert took away, under a new id, file by file where
// the file is still as the revert left it. A file that is back already counts as
// brought back where an undo of this revert was cut off; else somebody else did it,
// and it is theirs. begin is as for Revert.
func (s *Store) Undo(ctx context.Context, dir, threadID, revertID, id string, begin func(paths []string) error) (api.Reverted, error) {
	none := api.Reverted{Files: []string{}}
	b, err := loadBlob(ctx, dir, refName(threadID, revertID+"-revert"))
	if err != nil {
		return none, fmt.Errorf("undo the revert: %w", err)
	}
	var rec record
	if b == nil {
		return none, &api.Error{Code: api.CodeNotFound, Message: "This revert is not known (any more).", Hint: "Reverts can be undone while the thread and its newest checkpoints are kept."}
	}
	if err := json.Unmarshal(b, &rec); err != nil {
		return none, fmt.Errorf("undo the revert: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return none, fmt.Errorf("undo the revert: %w", err)
	}
	defer root.Close()
	want := map[string]*step{}
	changes := make([]change, len(rec.Files))
	for i, f := range rec.Files {
		changes[i] = change{path: f.Path, from: content{f.ToMode, f.To}, to: content{f.FromMode, f.From}, then: lstat(root, f.Path)}
		want[f.Path] = &step{}
	}
	now, err := s.Take(ctx, dir, threadID, id+"-before")
	if err != nil {
		return none, err
	}
	have, err := s.lookup(ctx, dir, now, want)
	if err != nil {
		return none, fmt.Errorf("undo the revert: %w", err)
	}
	mark := refName(threadID, revertID+"-undoing")
	cutOff, err := loadBlob(ctx, dir, mark)
	if err != nil {
		return none, fmt.Errorf("undo the revert: %w", err)
	}
	var left []api.RevertFile
	changes = slices.DeleteFunc(changes, func(c change) bool {
		switch have[c.path] {
		case c.from:
			return false
		case c.to:
			return cutOff == nil
		}
		left = append(left, api.RevertFile{Path: c.path, State: stateChanged, Reason: "It was changed after the revert."})
		return true
	})
	for i := range changes {
		changes[i].there = have[changes[i].path] == changes[i].to
	}
	r := none
	if len(changes) > 0 {
		if err := saveBlob(ctx, dir, mark, []byte(id)); err != nil {
			return none, fmt.Errorf("undo the revert: %w", err)
		}
		r, err = s.carryOut(ctx, root, dir, threadID, id, changes, begin)
		if err != nil && (r.RevertID != "" || cutOff != nil) {
			return r, err // cut off, now or before
		}
		if _, gone := run(ctx, git.Command{Dir: dir, Args: []string{"update-ref", "--no-deref", "-d", mark}}); gone != nil && err == nil {
			err = fmt.Errorf("end the undo: %w", gone)
		}
		if err != nil {
			return r, err
		}
	}
	r.Left = append(left, r.Left...)
	return r, nil
}

// carryOut notes the changes for an undo, then makes them. Its answer without a
// RevertID means that nothing was written.
func (s *Store) carryOut(ctx context.Context, root *os.Root, dir, threadID, id string, changes []change, begin func([]string) error) (api.Reverted, error) {
	none := api.Reverted{Files: []string{}}
	r := api.Reverted{RevertID: id, Files: []string{}}
	var rec record
	names := make([]string, 0, len(changes))
	for _, c := range changes {
		names = append(names, strings.ToValidUTF8(c.path, "\uFFFD"))
		rec.Files = append(rec.Files, recorded{Path: c.path, FromMode: c.from.mode, From: c.from.id, ToMode: c.to.mode, To: c.to.id})
	}
	b, err := json.Marshal(rec)
	if err != nil {
		return none, err
	}
	if err := saveBlob(ctx, dir, refName(threadID, id+"-revert"), b); err != nil {
		return none, fmt.Errorf("note the revert: %w", err)
	}
	staged, err := s.stage(ctx, dir, changes)
	if err != nil {
		return none, fmt.Errorf("write the earlier contents: %w", err)
	}
	defer os.RemoveAll(staged)
	if begin != nil {
		if err := begin(names); err != nil {
			return none, err
		}
	}
	// What goes comes first: a folder may stand where a file was, and the other way round.
	for _, goes := range []bool{true, false} {
		for _, c := range changes {
			if c.to.none() != goes {
				continue
			}
			if err := ctx.Err(); err != nil {
				return r, err
			}
			if c.there {
				r.Files = append(r.Files, strings.ToValidUTF8(c.path, "\uFFFD"))
				continue
			}
			if reason := put(root, dir, c); reason != "" {
				r.Left = append(r.Left, api.RevertFile{Path: strings.ToValidUTF8(c.path, "\uFFFD"), State: stateBlocked, Reason: reason})
			} else {
				r.Files = append(r.Files, strings.ToValidUTF8(c.path, "\uFFFD"))
			}
		}
	}
	slices.Sort(r.Files)
	return r, nil
}

// stage has Git write the wanted contents, with the user's filters, into a folder
// of its own inside the repository's directory, and returns it.
func (s *Store) stage(ctx context.Context, dir string, changes []change) (folder string, err error) {
	repo, err := git.Open(ctx, dir)
	if err != nil {
		return "", err
	}
	sweepStaged(repo.GitDir)
	if folder, err = os.MkdirTemp(repo.GitDir, stagedName); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(folder)
		}
	}()
	prefix, err := filepath.Rel(repo.Top, dir)
	if err != nil {
		return folder, err
	}
	prefix = filepath.ToSlash(prefix)
	env := []string{"GIT_INDEX_FILE=" + filepath.Join(folder, "index")}
	var info, names bytes.Buffer
	for i := range changes {
		c := &changes[i]
		if c.to.none() || c.there {
			continue
		}
		// By its own name: filters go by it.
		name := pathOf(prefix, c.path)
		c.staged = filepath.Join(folder, "f", filepath.FromSlash(name))
		fmt.Fprintf(&info, "%s %s\t%s\x00", c.to.mode, c.to.id, name)
		names.WriteString(name + "\x00")
	}
	if info.Len() == 0 {
		return folder, nil
	}
	if _, err := run(ctx, git.Command{Dir: repo.Top, Env: env, Args: []string{"update-index", "--add", "--replace", "-z", "--index-info"}, Stdin: info.Bytes()}); err != nil {
		return folder, err
	}
	_, err = run(ctx, git.Command{Dir: repo.Top, Env: env, Args: []string{"checkout-index", "--quiet", "-z", "--stdin", "--prefix=" + filepath.ToSlash(folder) + "/f/"}, Stdin: names.Bytes()})
	return folder, err
}

const (
	stagedName = "catamaran-revert-"
	// stagedOld is when a folder of stage is one that a killed backend left: no revert takes that long.
	stagedOld = time.Hour
)

// sweepStaged removes what killed backends left in a repository's directory.
func sweepStaged(gitDir string) {
	found, _ := os.ReadDir(gitDir)
	for _, e := range found {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), stagedName) {
			continue
		}
		if st, err := e.Info(); err == nil && time.Since(st.ModTime()) > stagedOld {
			_ = os.RemoveAll(filepath.Join(gitDir, e.Name())) // tried again with the next revert
		}
	}
}

// put makes one change; reason says why it was not made.
func put(root *os.Root, dir string, c change) (reason string) {
	name := filepath.FromSlash(c.path)
	if !filepath.IsLocal(name) {
		return "It lies outside the project."
	}
	// No component may be a link: what it points at is not the snapshot's.
	for d := path.Dir(c.path); d != "."; d = path.Dir(d) {
		st, err := root.Lstat(filepath.FromSlash(d))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || !st.IsDir() {
			return "Its folder is a link or a file now."
		}
	}
	now := lstat(root, c.path)
	if now == nil && c.from.none() && c.then != nil && c.then.IsDir() {
		c.then = nil // a folder whose last file went just before this
	}
	if !same(c.then, now) {
		return "It was changed a moment ago."
	}
	if c.from.none() && c.then != nil {
		return "Something that no checkpoint has is in its place: an ignored file, or one that can't be read."
	}
	if c.then != nil && c.then.IsDir() {
		return "A folder is in its place."
	}
	if c.to.none() {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "It could not be removed: " + cause(err)
		}
		// Folders that are empty now go too, as Git does it.
		for d := path.Dir(c.path); d != "."; d = path.Dir(d) {
			if root.Remove(filepath.FromSlash(d)) != nil {
				break
			}
		}
		return ""
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return "Its folder could not be made: " + cause(err)
	}
	from := c.staged
	st, err := os.Lstat(from)
	if err != nil {
		return "Git did not write its earlier content."
	}
	if st.Mode().IsRegular() && c.then != nil && c.then.Mode().IsRegular() && c.from.mode == c.to.mode {
		_ = os.Chmod(from, c.then.Mode().Perm()) // the permissions it has, which Git keeps only in part
	}
	if err := move(root, dir, from, name); err != nil {
		return "It could not be written: " + cause(err)
	}
	return ""
}

func cause(err error) string {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err.Error()
	case errors.As(err, &l):
		return l.Err.Error()
	}
	return err.Error()
}

// move puts a staged file into its place in one step.
func move(root *os.Root, dir, from, name string) error {
	if rel, err := filepath.Rel(dir, from); err == nil && filepath.IsLocal(rel) {
		if err := root.Rename(rel, name); err == nil {
			return nil
		}
	}
	// The repository's directory lies elsewhere: a copy beside the file first.
	st, err := os.Lstat(from)
	if err != nil {
		return err
	}
	tmp := filepath.Join(filepath.Dir(name), ".catamaran-"+rand.Text()[:12]+".tmp")
	defer root.Remove(tmp)
	if st.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		if err := root.Symlink(target, tmp); err != nil {
			return err
		}
		return root.Rename(tmp, name)
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, st.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Chmod(st.Mode().Perm()), out.Close()); err != nil {
		return err
	}
	return root.Rename(tmp, name)
}

func lstat(root *os.Root, name string) fs.FileInfo {
	st, err := root.Lstat(filepath.FromSlash(name))
	if err != nil {
		return nil
	}
	return st
}

// same reports whether a file was not touched between two looks at it.
func same(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode()
}

// block marks the steps whose contents are only notes of large files.
func (s *Store) block(ctx context.Context, dir string, steps []step) error {
	var ask bytes.Buffer
	for _, st := range steps {
		for _, c := range []content{st.base, st.now} {
			if !c.none() && c.mode != modeModule {
				ask.WriteString(c.id + "\n")
			}
		}
	}
	if ask.Len() == 0 {
		return nil
	}
	out, err := run(ctx, git.Command{Dir: dir, Args: []string{"cat-file", "--batch-check=%(objectname) %(objectsize)"}, Stdin: ask.Bytes()})
	if err != nil {
		return err
	}
	ask.Reset()
	for line := range bytes.Lines(out.Stdout) {
		id, size, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if n, err := strconv.Atoi(size); err == nil && n < noteMost {
			ask.WriteString(id + "\n")
		}
	}
	notes := map[string]bool{}
	if ask.Len() > 0 {
		if out, err = run(ctx, git.Command{Dir: dir, Args: []string{"cat-file", "--batch"}, Stdin: ask.Bytes()}); err != nil {
			return err
		}
		id := ""
		for line := range bytes.Lines(out.Stdout) {
			if f := strings.Fields(string(line)); len(f) == 3 && f[1] == "blob" && objectID.MatchString(f[0]) {
				id = f[0]
			} else if bytes.HasPrefix(line, []byte(noteText)) {
				notes[id] = true
			}
		}
	}
	for i := range steps {
		if notes[steps[i].base.id] || notes[steps[i].now.id] {
			steps[i].worsen(stateBlocked, "It is too large for checkpoints to keep.")
			steps[i].allowed = false
		}
	}
	return nil
}
