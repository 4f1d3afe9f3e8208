// Package review is what people do with the changes of a project: its Git status
// while they look, staging, commits, branches, transfers and pull requests,
// differences, and reverting a turn. It turns ids into folders with the engine's
// help, and calls git, checkpoint and worktree; package server hands requests to it.
//
// Invariants: clients name projects, threads and turns, never folders; while
// nobody subscribes to a place, no process runs for it and nothing is watched;
// what changes a repository runs one at a time in it.
package review

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"

	"catamaran/internal/api"
	"catamaran/internal/checkpoint"
	"catamaran/internal/engine"
	"catamaran/internal/git"
	"catamaran/internal/job"
	"catamaran/internal/topic"
	"catamaran/internal/worktree"
)

// Options of a Desk; all but Env and Log are required.
type Options struct {
	Engine      *engine.Engine
	Checkpoints *checkpoint.Store
	Trees       *worktree.Trees
	Jobs        *job.Jobs
	// Env is the environment that hooks, credential helpers and gh run in; nil is this process's.
	Env func(ctx context.Context) ([]string, error)
	Log *slog.Logger
}

// Desk is safe for concurrent use.
type Desk struct {
	o Options

	looks watched[*look]
	heads watched[*headLook]

	mu      sync.Mutex
	busy    map[string]chan struct{} // repositories being changed, by their common directory
	version bool                     // git was found to be new enough
}

// New validates the options and starts nothing.
func New(o Options) (*Desk, error) {
	if o.Engine == nil || o.Checkpoints == nil || o.Trees == nil || o.Jobs == nil {
		return nil, errors.New("review: an option is missing")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d := &Desk{o: o, busy: map[string]chan struct{}{}}
	d.looks.begin, d.heads.begin = d.look, d.lookAtHead
	return d, nil
}

// Close ends every look and waits for them. It is idempotent.
func (d *Desk) Close() {
	d.looks.end()
	d.heads.end()
	d.looks.running.Wait()
	d.heads.running.Wait()
}

// Stream is a subscription.
type Stream = *topic.Subscription

// Subscribe attaches to a topic git:, head: or job:; ok tells whether the name is one.
func (d *Desk) Subscribe(name string) (s Stream, ok bool, err error) {
	if id, is := strings.CutPrefix(name, api.TopicJob); is {
		s, err = d.o.Jobs.Subscribe(id)
		return s, true, err
	}
	if id, is := strings.CutPrefix(name, api.TopicGit); is {
		s, err = d.watch(id, d.looks.subscribe)
		return s, true, err
	}
	if id, is := strings.CutPrefix(name, api.TopicHead); is {
		s, err = d.watch(id, d.heads.subscribe)
		return s, true, err
	}
	return nil, false, nil
}

// watch subscribes to a place by its name in a topic. One that is none is refused now, not in the stream.
func (d *Desk) watch(name string, subscribe func(api.GitPlace) (Stream, error)) (Stream, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookBound)
	defer cancel()
	var p api.GitPlace
	p.ProjectID, p.ThreadID, _ = strings.Cut(name, "/")
	if _, err := d.o.Engine.Folder(ctx, p.ProjectID, p.ThreadID); err != nil {
		return nil, err
	}
	return subscribe(p)
}

// CancelJob ends a job.
func (d *Desk) CancelJob(ctx context.Context, r api.JobRef) (api.Job, error) {
	return d.o.Jobs.Cancel(ctx, r.JobID)
}

// place finds the folder and the repository that a request means. The error is
// CodeInvalid outside Git.
func (d *Desk) place(ctx context.Context, p api.GitPlace) (dir string, repo git.Repo, err error) {
	if dir, err = d.o.Engine.Folder(ctx, p.ProjectID, p.ThreadID); err != nil {
		return "", repo, err
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return dir, repo, &api.Error{Code: api.CodeNotFound, Message: "The folder is not there (any more): " + dir, Hint: "Bring it back. A thread's own worktree is made again with its next message."}
	}
	if err := d.check(ctx); err != nil {
		return dir, repo, err
	}
	repo, err = git.Open(ctx, dir)
	return dir, repo, git.Explain("find the repository", err)
}

// check refuses a git that is too old, once.
func (d *Desk) check(ctx context.Context) error {
	d.mu.Lock()
	known := d.version
	d.mu.Unlock()
	if known {
		return nil
	}
	if _, err := git.Check(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	d.version = true
	d.mu.Unlock()
	return nil
}

// person returns a context in which git runs in the person's own environment.
func (d *Desk) person(ctx context.Context) context.Context {
	if d.o.Env == nil {
		return ctx
	}
	env, err := d.o.Env(ctx)
	if err != nil {
		d.o.Log.Warn("the login environment is not known; git runs without it", "err", err.Error())
		return ctx
	}
	return git.WithEnv(ctx, env)
}

// change runs fn, which changes the repository of a place, when nothing else does,
// and answers with the status after it, whatever fn came to.
func (d *Desk) change(ctx context.Context, p api.GitPlace, fn func(ctx context.Context, dir string, repo git.Repo) error) (api.GitStatus, error) {
	dir, repo, err := d.place(ctx, p)
	if err != nil {
		return api.GitStatus{}, err
	}
	release, err := d.claim(ctx, repo.CommonDir())
	if err != nil {
		return api.GitStatus{}, err
	}
	err = fn(d.person(ctx), dir, repo)
	release()
	st, serr := d.Status(ctx, p)
	if err != nil {
		return st, err
	}
	return st, serr
}

// claim waits until nothing else changes a repository.
func (d *Desk) claim(ctx context.Context, repo string) (release func(), err error) {
	for {
		d.mu.Lock()
		other := d.busy[repo]
		if other == nil {
			mine := make(chan struct{})
			d.busy[repo] = mine
			d.mu.Unlock()
			return func() {
				d.mu.Lock()
				delete(d.busy, repo)
				d.mu.Unlock()
				close(mine)
			}, nil
		}
		d.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, &api.Error{Code: api.CodeConflict, Message: "Another Git operation is still running in this repository.", Hint: "Wait for its end.", Retryable: true}
		}
	}
}
