// Package watch tells when a working tree or its repository may have changed, from
// the system's own notices. It runs no process and reads no file; package
// review calls it while somebody looks at a project's Git status, and never else.
//
// Invariants: watches are bounded, and what is not watched is said; on a file
// system that sends no notices (a Windows drive in WSL, a network share) it ticks
// instead, slowly; nothing of it is left after Close.
package watch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long nothing must happen before a change is told, most how long
	// it is held back at most.
	quiet = 150 * time.Millisecond
	most  = time.Second
	// pollEvery is the tick where there are no notices.
	pollEvery = 5 * time.Second
)

// Modes, as api.GitStatus.Watch has them.
const (
	Files = "files"
	Part  = "part"
	Poll  = "poll"
)

// Options of a watcher.
type Options struct {
	// Top is the working tree; GitDir and CommonDir the repository's directories, ""
	// in a folder that is none.
	Top, GitDir, CommonDir string
	// Dirs are the folders to watch, absolute, the most important first.
	Dirs []string
	// Names are the only entries of Top that matter, in the place of all that is above.
	Names []string
	// Most bounds the watches; 0 is the system's usual bound.
	Most int
	// Poll forces ticks; tests use it.
	Poll bool
	// Every is the tick; 0 is 5 s.
	Every time.Duration
}

// Watcher sends to C after changes. It is safe for concurrent use.
type Watcher struct {
	// C gets a value when something may have changed; it holds one at most.
	C <-chan struct{}

	o    Options
	c    chan struct{}
	w    *fsnotify.Watcher
	stop chan struct{}
	done chan struct{}

	mu     sync.Mutex
	known  map[string]bool
	fresh  []string // folders that appeared and are not watched yet
	full   bool
	reason string
	once   sync.Once
}

// New starts watching. An error means that nothing can be watched at all; the
// caller may still look when it is asked to.
func New(o Options) (*Watcher, error) {
	if o.Most == 0 {
		o.Most = defaultMost
	}
	if o.Every == 0 {
		o.Every = pollEvery
	}
	w := &Watcher{o: o, c: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}), known: map[string]bool{}}
	w.C = w.c
	if o.Poll || silent(o.Top) {
		w.reason = "This file system tells of no changes (a Windows drive or a network share), so it is looked at every few seconds."
		go w.tick()
		return w, nil
	}
	fw, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w.w = fw
	w.add(o.Top)
	if o.GitDir != "" {
		w.add(o.GitDir)
		w.add(o.CommonDir)
		w.refs(filepath.Join(o.CommonDir, "refs"))
		if o.GitDir != o.CommonDir {
			w.refs(filepath.Join(o.GitDir, "refs"))
		}
	}
	w.Cover(o.Dirs)
	go w.run()
	return w, nil
}

// refs watches the folders of branches, but not our own refs.
func (w *Watcher) refs(root string) {
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		if rel, _ := filepath.Rel(root, path); rel == "catamaran" || rel == "tags" {
			return fs.SkipDir
		}
		w.add(path)
		return nil
	})
}

// Cover watches more folders.
func (w *Watcher) Cover(dirs []string) {
	for _, d := range dirs {
		w.add(d)
	}
}

// add watches one folder; a folder that is gone again is no matter.
func (w *Watcher) add(dir string) {
	if w.w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.known[dir] || w.full {
		return
	}
	if len(w.known) >= w.o.Most {
		w.full, w.reason = true, "The project has too many folders to watch them all; the status may be late for some. It is looked at afresh when the window is focused."
		return
	}
	err := w.w.Add(dir)
	switch {
	case err == nil:
		w.known[dir] = true
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EMFILE):
		w.full, w.reason = true, "The system allows no more watches (fs.inotify.max_user_watches); the status may be late for some folders. It is looked at afresh when the window is focused."
	}
}

// Mode tells how changes are noticed, and why where it is not by notices of all folders.
func (w *Watcher) Mode() (mode, notice string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.w == nil:
		return Poll, w.reason
	case w.full:
		return Part, w.reason
	}
	return Files, ""
}

// Fresh returns the folders that appeared since the last call and are not watched:
// the caller knows which are ignored, and covers the others.
func (w *Watcher) Fresh() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.fresh
	w.fresh = nil
	return list
}

// Close ends the watches and waits. It is idempotent.
func (w *Watcher) Close() {
	w.once.Do(func() { close(w.stop) })
	<-w.done
}

func (w *Watcher) tell() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}

func (w *Watcher) tick() {
	defer close(w.done)
	t := time.NewTicker(w.o.Every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			w.tell()
		case <-w.stop:
			return
		}
	}
}

func (w *Watcher) run() {
	defer close(w.done)
	defer w.w.Close()
	var due <-chan time.Time
	var first time.Time
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case ev, ok := <-w.w.Events:
			if !ok {
				return
			}
			if !w.matters(ev) {
				continue
			}
			now := time.Now()
			if due == nil {
				first = now
			}
			timer.Reset(max(0, min(quiet, most-now.Sub(first))))
			due = timer.C
		case _, ok := <-w.w.Errors:
			if !ok {
				return
			}
			// Notices were lost: look.
			w.tell()
		case <-due:
			due = nil
			w.tell()
		case <-w.stop:
			return
		}
	}
}

// matters tells changes from what Git and we write without any.
func (w *Watcher) matters(ev fsnotify.Event) bool {
	name := filepath.Base(ev.Name)
	dir := filepath.Dir(ev.Name)
	if w.o.Names != nil {
		return ev.Op != fsnotify.Chmod && (slices.Contains(w.o.Names, name) || ev.Name == w.o.Top)
	}
	if w.o.GitDir != "" && (dir == w.o.GitDir || dir == w.o.CommonDir) {
		switch name {
		case "index", "HEAD", "packed-refs", "config", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG", "rebase-merge", "rebase-apply", "ORIG_HEAD":
			return ev.Op != fsnotify.Chmod
		}
		// In the top of a working tree GitDir is a folder below; in a bare one they are the same.
		return dir == w.o.Top && name != ".git"
	}
	if w.o.CommonDir != "" && inside(filepath.Join(w.o.CommonDir, "refs"), ev.Name) {
		if name == "catamaran" || strings.HasSuffix(name, ".lock") {
			return false
		}
		if ev.Op.Has(fsnotify.Create) {
			w.refs(ev.Name)
		}
		return true
	}
	if name == ".git" && w.o.GitDir != "" {
		return false
	}
	if strings.HasPrefix(name, ".catamaran-") {
		return false
	}
	if ev.Op.Has(fsnotify.Remove) || ev.Op.Has(fsnotify.Rename) {
		w.mu.Lock()
		delete(w.known, ev.Name)
		w.mu.Unlock()
	}
	if ev.Op.Has(fsnotify.Create) {
		if st, err := os.Lstat(ev.Name); err == nil && st.IsDir() {
			w.mu.Lock()
			if len(w.fresh) < 10_000 {
				w.fresh = append(w.fresh, ev.Name)
			}
			w.mu.Unlock()
		}
	}
	return true
}

func inside(root, path string) bool {
	return path == root || strings.HasPrefix(path, root+string(filepath.Separator))
}
