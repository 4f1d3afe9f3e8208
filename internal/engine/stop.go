package engine

import (
	"context"
	"errors"
	"time"

	"catamaran/internal/api"
)

// interrupt is the first rung of the stop ladder (A2.6): ask; then the ladder timer goes on.
func (a *actor) interrupt() {
	r := a.run
	if r == nil {
		return
	}
	r.stop = true
	switch r.phase {
	case preparing, ending:
		r.cancel()
	case prompting:
		if s := a.session; s != nil {
			r.asking = true
			a.e.chore(func() {
				defer a.post(func() { a.asked(r) })
				ctx, cancel := context.WithTimeout(r.ctx, a.e.t.interrupt)
				defer cancel()
				if err := s.Interrupt(ctx); err != nil && r.ctx.Err() == nil {
					a.e.log.Warn("interrupt the agent", "thread", a.id, "error", err)
				}
			})
		}
	}
	if r.phase != ending {
		r.rung = 1
		a.ladder.Reset(a.e.t.interrupt)
	}
}

func (a *actor) asked(r *attempt) {
	r.asking = false
	if r.late != nil {
		r.late()
	}
}

// ladderNext is the next rung: end the process; and when even that is not
// answered in time, end the turn and say so.
func (a *actor) ladderNext() {
	r := a.run
	if r == nil || !r.stop || r.phase == ending {
		return
	}
	if r.rung == 1 && r.phase == prompting && a.session != nil {
		r.rung = 2
		a.ladder.Reset(a.e.t.close + a.e.t.grace)
		a.closeSession("the turn was stopped and the agent did not end it")
		return
	}
	a.e.log.Error("a stopped turn did not end", "thread", a.id, "phase", r.phase)
	if a.session != nil {
		a.session.abandon()
		a.session = nil
	}
	if a.closing != nil {
		a.closing.abandon()
		a.closing = nil
	}
	a.finish(r, api.TurnInterrupted, &api.Error{Code: api.CodeCancelled, Message: "You stopped this turn, but the end of the agent's process could not be verified.",
		Hint: "Look for a process left behind."})
}

// closeSession ends the agent's process in the background; the session's place is free at once.
func (a *actor) closeSession(why string) {
	s := a.session
	if s == nil {
		return
	}
	a.e.log.Info("end the agent", "thread", a.id, "agent", s.agentID, "pid", s.Info().PID, "why", why)
	a.session, a.closing = nil, s
	a.idle.Reset(far)
	a.e.chore(func() {
		ctx, cancel := a.e.closeBound()
		defer cancel()
		err := s.Close(ctx)
		a.post(func() { a.closed(s, err) })
	})
}

// closeBound limits the end of an agent's process; shutdown limits it further.
// It is not derived from the engine's life: closing goes on after that.
func (e *Engine) closeBound() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), e.t.close)
	stop := context.AfterFunc(e.life, func() {
		late := time.NewTimer(e.t.shutdown)
		defer late.Stop()
		select {
		case <-late.C:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { stop(); cancel() }
}

func (a *actor) closed(s *session, err error) {
	s.abandon()
	if a.closing == s {
		a.closing = nil
	}
	if err != nil {
		a.e.log.Error("end the agent", "thread", a.id, "error", err)
	}
	if r := a.run; r != nil && r.stop && r.phase == prompting && a.session == nil && err == nil {
		a.finish(r, api.TurnInterrupted, stopped())
	}
}

// sessionDone: the agent's process has ended. The state follows the process:
// the prompt has a moment to tell its own error, then the turn fails.
func (a *actor) sessionDone(s *session) {
	if a.session != s {
		return
	}
	a.session = nil
	a.idle.Reset(far)
	a.e.chore(func() { a.discard(s) })
	r := a.run
	if r == nil || r.phase != prompting {
		return
	}
	if r.stop {
		a.finish(r, api.TurnInterrupted, stopped())
		return
	}
	r.died = a.e.agentError("keep the agent running", errors.Join(errors.New("the agent's process ended"), s.Err()))
	a.grace.Reset(a.e.t.grace)
}

func (a *actor) graceOver() {
	if r := a.run; r != nil && r.phase == prompting && a.session == nil {
		a.finish(r, api.TurnFailed, r.died)
	}
}
