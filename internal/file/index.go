package file

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"catamaran/internal/api"
	"catamaran/internal/git"
)

// index is what is known of a folder's paths. All fields belong to Files.mu,
// but what list points at never changes.
type index struct {
	list   *list
	at     time.Time     // when list was finished
	took   time.Duration // how long that took
	err    error         // of the last try
	making chan struct{} // closed when the refresh that runs is done; nil when none does
	used   int64
	idle   *time.Timer
	recent map[string]int64 // path -> use
}

// list is all paths of a folder at one moment, folders included.
type list struct {
	paths   []string
	folded  []string // for comparing: same bytes, letters in lower case
	masks   []uint64 // which characters a path has
	flags   []uint8
	partial bool
}

const (
	flagFolder uint8 = 1 << iota
	flagChanged
)

// current returns dir's list: the kept one at once while it is fresh, with a
// newer one on its way where it is not.
func (f *Files) current(ctx context.Context, dir string) (*list, map[string]int64, error) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil, nil, &api.Error{Code: api.CodeUnavailable, Message: "The backend is ending.", Retryable: true}
	}
	x := f.indexLocked(dir)
	age := time.Since(x.at)
	if x.making == nil && (x.list == nil || age > max(f.limits.fresh, 20*x.took)) {
		f.refreshLocked(dir, x)
	}
	making, have := x.making, x.list != nil
	f.mu.Unlock()

	if making != nil && (!have || age > f.limits.old) {
		wait := f.limits.listing + time.Second
		if have {
			wait = f.limits.patience
		}
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-making:
		case <-timer.C:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if x.list == nil {
		if x.err != nil {
			return nil, nil, x.err
		}
		return nil, nil, &api.Error{Code: api.CodeTimeout, Message: "The list of files is still being made.", Hint: "Try again in a moment.", Retryable: true}
	}
	recent := make(map[string]int64, len(x.recent))
	for p, n := range x.recent {
		recent[p] = n
	}
	return x.list, recent, nil
}

// indexLocked finds or makes dir's index, lets the one unused longest go where
// there are too many, and puts off the moment when this one goes.
func (f *Files) indexLocked(dir string) *index {
	x := f.indexes[dir]
	if x == nil {
		if len(f.indexes) >= f.limits.indexes {
			oldest := ""
			for d, o := range f.indexes {
				if oldest == "" || o.used < f.indexes[oldest].used {
					oldest = d
				}
			}
			f.indexes[oldest].idle.Stop()
			delete(f.indexes, oldest)
		}
		x = &index{recent: map[string]int64{}}
		x.idle = time.AfterFunc(f.limits.idle, func() { f.drop(dir, x) })
		f.indexes[dir] = x
	}
	f.clock++
	x.used = f.clock
	x.idle.Reset(f.limits.idle)
	return x
}

// drop forgets the paths of an index that nobody uses; what was used stays known.
func (f *Files) drop(dir string, x *index) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.indexes[dir] == x && x.making == nil {
		x.list, x.at = nil, time.Time{}
	}
}

func (f *Files) refreshLocked(dir string, x *index) {
	done := make(chan struct{})
	x.making = done
	f.wg.Go(func() {
		ctx, cancel := context.WithTimeoutCause(f.life, f.limits.listing, errors.New("listing the files took too long"))
		defer cancel()
		began := time.Now()
		l, err := f.listing(ctx, dir)
		f.mu.Lock()
		defer f.mu.Unlock()
		defer close(done)
		x.making, x.took, x.err = nil, time.Since(began), err
		if err == nil {
			x.list, x.at = l, time.Now()
		}
	})
}

// Used remembers that somebody looked at a file of dir: it is found earlier.
func (f *Files) Used(dir string, paths ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	x := f.indexLocked(dir)
	for _, p := range paths {
		f.clock++
		x.recent[p] = f.clock
	}
	for len(x.recent) > f.limits.recent {
		oldest := ""
		for p, n := range x.recent {
			if oldest == "" || n < x.recent[oldest] {
				oldest = p
			}
		}
		delete(x.recent, oldest)
	}
}

// listing makes the list: Git's own where it knows the folder, else a walk by
// the same rules.
func (f *Files) listing(ctx context.Context, dir string) (*list, error) {
	if git.Inside(dir) {
		l, err := f.fromGit(ctx, dir)
		if err == nil && len(l.paths) > 0 {
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, f.listError(ctx.Err())
		}
		// No Git here, one that refuses the folder, or a folder that is ignored by what is around it.
	}
	l, err := f.walk(ctx, dir)
	return l, f.listError(err)
}

func (f *Files) listError(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &api.Error{Code: api.CodeTimeout, Message: "Listing the files took longer than " + f.limits.listing.String() + ".", Retryable: true, Hint: "Type the path instead."}
	}
	return openError("", err)
}

// fromGit asks Git for what is tracked (C when changed, R when removed) and new and not ignored.
func (f *Files) fromGit(ctx context.Context, dir string) (*list, error) {
	out, err := git.Run(ctx, git.Command{Dir: dir, Args: []string{"ls-files", "-z", "-t", "-c", "-o", "-m", "-d", "--exclude-standard"}, Max: f.limits.pathBytes + 4*int64(f.limits.paths)})
	if err != nil {
		return nil, err
	}
	return f.parse(out.Stdout, out.Truncated), nil
}

// parse reads records of a tag, a space, a path and a zero byte. A path may
// come more than once: as cached and then as changed or removed.
func (f *Files) parse(out []byte, truncated bool) *list {
	b := builder{limits: f.limits, list: &list{partial: truncated}, at: map[string]int{}, folders: map[string]bool{}}
	text := string(out)
	removed := map[string]bool{}
	for text != "" {
		record, rest, ok := strings.Cut(text, "\x00")
		if !ok {
			break // cut in the middle
		}
		text = rest
		if len(record) < 3 || record[1] != ' ' {
			continue
		}
		p := record[2:]
		switch record[0] {
		case 'H', 'M':
			b.file(p, 0)
		case 'C', '?':
			b.file(p, flagChanged)
		case 'R':
			removed[p] = true
		}
	}
	b.finish(removed)
	return b.list
}

// builder collects paths and the folders they are in.
type builder struct {
	limits  limits
	list    *list
	at      map[string]int // of paths that come twice only where that can be
	folders map[string]bool
	bytes   int64
}

func (b *builder) full() bool {
	return len(b.list.paths) >= b.limits.paths || b.bytes >= b.limits.pathBytes
}

func (b *builder) file(p string, flags uint8) {
	// A repository inside this one is listed as a folder.
	if rest, ok := strings.CutSuffix(p, "/"); ok {
		b.folder(rest, flags)
		return
	}
	if p == "" || !utf8.ValidString(p) {
		return // it could not be asked for
	}
	if i, ok := b.at[p]; ok {
		b.list.flags[i] |= flags
		return
	}
	if b.full() {
		b.list.partial = true
		return
	}
	b.at[p] = len(b.list.paths)
	b.add(p, flags)
	b.parents(p)
}

func (b *builder) add(p string, flags uint8) {
	b.list.paths = append(b.list.paths, p)
	b.list.flags = append(b.list.flags, flags)
	b.bytes += int64(len(p))
}

func (b *builder) folder(p string, flags uint8) {
	if p == "" || b.folders[p] || !utf8.ValidString(p) || b.full() {
		return
	}
	b.folders[p] = true
	b.add(p, flags|flagFolder)
	b.parents(p)
}

func (b *builder) parents(p string) {
	for {
		i := strings.LastIndexByte(p, '/')
		if i <= 0 || b.folders[p[:i]] {
			return
		}
		p = p[:i]
		b.folders[p] = true
		b.add(p, flagFolder)
	}
}

// finish takes out what is gone and makes what comparing needs.
func (b *builder) finish(removed map[string]bool) {
	l := b.list
	if len(removed) > 0 {
		n := 0
		for i, p := range l.paths {
			if removed[p] && l.flags[i]&flagFolder == 0 {
				continue
			}
			l.paths[n], l.flags[n] = p, l.flags[i]
			n++
		}
		l.paths, l.flags = l.paths[:n], l.flags[:n]
	}
	l.folded = make([]string, len(l.paths))
	l.masks = make([]uint64, len(l.paths))
	for i, p := range l.paths {
		l.folded[i] = fold(p)
		l.masks[i] = mask(l.folded[i])
	}
}

// skipped folders hold no sources where no Git says otherwise.
var skipped = map[string]bool{".git": true, ".hg": true, ".svn": true, ".jj": true, "node_modules": true, "__pycache__": true, ".venv": true, ".cache": true}

// walk lists a folder outside Git, breadth first, so that what is left out of a
// huge one lies deep. It follows no links.
func (f *Files) walk(ctx context.Context, dir string) (*list, error) {
	b := builder{limits: f.limits, list: &list{}, at: map[string]int{}, folders: map[string]bool{}}
	type folder struct {
		at    string
		rules *rules
	}
	queue := []folder{{".", topRules(dir)}}
	for len(queue) > 0 && !b.full() {
		if err := ctx.Err(); err != nil {
			if len(b.list.paths) == 0 {
				return nil, err
			}
			b.list.partial = true
			break
		}
		here := queue[0]
		queue = queue[1:]
		entries, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(here.at)))
		if err != nil && here.at == "." {
			return nil, err
		}
		for _, e := range entries {
			p := path.Join(here.at, e.Name())
			switch {
			case e.IsDir():
				if !skipped[e.Name()] && !here.rules.ignored(p, true) && utf8.ValidString(p) {
					b.folder(p, 0)
					queue = append(queue, folder{p, here.rules.enter(dir, p)})
				}
			case e.Type().IsRegular() || e.Type()&fs.ModeSymlink != 0:
				if !here.rules.ignored(p, false) {
					b.file(p, 0)
				}
			}
		}
	}
	b.list.partial = b.list.partial || len(queue) > 0
	b.finish(nil)
	return b.list, nil
}

// fold puts letters into lower case where that keeps the number of bytes, so
// that a position in one is one in the other.
func fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	b := make([]byte, 0, len(s))
	for _, r := range s {
		n := utf8.AppendRune(nil, r)
		if low := bytes.ToLower(n); len(low) == len(n) {
			n = low
		}
		b = append(b, n...)
	}
	return string(b)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
