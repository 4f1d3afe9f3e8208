package engine

import (
	"context"
	"errors"
	"os"

	"catamaran/internal/api"
	"catamaran/internal/git"
	"catamaran/internal/store"
	"catamaran/internal/thread"
)

// LookAtHead has read tell what is checked out in a place, and stores that with the
// project, or with the thread that has a working tree of its own, where it is news.
// A place that is gone by now is none. Looks at one place wait for each other, so that
// an older one never replaces a newer; those at other places do not.
func (e *Engine) LookAtHead(ctx context.Context, p api.GitPlace, read func(ctx context.Context, dir string) (git.CheckedOut, error)) error {
	ctx, cancel := context.WithTimeout(ctx, e.t.call)
	defer cancel()
	st, err := e.ready()
	if err != nil {
		return err
	}
	dir, err := e.folder(ctx, p.ProjectID, p.ThreadID)
	if api.CodeOf(err) == api.CodeNotFound || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	release, err := e.claim(ctx, "head "+dir)
	if err != nil {
		return err
	}
	defer release()
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil // what was checked out is wanted to make a working tree again
	}
	at, err := read(ctx, dir)
	if err != nil {
		return err
	}
	if p.ThreadID != "" {
		t, err := st.Thread(ctx, p.ThreadID)
		if err != nil {
			return err
		}
		if t.Dir != "" {
			if !at.Repo || t.Branch == at.Branch && t.DetachedAt == at.DetachedAt {
				return nil
			}
			return e.onThread(ctx, t.ID, func(a *actor) error {
				if e.frozen(t.ProjectID) {
					return nil
				}
				a.must(thread.Moved{Branch: at.Branch, DetachedAt: at.DetachedAt}, a.trace())
				return nil
			})
		}
		p.ProjectID = t.ProjectID
	}
	e.shellMu.Lock()
	defer e.shellMu.Unlock()
	project, err := st.Project(ctx, p.ProjectID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || (git.CheckedOut{Repo: project.Git, Branch: project.Branch, DetachedAt: project.DetachedAt}) == at {
		return err
	}
	project.Git, project.Branch, project.DetachedAt = at.Repo, at.Branch, at.DetachedAt
	return st.Commit(ctx, &store.Write{Events: []store.Event{{Stream: store.Shell, Event: api.Event{Type: api.EventProjectUpserted, At: e.now(), Project: &project}}}})
}

// lookAtHead looks at what is checked out where a turn was, in the background.
func (a *actor) lookAtHead() {
	if a.e.o.Git == nil || a.state.Removed {
		return
	}
	place := api.GitPlace{ThreadID: a.id}
	a.e.chore(func() {
		if err := a.e.LookAtHead(a.e.life, place, a.e.o.Git); err != nil && a.e.life.Err() == nil {
			a.e.log.Warn("look at what is checked out", "thread", a.id, "error", err)
		}
	})
}
