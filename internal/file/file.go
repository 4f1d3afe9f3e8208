// Package file shows a project's files to its reader: a fuzzy index of paths
// for mentions, folders, the text of a file, a content search, the bytes of a
// picture. It writes nothing, ever. Package server calls it with the folder of
// a project or of a thread's working tree; the page sends relative paths.
//
// Invariants: nothing outside the folder is opened, whatever links, "..", or
// absolute names lead there, and no device, pipe or socket anywhere; every
// answer is bounded in bytes and entries, every walk and every child in time;
// an index is rebuilt only because somebody asks, so nothing happens while
// nobody does.
package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"catamaran/internal/api"
)

// Files answers for any number of folders. It is safe for concurrent use.
type Files struct {
	limits limits
	// environ is the environment that programs are looked up in and run with.
	environ func(context.Context) []string

	life context.Context
	end  context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	indexes map[string]*index // by folder
	clock   int64             // counts uses, for the oldest index and the newest path
}

// limits are all bounds, in one place so that tests can shrink them.
type limits struct {
	paths     int   // of one index
	pathBytes int64 // of one index
	indexes   int
	recent    int           // paths remembered as used, of one folder
	listing   time.Duration // bound on making an index
	fresh     time.Duration // an index this young is not looked at again
	patience  time.Duration // how long a find waits for a newer index when its own is old
	old       time.Duration // what "old" is
	idle      time.Duration // an index that nobody used for this long is dropped
	entries   int           // of a folder
	text      int64         // bytes of one answer with text
	bytes     int64         // of a file's own bytes
	search    time.Duration
	searchMax int64 // bytes of a file that is searched without a program
}

var defaultLimits = limits{
	paths: 300_000, pathBytes: 32 << 20, indexes: 4, recent: 128,
	listing: 20 * time.Second, fresh: 3 * time.Second, patience: 150 * time.Millisecond, old: time.Minute, idle: 10 * time.Minute,
	entries: 5000, text: 2 << 20, bytes: 25 << 20, search: 20 * time.Second, searchMax: 4 << 20,
}

// New returns Files; environ yields the environment of the programs it runs, nil takes this process's.
func New(environ func(context.Context) []string) *Files {
	if environ == nil {
		environ = func(context.Context) []string { return os.Environ() }
	}
	f := &Files{limits: defaultLimits, environ: environ, indexes: map[string]*index{}}
	f.life, f.end = context.WithCancel(context.Background())
	return f
}

// Close ends what runs in the background and waits for it.
func (f *Files) Close() error {
	f.mu.Lock()
	f.closed = true
	for _, x := range f.indexes {
		x.idle.Stop()
	}
	clear(f.indexes)
	f.mu.Unlock()
	f.end()
	f.wg.Wait()
	return nil
}

// openError says in words why a file was not opened.
func openError(path string, err error) error {
	if api.AsError(err) != nil {
		return err
	}
	switch {
	case path == "":
		path = "the project's folder"
	case len(path) > 200:
		path = "…" + path[len(path)-200:]
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &api.Error{Code: api.CodeNotFound, Message: "There is no " + path + ".", Hint: "It may have been moved or deleted since it was listed."}
	case errors.Is(err, fs.ErrPermission):
		return &api.Error{Code: api.CodeForbidden, Message: "This may not be read: " + path + ".", Hint: "Its permissions keep it from you."}
	}
	return &api.Error{Code: api.CodeUnavailable, Message: "This can't be read: " + path + ".", Details: err.Error()}
}
