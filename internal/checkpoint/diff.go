package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/git"
)

// bounds of what a comparison answers, in files, lines and bytes.
type bounds struct {
	files     int // listed in a summary, or on a page unless asked otherwise
	pageFiles int // on a page at most
	fileLines int // of one file in one answer
	fileBytes int
	answer    int   // bytes of all hunks in one answer
	read      int64 // of Git's output
}

var defaultBounds = bounds{files: 2000, pageFiles: 5000, fileLines: 5000, fileBytes: 512 << 10, answer: 1 << 20, read: 64 << 20}

const (
	// defaultPage is how many files a page has where the caller does not say.
	defaultPage = 500
	// defaultContext and mostContext are lines around a change.
	defaultContext = 3
	mostContext    = 100_000
	// argBytes bounds the paths handed to one git; Windows allows 32 KiB in all.
	argBytes = 16 << 10
)

// Summary tells what changed between two references of Take. Nothing did when
// either is "" or both are the same. Paths are relative to dir. Errors:
// *api.Error CodeNotFound when Git no longer has a snapshot.
func (s *Store) Summary(ctx context.Context, dir, from, to string) (api.ChangeSummary, error) {
	sum := api.ChangeSummary{Files: []api.ChangedFile{}}
	files, truncated, err := s.changed(ctx, dir, from, to, false)
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

// Compare tells what changed between two trees, with a page of hunks as o asks
// for. Paths are relative to dir. only, where not nil, narrows it down to these
// paths beside what o says. Errors are those of Summary, and CodeInvalid.
func (s *Store) Compare(ctx context.Context, dir, from, to string, o api.DiffOptions, only map[string]bool) (api.Diff, error) {
	d := api.Diff{Files: []api.DiffFile{}}
	if o.Offset < 0 || o.Limit < 0 || o.Skip < 0 || o.Skip > 0 && len(o.Paths) != 1 || o.Context != nil && (*o.Context < 0 || *o.Context > mostContext) {
		return d, &api.Error{Code: api.CodeInvalid, Message: "This part of a diff cannot be asked for.", Hint: "Skip needs exactly one path; numbers are not negative."}
	}
	files, truncated, err := s.changed(ctx, dir, from, to, o.IgnoreWhitespace)
	if err != nil {
		return d, fmt.Errorf("compare: %w", err)
	}
	if len(o.Paths) > 0 || only != nil {
		files = slices.DeleteFunc(files, func(f entry) bool {
			return only != nil && !only[f.Path] && !only[f.OldPath] || len(o.Paths) > 0 && !slices.Contains(o.Paths, f.Path)
		})
	}
	for _, f := range files {
		d.Additions += f.Additions
		d.Deletions += f.Deletions
	}
	d.Total, d.Truncated = len(files), truncated
	limit := o.Limit
	if limit == 0 {
		limit = defaultPage
	}
	limit = min(limit, s.bounds.pageFiles)
	files = files[min(o.Offset, len(files)):]
	if len(files) > limit {
		files, d.NextOffset = files[:limit], o.Offset+limit
	}
	for _, f := range files {
		d.Files = append(d.Files, f.file())
	}
	if err := s.sizes(ctx, dir, files, d.Files); err != nil {
		return d, fmt.Errorf("compare: %w", err)
	}
	if o.NoHunks || len(files) == 0 {
		return d, nil
	}
	if err := s.fill(ctx, dir, from, to, o, files, d.Files); err != nil {
		return d, fmt.Errorf("compare: %w", err)
	}
	return d, nil
}

// fill puts hunks into out, whose entries are those of files, until the answer is full.
func (s *Store) fill(ctx context.Context, dir, from, to string, o api.DiffOptions, files []entry, out []api.DiffFile) error {
	left := s.bounds.answer
	for i := 0; i < len(files); {
		if left <= 0 {
			out[i].Pending = files[i].text()
			i++
			continue
		}
		batch, size := i, 0
		for ; batch < len(files) && batch-i < 100; batch++ {
			size += len(files[batch].Path) + len(files[batch].OldPath) + 32
			if batch > i && size > argBytes {
				break
			}
		}
		sections, err := s.patch(ctx, dir, from, to, o, files[i:batch])
		if err != nil {
			return err
		}
		for j := i; j < batch; j++ {
			if !files[j].text() {
				continue
			}
			if left <= 0 {
				out[j].Pending = true
				continue
			}
			b := budget{skip: o.Skip, lines: s.bounds.fileLines, bytes: min(s.bounds.fileBytes, left)}
			sec, ok := sections[j-i]
			if !ok {
				out[j].Pending = true // Git's words were cut before it
				continue
			}
			var used int
			out[j].Hunks, out[j].Next, used = parseHunks(sec, b)
			left -= used
		}
		i = batch
	}
	return nil
}

// patch runs git for the hunks of a few files; the sections are by their place in files.
func (s *Store) patch(ctx context.Context, dir, from, to string, o api.DiffOptions, files []entry) (map[int][]byte, error) {
	lines := defaultContext
	if o.Context != nil {
		lines = *o.Context
	}
	args := []string{"-p", "--full-index", "-U" + strconv.Itoa(lines)}
	if o.IgnoreWhitespace {
		args = append(args, "--ignore-all-space")
	}
	args = append(args, from, to, "--")
	any := false
	for _, f := range files {
		if !f.text() {
			continue
		}
		any = true
		args = append(args, ":(literal)"+f.raw)
		if f.rawOld != "" {
			args = append(args, ":(literal)"+f.rawOld)
		}
	}
	if !any {
		return nil, nil
	}
	key := strings.Join(append([]string{dir}, args...), "\x00")
	if len(files) == 1 {
		if sections, ok := s.recent.get(key); ok {
			return sections, nil
		}
	}
	out, err := s.diffTree(ctx, dir, s.bounds.read, from, to, args...)
	if err != nil {
		return nil, err
	}
	list := splitPatch(out.Stdout)
	if out.Truncated && len(list) > 0 && len(files) > 1 {
		// The last one may end anywhere. A single file is shown as far as it goes.
		list = list[:len(list)-1]
	}
	sections := assign(list, files, !out.Truncated)
	if len(files) == 1 {
		s.recent.put(key, sections, len(out.Stdout))
	}
	return sections, nil
}

// assign finds whose sections they are: in the order of files, by the objects
// that a section's index line names. A file without a section has no hunks; with
// whole unset it may have some that Git's cut words do not hold any more.
func assign(list [][]byte, files []entry, whole bool) map[int][]byte {
	sections := map[int][]byte{}
	at := 0
	for i, f := range files {
		if !f.text() {
			continue
		}
		wants := [][2]string{{f.oldID, f.newID}}
		if f.typeChange {
			none := strings.Repeat("0", len(f.oldID))
			wants = [][2]string{{f.oldID, none}, {none, f.newID}}
		}
		var body []byte
		found := false
		for _, w := range wants {
			for at < len(list) {
				a, b := objects(list[at])
				if a == "" { // a mode or a name alone
					at++
					continue
				}
				if a == w[0] && b == w[1] {
					body = append(body, hunks(list[at])...)
					found = true
					at++
				}
				break
			}
		}
		if found || whole {
			sections[i] = body
		}
	}
	return sections
}

// objects are the ids of a section's index line, "" where it has none.
func objects(section []byte) (from, to string) {
	for line := range bytes.Lines(section) {
		if bytes.HasPrefix(line, []byte("@@ ")) {
			return "", ""
		}
		if rest, ok := bytes.CutPrefix(line, []byte("index ")); ok {
			ids, _, _ := strings.Cut(strings.TrimSpace(string(rest)), " ")
			from, to, _ = strings.Cut(ids, "..")
			return from, to
		}
	}
	return "", ""
}

// entry is a changed file as git lists it. raw names are git's bytes.
type entry struct {
	api.ChangedFile
	raw, rawOld      string
	oldMode, newMode string
	oldID, newID     string
	typeChange       bool
}

const (
	modeNone   = "000000"
	modeLink   = "120000"
	modeModule = "160000"
)

// text reports whether there may be hunks.
func (e entry) text() bool {
	return !e.Binary && e.oldID != e.newID && e.oldMode != modeModule && e.newMode != modeModule
}

// file is the entry as it is answered, without hunks.
func (e entry) file() api.DiffFile {
	f := api.DiffFile{ChangedFile: e.ChangedFile}
	if e.oldMode != modeNone {
		f.OldMode = e.oldMode
	}
	if e.newMode != modeNone {
		f.NewMode = e.newMode
	}
	if e.oldMode == modeModule {
		f.OldCommit = e.oldID
	}
	if e.newMode == modeModule {
		f.NewCommit = e.newID
	}
	return f
}

func (s *Store) changed(ctx context.Context, dir, from, to string, ignoreSpace bool) ([]entry, bool, error) {
	if from == "" || to == "" || from == to {
		return nil, false, nil
	}
	args := []string{"-z", "--raw", "--numstat", "--no-abbrev", "-M", "-l1000"}
	if ignoreSpace {
		args = append(args, "--ignore-all-space")
	}
	out, err := s.diffTree(ctx, dir, s.bounds.read, from, to, append(args, from, to)...)
	if err != nil {
		return nil, false, err
	}
	files, err := parseRaw(out.Stdout)
	if err != nil && !out.Truncated {
		return nil, false, err
	}
	return files, out.Truncated, nil
}

// diffTree runs git diff-tree with args, in which from and to stand too.
func (s *Store) diffTree(ctx context.Context, dir string, max int64, from, to string, args ...string) (git.Output, error) {
	for _, ref := range []string{from, to} {
		if !objectID.MatchString(ref) {
			return git.Output{}, &api.Error{Code: api.CodeInvalid, Message: "This is not a snapshot's reference."}
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, Timeout, errors.New("the comparison took longer than "+Timeout.String()))
	defer cancel()
	fixed := []string{"diff-tree", "-r", "--relative", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/"}
	if len(args) > 0 && args[0] == "-p" {
		fixed = append(fixed, "-M", "-l1000")
	}
	out, err := run(ctx, git.Command{Dir: dir, Args: append(fixed, args...), Max: max})
	var e *git.Error
	if errors.As(err, &e) && (strings.Contains(e.Stderr, "bad object") || strings.Contains(e.Stderr, "unable to read") || strings.Contains(e.Stderr, "not a git repository") || strings.Contains(e.Stderr, "not a tree object")) {
		return out, gone(e.Stderr)
	}
	return out, err
}

func gone(details string) error {
	return &api.Error{
		Code:    api.CodeNotFound,
		Message: "The snapshots of this turn are gone from the repository.",
		Hint:    "They are kept for a thread's newest turns, and lost when the repository is replaced or its refs are removed; the files themselves are untouched.",
		Details: details,
	}
}

// sizes asks for the sizes of binary files.
func (s *Store) sizes(ctx context.Context, dir string, files []entry, out []api.DiffFile) error {
	var ask bytes.Buffer
	var to []*int64
	add := func(mode, id string, size *int64) {
		if mode != modeNone && mode != modeModule {
			ask.WriteString(id + "\n")
			to = append(to, size)
		}
	}
	for i, f := range files {
		if f.Binary {
			add(f.oldMode, f.oldID, &out[i].OldBytes)
			add(f.newMode, f.newID, &out[i].NewBytes)
		}
	}
	if len(to) == 0 {
		return nil
	}
	res, err := run(ctx, git.Command{Dir: dir, Args: []string{"cat-file", "--batch-check=%(objectsize)"}, Stdin: ask.Bytes()})
	if err != nil {
		return err
	}
	for line := range bytes.Lines(res.Stdout) {
		if len(to) == 0 {
			break
		}
		*to[0], _ = strconv.ParseInt(strings.TrimSpace(string(line)), 10, 64) // "missing" counts as 0
		to = to[1:]
	}
	return nil
}
