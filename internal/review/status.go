package review

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/git"
	"catamaran/internal/git/watch"
	"catamaran/internal/topic"
)

const (
	// lookBound limits one look at a repository.
	lookBound = 30 * time.Second
	// restLeast is the shortest time between two looks that nobody asked for, and
	// restTimes how many times as long as a look took it lasts, so that a folder in
	// which much happens costs a fifth of a processor at most.
	restLeast = 250 * time.Millisecond
	restTimes = 4
	// dirsBytes bounds the list of files from which the folders are known.
	dirsBytes = 64 << 20
	// freshMost bounds the new folders looked into at once.
	freshMost = 5000
)

// look keeps the status of one place up to date while somebody subscribes.
type look struct {
	d     *Desk
	place api.GitPlace
	topic topic.Topic
	kick  chan struct{}

	mu sync.Mutex
	// how the place is watched; "" before the first look.
	mode, notice string
}

func (d *Desk) look(p api.GitPlace) *look {
	return &look{d: d, place: p, kick: make(chan struct{}, 1)}
}

func (l *look) shown() *topic.Topic { return &l.topic }

// Status looks at a place now; subscribers see it too.
func (d *Desk) Status(ctx context.Context, p api.GitPlace) (api.GitStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, lookBound)
	defer cancel()
	st, _, _, err := d.see(ctx, p)
	if err != nil {
		return st, err
	}
	d.looks.each(func(at api.GitPlace) bool { return at == p }, func(l *look) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.mode != "" {
			st.Watch, st.Notice = l.mode, l.notice
			shown := st
			l.topic.Set(api.ServerFrame{Git: &shown})
		}
	})
	return st, nil
}

// see makes a status. What is wrong with a repository is in it; an error is one of the request.
func (d *Desk) see(ctx context.Context, p api.GitPlace) (st api.GitStatus, dir string, repo git.Repo, err error) {
	st = api.GitStatus{GitPlace: p, Files: []api.GitFile{}, At: time.Now().UnixMilli()}
	dir, repo, err = d.place(ctx, p)
	if dir == "" {
		return st, dir, repo, err
	}
	if err != nil {
		if !git.Inside(dir) && api.CodeOf(err) == api.CodeInvalid {
			return st, dir, repo, nil // outside Git
		}
		st.Error = d.explain("find the repository", err)
		return st, dir, repo, nil
	}
	found, err := git.Status(ctx, repo, dir)
	d.note(ctx, p, func(ctx context.Context, _ string) (git.CheckedOut, error) { return repo.CheckedOut(ctx) })
	if err != nil {
		st.Repo, st.Error = true, d.explain("status", err)
		return st, dir, repo, nil
	}
	found.GitPlace, found.At = st.GitPlace, st.At
	if found.Remotes, err = git.Remotes(ctx, repo.Top); err != nil {
		found.Error = d.explain("remotes", err)
	}
	return found, dir, repo, nil
}

func (d *Desk) explain(what string, err error) *api.Error {
	if e := api.AsError(git.Explain(what, err)); e != nil {
		return e
	}
	d.o.Log.Warn("git", "what", what, "err", err.Error())
	return &api.Error{Code: api.CodeInternal, Message: "Git could not be asked: " + err.Error(), Hint: "Try again; the log has the details.", Retryable: true}
}

// run looks, waits for a change, and looks again.
func (l *look) run(ctx context.Context) {
	var w *watch.Watcher
	var of git.Repo
	var at string
	defer func() {
		if w != nil {
			w.Close()
		}
	}()
	for {
		// What changes from here on is seen by the next look.
		began := time.Now()
		bound, cancel := context.WithTimeout(ctx, lookBound)
		if w != nil {
			l.cover(bound, w, of)
		}
		st, dir, repo, err := l.d.see(bound, l.place)
		switch {
		case err != nil:
			st.Error = l.d.explain("status", err)
		case w == nil || repo.GitDir != of.GitDir || dir != at:
			if w != nil {
				w.Close()
			}
			if w = l.open(bound, dir, repo); w != nil {
				of, at = repo, dir
				// What happened between the look and the watch is not lost.
				if again, _, _, err := l.d.see(bound, l.place); err == nil {
					st = again
				}
			}
		}
		cancel()
		if ctx.Err() != nil {
			return
		}
		if w != nil {
			st.Watch, st.Notice = w.Mode()
		} else {
			st.Watch, st.Notice = watch.Part, "The folder can't be watched; it is looked at afresh when the window is focused."
		}
		l.mu.Lock()
		l.mode, l.notice = st.Watch, st.Notice
		l.mu.Unlock()
		l.topic.Set(api.ServerFrame{Git: &st})
		took := time.Since(began)
		var changes <-chan struct{}
		if w != nil {
			changes = w.C
		}
		select {
		case <-changes:
			rest := time.NewTimer(max(restLeast, restTimes*took))
			select {
			case <-rest.C:
			case <-l.kick:
			case <-ctx.Done():
			}
			rest.Stop()
		case <-l.kick:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// open watches a place; nil where that cannot be done.
func (l *look) open(ctx context.Context, dir string, repo git.Repo) *watch.Watcher {
	o := watch.Options{Top: dir}
	if repo.Top != "" {
		o.Top, o.GitDir, o.CommonDir = repo.Top, repo.GitDir, repo.CommonDir()
		o.Dirs = folders(ctx, repo.Top)
	}
	w, err := watch.New(o)
	if err != nil {
		l.d.o.Log.Warn("watch a project", "err", err.Error())
		return nil
	}
	return w
}

// folders are those of a working tree that hold files which are not ignored, the
// ones near its top first.
func folders(ctx context.Context, top string) []string {
	out, err := git.Run(ctx, git.Command{Dir: top, Max: dirsBytes, Args: []string{"ls-files", "-z", "--cached", "--others", "--exclude-standard"}})
	if err != nil {
		return nil
	}
	seen := map[string]bool{}
	var list []string
	for name := range bytes.SplitSeq(out.Stdout, []byte{0}) {
		for {
			i := bytes.LastIndexByte(name, '/')
			if i < 0 || seen[string(name[:i])] {
				break
			}
			name = name[:i]
			seen[string(name)] = true
			list = append(list, string(name))
		}
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := bytes.Count([]byte(list[i]), []byte("/")), bytes.Count([]byte(list[j]), []byte("/"))
		return a < b || a == b && list[i] < list[j]
	})
	for i := range list {
		list[i] = filepath.Join(top, filepath.FromSlash(list[i]))
	}
	return list
}

// cover watches the folders that appeared, but for ignored ones.
func (l *look) cover(ctx context.Context, w *watch.Watcher, repo git.Repo) {
	fresh := w.Fresh()
	if len(fresh) == 0 {
		return
	}
	ignored := map[string]bool{}
	if repo.Top != "" {
		var in bytes.Buffer
		for _, f := range fresh {
			in.WriteString(f + "\x00")
		}
		// It ends with 1 where none is ignored.
		out, err := git.Run(ctx, git.Command{Dir: repo.Top, Args: []string{"check-ignore", "-z", "--stdin"}, Stdin: in.Bytes()})
		var e *git.Error
		if err != nil && !errors.As(err, &e) {
			return
		}
		for name := range bytes.SplitSeq(out.Stdout, []byte{0}) {
			ignored[string(name)] = true
		}
	}
	var dirs []string
	for _, f := range fresh {
		if ignored[f] {
			continue
		}
		_ = filepath.WalkDir(f, func(path string, e fs.DirEntry, err error) error {
			switch {
			case err != nil || !e.IsDir():
				return nil
			case len(dirs) >= freshMost:
				return fs.SkipAll
			case path != f:
				if _, err := os.Lstat(filepath.Join(path, ".git")); err == nil {
					return fs.SkipDir
				}
			}
			dirs = append(dirs, path)
			return nil
		})
	}
	w.Cover(dirs)
}
