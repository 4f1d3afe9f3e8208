package engine

import (
	"context"
	"errors"
	"os"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/store"
	"catamaran/internal/thread"
	"catamaran/internal/worktree"
)

// treeBound limits making a working tree, whose files are written.
const treeBound = 2 * time.Minute

// ownTree is a new thread's own working tree.
type ownTree struct {
	made worktree.Made
	job  string // of its set-up script, "" without one
}

// ownTree makes the working tree that a new thread asks for; nil where it asks for none.
// discard takes it back when the thread does not come to be.
func (e *Engine) ownTree(ctx context.Context, st *store.Store, threadID string, r api.ThreadCreate) (own *ownTree, discard func(), err error) {
	nothing := func() {}
	if r.Worktree == nil || r.Worktree.Kind == "" {
		return nil, nothing, nil
	}
	if e.o.Worktrees == nil {
		return nil, nothing, &api.Error{Code: api.CodeUnavailable, Message: "This backend makes no worktrees."}
	}
	p, err := e.project(ctx, st, r.ProjectID)
	if err != nil {
		return nil, nothing, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), treeBound)
	defer cancel()
	made, err := e.o.Worktrees.Make(ctx, p, threadID, *r.Worktree)
	if err != nil {
		return nil, nothing, err
	}
	own = &ownTree{made: made}
	if p.SetupScript != "" && made.New && !r.Worktree.NoScript {
		own.job = worktree.SetupID(threadID)
	}
	return own, func() {
		ctx, cancel := context.WithTimeout(context.Background(), treeBound)
		defer cancel()
		if err := e.o.Worktrees.Discard(ctx, p, made); err != nil {
			e.log.Warn("take a worktree back", "path", made.Path, "error", err)
		}
	}, nil
}

// setUp starts the set-up script of a new thread's working tree.
func (e *Engine) setUp(ctx context.Context, st *store.Store, t api.Thread, own *ownTree) {
	if own == nil || own.job == "" {
		return
	}
	p, err := e.project(ctx, st, t.ProjectID)
	if err == nil {
		_, err = e.o.Worktrees.Setup(p, t.ID, own.job, own.made)
	}
	if err != nil {
		e.log.Warn("start a worktree's set-up script", "thread", t.ID, "error", err)
	}
}

// enter waits until the thread's own working tree is ready; it has none, mostly.
func (a *actor) enter(ctx context.Context, t api.Thread) (string, error) {
	if t.Dir == "" || a.e.o.Worktrees == nil {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, worktree.ScriptTimeout+treeBound)
	defer cancel()
	// The script may have been written since the project was read.
	p, err := a.e.project(ctx, a.st, t.ProjectID)
	if err != nil {
		return "", err
	}
	return a.e.o.Worktrees.Enter(ctx, p, t, func(jobID string) {
		a.post(func() { a.must(thread.SettingUp{JobID: jobID}, a.trace()) })
	})
}

// astray reports whether the thread's own working tree is gone: an agent that was
// started in it has a working directory which nothing can be found from any more.
func (a *actor) astray() bool {
	if a.state.Thread.Dir == "" {
		return false
	}
	_, err := os.Stat(a.state.Thread.Dir)
	return errors.Is(err, os.ErrNotExist)
}

// prune drops checkpoints of old turns now and then.
func (a *actor) prune() {
	if a.e.o.Checkpoints == nil || a.state.Removed || a.state.LastTurn < keepTurns || a.state.LastTurn%pruneEvery != 0 {
		return
	}
	dir, id := a.project.Path, a.id
	a.e.chore(func() {
		ctx, cancel := context.WithTimeout(a.e.life, a.e.t.checkpoint)
		defer cancel()
		if err := a.e.o.Checkpoints.Prune(ctx, dir, id, keepTurns); err != nil {
			a.e.log.Warn("drop old checkpoints", "thread", id, "error", err)
		}
	})
}

// SetUpAgain runs the project's set-up script once more in a thread's own working
// tree: after it failed, or was changed. A job that still runs is answered as it is.
func (e *Engine) SetUpAgain(ctx context.Context, commandID string, r api.ThreadRef) (api.Job, error) {
	return run(e, ctx, commandID, api.MethodWorktreeSetup, func(c *command) (api.Job, error) {
		t, err := c.st.Thread(ctx, r.ThreadID)
		if err != nil {
			return api.Job{}, err
		}
		p, err := e.project(ctx, c.st, t.ProjectID)
		switch {
		case err != nil:
			return api.Job{}, err
		case t.Dir == "" || e.o.Worktrees == nil:
			return api.Job{}, &api.Error{Code: api.CodeInvalid, Message: "The thread has no worktree of its own.", Hint: "Set-up scripts run in worktrees only."}
		case p.SetupScript == "":
			return api.Job{}, &api.Error{Code: api.CodeInvalid, Message: "The project has no set-up script.", Hint: "Write one under Git, Worktrees."}
		case t.State == api.TurnRunning || t.State == api.TurnWaiting:
			return api.Job{}, &api.Error{Code: api.CodeConflict, Message: "A turn of this thread is running.", Hint: "Wait for its end, or stop it.", Retryable: true}
		}
		return e.o.Worktrees.Again(ctx, p, t)
	})
}

// SetScript sets the command that is run in every new worktree of a project.
func (e *Engine) SetScript(ctx context.Context, commandID string, r api.WorktreeScript) (api.Project, error) {
	return run(e, ctx, commandID, api.MethodWorktreeScript, func(c *command) (api.Project, error) {
		if err := worktree.CheckScript(r.Script); err != nil {
			return api.Project{}, err
		}
		e.shellMu.Lock()
		defer e.shellMu.Unlock()
		p, err := e.project(ctx, c.st, r.ProjectID)
		if err != nil {
			return p, err
		}
		p.SetupScript = r.Script
		return p, c.commit(ctx, p.ID, []store.Event{e.projectEvent(c, p)}, p)
	})
}
