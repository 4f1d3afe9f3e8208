package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/git"
)

// bounds of what a comparison answers, in files and bytes.
type bounds struct {
	files     int // listed in a summary or a diff
	filePatch int // of one file's patch
	allPatch  int // of all patches together
	read      int64
}

var defaultBounds = bounds{files: 2000, filePatch: 512 << 10, allPatch: 5 << 20, read: 32 << 20}

// Summary tells what changed between two references of Take. Nothing did when
// either is "" or both are the same. Paths are relative to dir. Errors:
// *api.Error CodeNotFound when Git no longer has a snapshot.
func (s *Store) Summary(ctx context.Context, dir, from, to string) (api.ChangeSummary, error) {
	sum := api.ChangeSummary{Files: []api.ChangedFile{}}
	files, truncated, err := s.changed(ctx, dir, from, to)
	if err != nil {
		return sum, fmt.Errorf("summarise changes: %w", err)
	}
	for _, f := range files {
		sum.Additions += f.Additions
		sum.Deletions += f.Deletions
	}
	sum.Truncated = truncated
	if len(files) > s.bounds.files {
		files, sum.Truncated = files[:s.bounds.files], true
	}
	for _, f := range files {
		sum.Files = append(sum.Files, f.ChangedFile)
	}
	return sum, nil
}

// Diff is Summary with each file's patch: hunks only, none for binary files and
// pure changes of mode or name. A patch past 512 KiB ends after its last whole
// hunk that fits and is marked, as is every file behind the first 5 MiB; the
// second result tells that anything was cut.
func (s *Store) Diff(ctx context.Context, dir, from, to string) ([]api.FileDiff, bool, error) {
	files, truncated, err := s.changed(ctx, dir, from, to)
	if err != nil {
		return nil, false, fmt.Errorf("compare checkpoints: %w", err)
	}
	if len(files) == 0 {
		return []api.FileDiff{}, false, nil
	}
	out, err := s.diffTree(ctx, dir, s.bounds.read, "-p", "--full-index", from, to)
	if err != nil {
		return nil, false, fmt.Errorf("compare checkpoints: %w", err)
	}
	sections := splitPatch(out.Stdout)
	if out.Truncated && len(sections) > 0 {
		// The last one may end anywhere.
		sections = sections[:len(sections)-1]
	}
	diffs := make([]api.FileDiff, 0, min(len(files), s.bounds.files))
	left := s.bounds.allPatch
	for _, f := range files {
		if len(diffs) == s.bounds.files {
			truncated = true
			break
		}
		d := api.FileDiff{ChangedFile: f.ChangedFile}
		have := len(sections) >= f.sections
		var patch []byte
		if have {
			for _, sec := range sections[:f.sections] {
				patch = append(patch, hunks(sec)...)
			}
			sections = sections[f.sections:]
		} else {
			sections = nil
		}
		cut := !have && !f.Binary
		patch, short := cutPatch(patch, min(s.bounds.filePatch, left))
		left -= len(patch)
		d.Truncated = cut || short
		truncated = truncated || d.Truncated
		d.Patch = strings.ToValidUTF8(string(patch), "\uFFFD")
		diffs = append(diffs, d)
	}
	return diffs, truncated, nil
}

// entry is a changed file and the number of sections a patch has for it.
type entry struct {
	api.ChangedFile
	sections int
}

func (s *Store) changed(ctx context.Context, dir, from, to string) ([]entry, bool, error) {
	if from == "" || to == "" || from == to {
		return nil, false, nil
	}
	out, err := s.diffTree(ctx, dir, s.bounds.read, "-z", "--raw", "--numstat", from, to)
	if err != nil {
		return nil, false, err
	}
	files, err := parseRaw(out.Stdout)
	if err != nil && !out.Truncated {
		return nil, false, err
	}
	return files, out.Truncated, nil
}

func (s *Store) diffTree(ctx context.Context, dir string, max int64, args ...string) (git.Output, error) {
	for _, ref := range args[len(args)-2:] {
		if !objectID.MatchString(ref) {
			return git.Output{}, &api.Error{Code: api.CodeInvalid, Message: "This is not a snapshot's reference."}
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, Timeout, errors.New("the comparison took longer than "+Timeout.String()))
	defer cancel()
	fixed := []string{"diff-tree", "-r", "-M", "-l1000", "--relative", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/"}
	out, err := run(ctx, git.Command{Dir: dir, Args: append(fixed, args...), Max: max})
	var e *git.Error
	if errors.As(err, &e) && (strings.Contains(e.Stderr, "bad object") || strings.Contains(e.Stderr, "unable to read") || strings.Contains(e.Stderr, "not a git repository")) {
		return out, &api.Error{
			Code:    api.CodeNotFound,
			Message: "The snapshots of this turn are gone from the repository.",
			Hint:    "They are lost when the repository is replaced or its refs are removed; the files themselves are untouched.",
			Details: e.Stderr,
		}
	}
	return out, err
}

// parseRaw reads the output of diff-tree -z --raw --numstat: first all raw
// entries, then the numbers of each in the same order.
func parseRaw(b []byte) ([]entry, error) {
	next := func() (string, bool) {
		field, rest, ok := bytes.Cut(b, []byte{0})
		if ok {
			b = rest
		}
		return string(field), ok
	}
	path := func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
	var files []entry
	for len(b) > 0 && b[0] == ':' {
		head, _ := next()
		f := strings.Fields(head) // :mode mode id id status
		name, ok := next()
		if len(f) != 5 || f[4] == "" || !ok {
			return files, errors.New("git printed a list of changes that is not understood")
		}
		e := entry{ChangedFile: api.ChangedFile{Path: path(name)}, sections: 1}
		switch f[4][0] {
		case 'A':
			e.Status = api.FileAdded
		case 'D':
			e.Status = api.FileDeleted
		case 'R', 'C':
			e.Status, e.OldPath = api.FileRenamed, e.Path
			if name, ok = next(); !ok {
				return files, errors.New("git printed a list of changes that ends early")
			}
			e.Path = path(name)
		case 'T':
			// A file in the place of a link: shown as removed and added.
			e.Status, e.sections = api.FileModified, 2
		default:
			e.Status = api.FileModified
			if f[2] == f[3] {
				e.Status = api.FileMode
			}
		}
		files = append(files, e)
	}
	for i := range files {
		head, ok := next()
		f := strings.SplitN(head, "\t", 3)
		if !ok || len(f) != 3 {
			return files, errors.New("git printed a list of numbers that is not understood")
		}
		if f[2] == "" { // a rename: both names follow
			next()
			next()
		}
		if f[0] == "-" {
			files[i].Binary = true
			continue
		}
		a, errA := strconv.Atoi(f[0])
		d, errD := strconv.Atoi(f[1])
		if errA != nil || errD != nil {
			return files, errors.New("git printed numbers that are none")
		}
		files[i].Additions, files[i].Deletions = a, d
	}
	return files, nil
}

// splitPatch cuts the output of diff-tree -p into its sections. Every line of
// content begins with a space, a sign or a backslash, so a section's first line
// cannot be mistaken.
func splitPatch(b []byte) [][]byte {
	marker := []byte("diff --git ")
	var starts []int
	for at := 0; at < len(b); {
		if bytes.HasPrefix(b[at:], marker) {
			starts = append(starts, at)
		}
		n := bytes.IndexByte(b[at:], '\n')
		if n < 0 {
			break
		}
		at += n + 1
	}
	sections := make([][]byte, len(starts))
	for i, at := range starts {
		end := len(b)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		sections[i] = b[at:end]
	}
	return sections
}

// hunks returns a section from its first hunk on.
func hunks(section []byte) []byte {
	if i := bytes.Index(section, []byte("\n@@ ")); i >= 0 {
		return section[i+1:]
	}
	return nil
}

// cutPatch keeps at most max bytes: whole hunks where one fits, else whole lines.
func cutPatch(patch []byte, max int) ([]byte, bool) {
	if len(patch) <= max {
		return patch, false
	}
	patch = patch[:max]
	if i := bytes.LastIndex(patch, []byte("\n@@ ")); i > 0 {
		return patch[:i+1], true
	}
	return patch[:bytes.LastIndexByte(patch, '\n')+1], true
}
