package review

import (
	"context"
	"os"
	"path/filepath"

	"catamaran/internal/api"
	"catamaran/internal/git"
	"catamaran/internal/git/watch"
	"catamaran/internal/topic"
)

// headLook keeps what is checked out in one place up to date while somebody
// subscribes. It watches one folder and reads one file, where a look has Git go
// through the working tree: so it may go on for as long as a thread is on screen.
type headLook struct {
	d     *Desk
	place api.GitPlace
	topic topic.Topic
}

func (d *Desk) lookAtHead(p api.GitPlace) *headLook {
	h := &headLook{d: d, place: p}
	h.topic.Set(api.ServerFrame{})
	return h
}

func (h *headLook) shown() *topic.Topic { return &h.topic }

// note has the engine store what is checked out in a place.
func (d *Desk) note(ctx context.Context, p api.GitPlace, read func(ctx context.Context, dir string) (git.CheckedOut, error)) {
	if err := d.o.Engine.LookAtHead(ctx, p, read); err != nil && ctx.Err() == nil {
		d.o.Log.Info("look at what is checked out", "project", p.ProjectID, "thread", p.ThreadID, "err", err.Error())
	}
}

// run looks, waits for a change, and looks again; where HEAD cannot be read (any more)
// it looks for the repository again.
func (h *headLook) run(ctx context.Context) {
	for ctx.Err() == nil {
		read, w := h.open(ctx)
		for known := h.look(ctx, read); wait(ctx, w) && known; {
			if known = h.look(ctx, read); !known {
				break
			}
		}
		if w != nil {
			w.Close()
		}
	}
}

// look reports whether the place is in a repository.
func (h *headLook) look(ctx context.Context, read func(context.Context) (git.CheckedOut, error)) (known bool) {
	if read != nil {
		h.d.note(ctx, h.place, func(ctx context.Context, _ string) (git.CheckedOut, error) {
			at, err := read(ctx)
			known = err == nil && at.Repo
			return at, err
		})
	}
	return known
}

// wait waits for a change; false at the end.
func wait(ctx context.Context, w *watch.Watcher) bool {
	var changes <-chan struct{}
	if w != nil {
		changes = w.C
	}
	select {
	case <-changes:
		return true
	case <-ctx.Done():
		return false
	}
}

// open finds the repository of the place, and watches the folder in which HEAD is, or
// where one may come to be. read is nil while it is not known what is there, w where
// nothing can be watched.
func (h *headLook) open(ctx context.Context) (read func(context.Context) (git.CheckedOut, error), w *watch.Watcher) {
	ctx, cancel := context.WithTimeout(ctx, lookBound)
	defer cancel()
	dir, repo, err := h.d.place(ctx, h.place)
	o := watch.Options{Top: dir, Names: []string{".git"}}
	switch {
	case dir == "":
		return nil, nil
	case err == nil:
		read, o.Top, o.Names = repo.CheckedOut, repo.GitDir, []string{"HEAD"}
	case !git.Inside(dir) && api.CodeOf(err) == api.CodeInvalid:
		read = func(context.Context) (git.CheckedOut, error) { return git.CheckedOut{}, nil }
	case api.CodeOf(err) == api.CodeNotFound:
		for parent := filepath.Dir(o.Top); ; parent = filepath.Dir(parent) {
			o.Names, o.Top = []string{filepath.Base(o.Top)}, parent
			if _, err := os.Stat(parent); err == nil || parent == filepath.Dir(parent) {
				break
			}
		}
	}
	if w, err = watch.New(o); err != nil {
		h.d.o.Log.Warn("watch what is checked out", "err", err.Error())
		return read, nil
	}
	return read, w
}
