package checkpoint

import (
	"path/filepath"
	"sync"
)

// pathMost is the longest path taken from an agent, in bytes.
const pathMost = 4096

// live is what turns that still run have edited or begun to edit: a turn's record is
// kept at its end, and until then its files are known from here to the reverts of
// others. It is in memory, so nothing of a turn is left when the backend ends.
type live struct {
	mu    sync.Mutex
	turns map[*Edits]map[string]at
}

// at is how a turn stands to a file: how many of its edits have begun, and whether one was made.
type at struct {
	begun int
	made  bool
}

// tell changes how e's turn stands to files, by the names that the agent has for them.
// At most maxEdits of them are known of a turn.
func (l *live) tell(e *Edits, paths []string, change func(at) at) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.closed {
		return
	}
	for _, p := range paths {
		known, ok := l.turns[e][p]
		next := change(known)
		switch {
		case next == at{}:
			delete(l.turns[e], p)
		case ok || len(l.turns[e]) < maxEdits && len(p) <= pathMost:
			if l.turns == nil {
				l.turns = map[*Edits]map[string]at{}
			}
			if l.turns[e] == nil {
				l.turns[e] = map[string]at{}
			}
			l.turns[e][p] = next
		}
	}
}

func (l *live) close(e *Edits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.closed = true
	delete(l.turns, e)
}

// others are the files in dir that running turns of other threads are at, as a
// snapshot of dir names them.
func (l *live) others(dir, threadID string) map[string]bool {
	type file struct{ dir, path string }
	var files []file
	l.mu.Lock()
	for e, paths := range l.turns {
		// Projects may lie within each other.
		if e.threadID != threadID && (within(dir, e.dir) || within(e.dir, dir)) {
			for p := range paths {
				files = append(files, file{e.dir, p})
			}
		}
	}
	l.mu.Unlock()
	all := map[string]bool{}
	for _, f := range files {
		path := filepath.FromSlash(f.path)
		if !filepath.IsAbs(path) {
			path = filepath.Join(f.dir, path)
		}
		if name, ok := relativeTo(dir, path); ok {
			all[name] = true
		}
	}
	return all
}

func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// Begin tells that the agent begins to edit files, Made that it has edited them, and
// Failed that an edit it began came to nothing. Any goroutine may call them, when the
// agent says so: they look at no file. Until Close the files are the turn's to the
// reverts of other threads.
func (e *Edits) Begin(paths ...string) {
	e.live.tell(e, paths, func(a at) at { a.begun++; return a })
}

// Made: see Begin.
func (e *Edits) Made(paths ...string) {
	e.live.tell(e, paths, func(a at) at { a.made = true; return a })
}

// Failed: see Begin.
func (e *Edits) Failed(paths ...string) {
	e.live.tell(e, paths, func(a at) at { a.begun = max(0, a.begun-1); return a })
}

// Close tells that the turn is over, however it ended, after Save where there is one. It is idempotent.
func (e *Edits) Close() { e.live.close(e) }
