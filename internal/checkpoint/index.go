package checkpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"catamaran/internal/git"
)

// maxIndexes bounds the indexes kept between snapshots.
const maxIndexes = 16

// indexes keeps one index of our own per folder, so that a snapshot only has to
// look at what changed since the last one: a copy of the user's index knows
// neither untracked files nor uncommitted changes, and they would be hashed again
// every time.
type indexes struct {
	dir string // "": kept in a temporary folder for one snapshot only

	mu    sync.Mutex
	byDir map[string]*index
	clock int
}

// index belongs to whoever holds lock.
type index struct {
	lock  chan struct{}
	used  int // guarded by indexes.mu
	users int // guarded by indexes.mu

	path string
	// from is the user's index it was seeded with: once that is another one, the
	// entries, their flags (sparse checkouts) and what is tracked may be others too.
	from fs.FileInfo
	repo git.Repo
	gone bool // the folder of path is temporary
}

func (s *indexes) init(dir string) {
	s.byDir = map[string]*index{}
	if dir == "" {
		return
	}
	// What a killed process left is of no use: it is not known what it was made from.
	if err := os.RemoveAll(dir); err != nil {
		return
	}
	if err := os.MkdirAll(dir, 0o700); err == nil {
		s.dir = dir
	}
}

// take gives out the index of a folder; release must be called.
func (s *indexes) take(ctx context.Context, dir string) (x *index, release func(), err error) {
	s.mu.Lock()
	x = s.byDir[dir]
	if x == nil {
		x = &index{lock: make(chan struct{}, 1)}
		s.byDir[dir] = x
	}
	x.users++
	s.clock++
	x.used = s.clock
	s.evictLocked()
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		x.users--
		s.evictLocked()
		s.mu.Unlock()
	}
	select {
	case x.lock <- struct{}{}:
	case <-ctx.Done():
		leave()
		return nil, nil, context.Cause(ctx)
	}
	release = func() {
		if x.gone {
			x.drop()
		} else {
			_ = os.Chmod(x.path, 0o600) // Git wrote it with the person's umask; the folder is theirs alone anyway
		}
		<-x.lock
		leave()
	}
	if x.path == "" {
		if s.dir != "" {
			sum := sha256.Sum256([]byte(dir))
			x.path = filepath.Join(s.dir, hex.EncodeToString(sum[:8]))
		} else {
			tmp, err := os.MkdirTemp("", "catamaran-checkpoint-")
			if err != nil {
				release()
				return nil, nil, err
			}
			x.path, x.gone = filepath.Join(tmp, "index"), true
		}
	}
	return x, release, nil
}

// evictLocked forgets the folders used longest ago beyond the bound.
func (s *indexes) evictLocked() {
	for len(s.byDir) > maxIndexes {
		oldest := ""
		for dir, x := range s.byDir {
			if x.users == 0 && (oldest == "" || x.used < s.byDir[oldest].used) {
				oldest = dir
			}
		}
		if oldest == "" {
			return
		}
		s.byDir[oldest].drop()
		delete(s.byDir, oldest)
	}
}

// drop removes the file: the next snapshot begins afresh.
func (x *index) drop() {
	x.from = nil
	if x.path == "" {
		return
	}
	if x.gone {
		os.RemoveAll(filepath.Dir(x.path))
		x.path, x.gone = "", false
		return
	}
	os.Remove(x.path)
	os.Remove(x.path + ".lock")
}

// seed makes sure that the index begins as the user's is now; reused tells that it
// did so already and knows more than that by now.
func (x *index) seed(repo git.Repo) (reused bool, err error) {
	user := filepath.Join(repo.GitDir, "index")
	now, err := os.Stat(user)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	// A git that was killed leaves its lock, and nobody else uses this file.
	os.Remove(x.path + ".lock")
	if x.from != nil && now != nil && x.repo.GitDir == repo.GitDir && os.SameFile(x.from, now) && x.from.Size() == now.Size() && x.from.ModTime().Equal(now.ModTime()) {
		if _, err := os.Stat(x.path); err == nil {
			return true, nil
		}
	}
	os.Remove(x.path)
	if now == nil {
		x.from = nil // nothing was ever added
		return false, nil
	}
	if err := copyIndex(user, x.path); err != nil {
		return false, err
	}
	x.from, x.repo = now, repo
	return false, nil
}

// copyIndex copies the user's index with its time: Git compares that time with
// the files' to know which entries it has to look at again, and a younger copy
// would hide a change made right after the index was written.
func copyIndex(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
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
