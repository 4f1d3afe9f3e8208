package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"catamaran/internal/agent"
	"catamaran/internal/api"
	"catamaran/internal/store"
	"catamaran/internal/thread"
)

// attempt is the run of the active turn. Results carry the run they belong to; those of another are dropped.
type attempt struct {
	turn   api.Turn
	trace  string
	input  agent.Input
	ctx    context.Context
	cancel context.CancelFunc
	phase  string // preparing, prompting, ending
	before string
	usage  *api.Usage
	stop   bool
	rung   int
	asking bool       // the agent's Interrupt has not returned
	late   func()     // what waits for that: an interrupt must not meet the next prompt
	died   *api.Error // the agent's process ended under the prompt
}

const (
	preparing = "preparing"
	prompting = "prompting"
	ending    = "ending"
)

// begin starts a turn: checkpoint and agent side by side, then the prompt.
func (a *actor) begin(t api.Turn, input agent.Input) {
	r := &attempt{turn: t, input: input, trace: a.traces[t.ID], phase: preparing}
	delete(a.traces, t.ID)
	if r.trace == "" {
		r.trace = newID("trace")
	}
	// Not of the engine's life: halt decides how a turn ends at shutdown, before its prompt is let go.
	r.ctx, r.cancel = context.WithCancel(context.Background())
	a.run = r
	a.tl.reset(t.ID)
	a.idle.Reset(far)

	th := a.state.Thread
	o := opening{thread: th, agentID: th.AgentID, permission: th.Permission, settings: agent.Settings{Model: th.Model, Effort: th.Effort, Plan: th.Plan}}
	r.input.Settings = o.settings
	if s := a.session; s != nil && (s.agentID != o.agentID || s.permission != o.permission || !s.Takes(o.settings) || ended(s)) {
		a.closeSession("another agent, permission or setting is wanted")
	}
	if a.session != nil && a.astray() {
		a.closeSession("its worktree was removed")
	}
	o.have, o.old = a.session, a.closing
	if a.resume.AgentID == o.agentID {
		o.resume = a.resume.Cursor
	} else if a.resume.Cursor != "" {
		o.foreign = true
	}
	a.e.chore(func() {
		p := a.prepare(r, o)
		taken := make(chan struct{})
		a.post(func() { a.prepared(r, o, p); close(taken) })
		select {
		case <-taken:
			return
		case <-a.ended:
		}
		select {
		case <-taken:
		default: // the backend ends and nobody owns what was opened
			if o.have == nil {
				a.discard(p.opened)
			}
		}
	})
}

func ended(s *session) bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}

// opening is which session a turn wants.
type opening struct {
	thread     api.Thread // as it was when the turn began
	agentID    string
	permission api.PermissionMode
	settings   agent.Settings
	resume     string
	foreign    bool // there is a conversation, but another agent's
	have, old  *session
}

type preparation struct {
	before  string
	warning error // the checkpoint failed
	notice  string
	opened  *session
	err     error
}

func (a *actor) prepare(r *attempt, o opening) preparation {
	var p preparation
	if p.notice, p.err = a.enter(r.ctx, o.thread); p.err != nil {
		return p
	}
	var wg sync.WaitGroup
	if a.e.o.Checkpoints != nil {
		wg.Go(func() { p.before, p.warning = a.checkpoint(r.ctx, r.turn.ID+"-before") })
	}
	p.opened = o.have
	if o.have == nil {
		p.opened, p.err = a.open(r, o)
	}
	wg.Wait()
	return p
}

func (a *actor) checkpoint(ctx context.Context, label string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, a.e.t.checkpoint)
	defer cancel()
	return a.e.o.Checkpoints.Take(ctx, a.dir, a.id, label)
}

func (a *actor) open(r *attempt, o opening) (*session, error) {
	ctx, cancel := context.WithTimeoutCause(r.ctx, a.e.t.open, &api.Error{Code: api.CodeAgentFailed,
		Message: "The agent did not start in time.", Hint: "Start it in a terminal to see what it waits for.", Retryable: true})
	defer cancel()
	if o.old != nil {
		select {
		case <-o.old.Done():
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if info, err := os.Stat(a.dir); err != nil || !info.IsDir() {
		return nil, &api.Error{Code: api.CodeNotFound, Message: "The project's folder is not there: " + a.dir, Hint: "Bring it back, or remove the project."}
	}
	driver, config, env, err := a.e.o.Agents.Resolve(ctx, o.agentID)
	if err != nil {
		return nil, err
	}
	s := &session{opener: r, agentID: o.agentID, permission: o.permission}
	s.over, s.abandon = context.WithCancel(context.Background())
	s.Session, err = driver.Open(ctx, agent.OpenOptions{Agent: config, Dir: a.dir, Env: env, Permission: o.permission, Settings: o.settings, Resume: o.resume,
		Sink: func(ev agent.Event) {
			select {
			case a.inbox <- func() { a.event(s, ev) }:
			case <-s.over.Done():
			case <-a.ended:
			}
		}})
	if err != nil {
		s.abandon()
		if cause := context.Cause(ctx); cause != nil && api.AsError(err) == nil {
			err = cause
		}
		return nil, err
	}
	return s, nil
}

// discard ends a session nobody wants any more.
func (a *actor) discard(s *session) {
	if s == nil {
		return
	}
	s.abandon()
	ctx, cancel := a.e.closeBound()
	defer cancel()
	if err := s.Close(ctx); err != nil {
		a.e.log.Error("end the agent", "thread", a.id, "pid", s.Info().PID, "error", err)
	}
}

func (a *actor) prepared(r *attempt, o opening, p preparation) {
	if a.run != r {
		if p.opened != a.session {
			a.e.chore(func() { a.discard(p.opened) })
		}
		return
	}
	r.before = p.before
	if p.opened != nil && o.have == nil {
		a.opened(r, o, p.opened)
	}
	w := &store.Write{Durable: true}
	if p.before != "" {
		w.Refs = &store.Refs{TurnID: r.turn.ID, Before: p.before}
	}
	if s := p.opened; s != nil && o.have == nil {
		w.Resume = a.cursor(s)
	}
	if w.Refs != nil || w.Resume != nil {
		if err := a.commit(w); err != nil {
			a.e.log.Error("store the resume cursor", "thread", a.id, "error", err)
		}
	}
	switch {
	case r.stop:
		a.finish(r, api.TurnInterrupted, stopped())
		return
	case p.err != nil:
		a.finish(r, api.TurnFailed, a.e.agentError("start the agent", p.err))
		return
	}
	if p.warning != nil {
		a.warn("No checkpoint could be made before this turn: " + p.warning.Error())
	}
	if o.have == nil && o.resume != "" && !p.opened.Info().Resumed {
		a.notice("warning", "The agent no longer knows this conversation. It starts afresh and does not remember what is shown above.")
	} else if o.have == nil && o.foreign {
		a.notice("info", "Another agent continues here. It does not know the conversation above.")
	}
	if p.notice != "" {
		a.warn(p.notice)
	}
	r.phase = prompting
	if r.before != "" {
		a.edits = a.e.edit(a.dir, a.id, r.turn.ID)
	}
	s := p.opened
	a.e.chore(func() {
		reason, err := s.Prompt(r.ctx, r.input)
		a.post(func() { a.prompted(r, s, reason, err) })
	})
}

func (a *actor) opened(r *attempt, o opening, s *session) {
	a.session = s
	if a.closing == o.old {
		a.closing = nil
	}
	a.e.chore(func() {
		select {
		case <-s.Done():
			a.post(func() { a.sessionDone(s) })
		case <-s.over.Done():
		case <-a.ended:
		}
	})
}

// cursor returns what to store of a session's resume cursor; nil when it has not changed.
func (a *actor) cursor(s *session) *store.Resume {
	c := s.Info().Resume
	if c == "" || c == a.resume.Cursor && s.agentID == a.resume.AgentID {
		return nil
	}
	a.resume = store.Resume{ThreadID: a.id, AgentID: s.agentID, Cursor: c}
	keep := a.resume
	return &keep
}

func (a *actor) prompted(r *attempt, s *session, reason agent.StopReason, err error) {
	if a.run != r || r.phase != prompting {
		return
	}
	if r.asking {
		r.late = func() { a.prompted(r, s, reason, err) }
		return
	}
	if c := a.cursor(s); c != nil {
		if cerr := a.commit(&store.Write{Resume: c}); cerr != nil {
			a.e.log.Error("store the resume cursor", "thread", a.id, "error", cerr)
		}
	}
	switch {
	case r.stop: // whatever the agent says of it: it was not let to its end
		a.finish(r, api.TurnInterrupted, stopped())
	case err != nil:
		a.finish(r, api.TurnFailed, a.e.agentError("run the turn", err))
	case reason == agent.StopCancelled:
		a.finish(r, api.TurnInterrupted, &api.Error{Code: api.CodeCancelled, Message: "The agent ended the turn before it was done."})
	case reason == agent.StopRefusal:
		a.finish(r, api.TurnFailed, &api.Error{Code: api.CodeAgentFailed, Message: "The agent refused to go on.", Hint: "Put it differently."})
	case reason == agent.StopMaxTokens:
		a.warn("The agent stopped at its limit of tokens; its answer may be cut off.")
		a.finish(r, api.TurnCompleted, nil)
	default:
		a.finish(r, api.TurnCompleted, nil)
	}
}

func stopped() *api.Error {
	return &api.Error{Code: api.CodeCancelled, Message: "You stopped this turn.", Hint: "Send a message to go on."}
}

// agentError makes an *api.Error of what an agent or its start failed with.
func (e *Engine) agentError(what string, err error) *api.Error {
	if a := api.AsError(err); a != nil {
		return a
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &api.Error{Code: api.CodeTimeout, Message: "It took too long to " + what + ".", Hint: "Try again.", Retryable: true}
	}
	e.log.Error(what, "error", err)
	return &api.Error{Code: api.CodeAgentFailed, Message: "Could not " + what + ".", Hint: "Try again; the details tell more.", Details: err.Error(), Retryable: true}
}

// finish ends a turn's attempt: what streamed is complete, then the checkpoint after it, then the state.
func (a *actor) finish(r *attempt, state api.TurnState, reason *api.Error) {
	r.phase = ending
	a.ladder.Reset(far)
	a.grace.Reset(far)
	status := api.ToolFailed
	if state == api.TurnInterrupted {
		status = api.ToolCancelled
	}
	a.complete(status)
	end := thread.End{TurnID: r.turn.ID, State: state, Reason: reason, Usage: r.usage}
	if r.before == "" {
		a.over(r, end)
		return
	}
	if r.stop {
		// The stop cancelled what the run was doing; its checkpoint is still wanted.
		r.cancel()
		r.ctx, r.cancel = context.WithCancel(context.Background())
	}
	ctx, edits := r.ctx, a.edits
	a.e.chore(func() {
		if err := edits.finish(ctx); err != nil {
			a.e.log.Warn("record what the agent edited", "thread", a.id, "error", err)
		}
		after, changes, err := a.changes(ctx, r)
		a.post(func() {
			if a.run != r {
				return
			}
			if err != nil {
				a.warn("The changes of this turn could not be recorded: " + err.Error())
			}
			end.Changes = changes
			if after != "" {
				if cerr := a.commit(&store.Write{Refs: &store.Refs{TurnID: r.turn.ID, After: after}}); cerr != nil {
					a.e.log.Error("store the checkpoint", "thread", a.id, "error", cerr)
				}
			}
			a.over(r, end)
		})
	})
}

func (a *actor) changes(ctx context.Context, r *attempt) (string, *api.ChangeSummary, error) {
	after, err := a.checkpoint(ctx, r.turn.ID+"-after")
	if err != nil || after == "" {
		return "", nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.e.t.checkpoint)
	defer cancel()
	sum, err := a.e.o.Checkpoints.Summary(ctx, a.dir, r.before, after)
	if err != nil {
		return after, nil, fmt.Errorf("compare the checkpoints: %w", err)
	}
	if sum.Files == nil {
		sum.Files = []api.ChangedFile{}
	}
	return after, &sum, nil
}

func (a *actor) over(r *attempt, end thread.End) {
	r.cancel()
	a.run = nil
	a.edits.close()
	a.edits = nil
	a.prune()
	if a.session != nil {
		a.idle.Reset(a.e.t.idle)
	}
	a.must(end, r.trace)
	a.lookAtHead()
}
