package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/api"
	"catamaran/internal/store"
	"catamaran/internal/thread"
)

const (
	mailboxSize = 64
	// inboxSize bounds what agents and helpers may be ahead of the thread's
	// goroutine; a full one slows the agent.
	inboxSize = 256
	// commitBound limits the wait for a place in the store's queue.
	commitBound = 30 * time.Second
	// oweMost bounds the events that could not be stored and are tried again, oweTries how often.
	oweMost  = 4096
	oweTries = 120
	// far is a timer's time while it is not wanted.
	far = 1 << 62
)

// actor owns one thread while it is in use. Its fields belong to its goroutine,
// but for those guarded by Engine.mu.
type actor struct {
	e       *Engine
	st      *store.Store
	id      string
	dir     string   // where it works: its own working tree, or the project's folder
	edits   *editing // of the running turn
	project api.Project

	users   int // guarded by Engine.mu: callers that hold it
	mailbox chan func()
	inbox   chan func()
	wake    chan struct{}
	ended   chan struct{}
	failed  error // why it could not load; set before ended is closed

	state   thread.State
	resume  store.Resume
	traces  map[string]string // of turns that have not begun
	run     *attempt
	session *session
	closing *session // being closed; the next one opens after it is gone
	tl      timeline

	owed  []store.Event // of what has happened but could not be stored yet; stored before anything else
	tries int

	flush, save, ladder, grace, idle *time.Timer
	flushing, saving                 bool
}

func newActor(e *Engine, st *store.Store, id string) *actor {
	return &actor{e: e, st: st, id: id, mailbox: make(chan func(), mailboxSize), inbox: make(chan func(), inboxSize),
		wake: make(chan struct{}, 1), ended: make(chan struct{}), traces: map[string]string{}}
}

// onThread runs fn in the goroutine that owns the thread, which it starts where needed.
func (e *Engine) onThread(ctx context.Context, id string, fn func(*actor) error) error {
	st, err := e.ready()
	if err != nil {
		return err
	}
	e.mu.Lock()
	if e.life.Err() != nil {
		e.mu.Unlock()
		return store.ErrClosed
	}
	a := e.actors[id]
	if a == nil {
		a = newActor(e, st, id)
		e.actors[id] = a
		e.actorsWG.Add(1)
		go a.loop()
	}
	a.users++
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		a.users--
		e.mu.Unlock()
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}()
	done := make(chan error, 1)
	select {
	case a.mailbox <- func() { done <- fn(a) }:
	case <-a.ended:
		return a.gone()
	case <-ctx.Done():
		return ctx.Err()
	}
	// What was handed over is carried out: the answer is waited for, whatever the caller's context does.
	select {
	case err := <-done:
		return err
	case <-a.ended:
	}
	select {
	case err := <-done:
		return err
	default:
		return a.gone()
	}
}

// gone tells why an ended actor took no call.
func (a *actor) gone() error {
	if a.e.life.Err() != nil {
		return store.ErrClosed
	}
	if a.failed != nil {
		return fmt.Errorf("load the thread: %w", a.failed)
	}
	return &api.Error{Code: api.CodeNotFound, Message: "This thread does not exist (any more)."}
}

// release ends the actor's registration when nobody uses it.
func (a *actor) release() bool {
	a.e.mu.Lock()
	defer a.e.mu.Unlock()
	if a.users > 0 {
		return false
	}
	delete(a.e.actors, a.id)
	return true
}

func (a *actor) loop() {
	defer a.e.actorsWG.Done()
	defer close(a.ended)
	for _, t := range []**time.Timer{&a.flush, &a.save, &a.ladder, &a.grace, &a.idle} {
		*t = time.NewTimer(far)
		defer (*t).Stop()
	}
	if err := a.load(); err != nil {
		a.e.mu.Lock()
		delete(a.e.actors, a.id)
		a.e.mu.Unlock()
		if !errors.Is(err, store.ErrNotFound) {
			a.failed = err
		}
		return
	}
	for {
		select {
		case fn := <-a.mailbox:
			fn()
		case fn := <-a.inbox:
			fn()
		case <-a.flush.C:
			a.flushNow()
		case <-a.save.C:
			a.saveNow()
		case <-a.ladder.C:
			a.ladderNext()
		case <-a.grace.C:
			a.graceOver()
		case <-a.idle.C:
			a.closeSession("it was not used for a while")
		case <-a.wake:
		case <-a.e.life.Done():
			a.halt()
			return
		}
		if a.run == nil && a.session == nil && a.closing == nil && !a.flushing && !a.saving && a.release() {
			return
		}
	}
}

func (a *actor) load() error {
	ctx, cancel := context.WithTimeout(a.e.life, commitBound)
	defer cancel()
	w, err := a.st.Work(ctx, a.id)
	if err != nil {
		return err
	}
	p, err := a.st.Project(ctx, w.Thread.ProjectID)
	if err != nil {
		return err
	}
	a.state, a.resume, a.dir, a.project = loaded(w), w.Resume, p.Path, p
	if w.Thread.Dir != "" {
		a.dir = w.Thread.Dir
	}
	return nil
}

// post brings a helper's result to the actor's goroutine.
func (a *actor) post(fn func()) {
	select {
	case a.inbox <- fn:
	case <-a.ended:
	}
}

// decide carries a command out: decides, stores, then acts.
func (a *actor) decide(c thread.Command, trace string, receipt func(thread.State) (*store.Receipt, error)) error {
	return a.decideEvents(c, trace, func(events []api.Event) (*store.Receipt, error) {
		return receipt(thread.Fold(a.state, events))
	})
}

func (a *actor) decideEvents(c thread.Command, trace string, receipt func([]api.Event) (*store.Receipt, error)) error {
	d, aerr := thread.Decide(a.state, a.e.now(), trace, c)
	if aerr != nil {
		return aerr
	}
	w := &store.Write{Events: stored(a.id, d.Events), Durable: true}
	if receipt != nil {
		var err error
		if w.Receipt, err = receipt(d.Events); err != nil {
			return err
		}
	}
	if len(w.Events) > 0 || w.Receipt != nil {
		if err := a.commit(w); err != nil {
			return err
		}
	}
	a.carryOut(d, c, trace)
	return nil
}

func (a *actor) carryOut(d thread.Decision, c thread.Command, trace string) {
	a.state = thread.Fold(a.state, d.Events)
	switch p := c.(type) {
	case thread.Prompt:
		a.traces[p.TurnID] = trace
	case thread.Resend:
		a.traces[p.Prompt.TurnID] = trace
	}
	for _, act := range d.Actions {
		switch act.Kind {
		case thread.Begin:
			input, err := a.input(act.Text, act.Attachments)
			a.begin(act.Turn, input)
			if err != nil {
				a.warn("A file of this message is not there any more and was left out: " + err.Error())
			}
		case thread.Interrupt:
			a.interrupt()
		case thread.Answer:
			a.answer(act.ItemID, act.Option)
		case thread.Respond:
			a.respond(act.ItemID, act.Answers)
		case thread.Steer:
			a.steer(act)
		case thread.Reopen:
			if a.run == nil {
				a.closeSession("the agent or its permission changed")
			}
		}
	}
}

// must carries out what the world has already done: when it can't be stored it
// goes on in memory and is stored later, so that a full disk can't keep a turn from ending.
func (a *actor) must(c thread.Command, trace string) {
	d, aerr := thread.Decide(a.state, a.e.now(), trace, c)
	if aerr != nil {
		return // about a turn that is over
	}
	if len(d.Events) > 0 {
		a.store(stored(a.id, d.Events), true)
	}
	a.carryOut(d, c, trace)
}

// store stores events of what has happened, now or, when that fails, later.
func (a *actor) store(events []store.Event, durable bool) {
	err := a.commit(&store.Write{Events: events, Durable: durable})
	if err == nil {
		return
	}
	a.e.log.Error("store what happened in a thread", "thread", a.id, "error", err)
	if len(a.owed)+len(events) > oweMost {
		a.e.log.Error("events are lost: too many wait for the database", "thread", a.id, "events", len(events))
		return
	}
	a.owed, a.tries = append(a.owed, events...), 0
	a.saving = true
	a.save.Reset(a.e.t.save)
}

// settle tries again to store what is owed.
func (a *actor) settle() {
	if len(a.owed) == 0 {
		return
	}
	if err := a.commit(&store.Write{Durable: true}); err == nil {
		return
	}
	if a.tries++; a.tries >= oweTries {
		a.e.log.Error("events are lost: the database takes nothing", "thread", a.id, "events", len(a.owed))
		a.owed = nil
		return
	}
	a.saving = true
	a.save.Reset(a.e.t.save)
}

func (a *actor) commit(w *store.Write) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), commitBound, context.DeadlineExceeded)
	defer cancel()
	if len(a.owed) > 0 {
		w.Events = append(a.owed[:len(a.owed):len(a.owed)], w.Events...)
	}
	err := a.st.Commit(ctx, w)
	if err == nil {
		a.owed = nil
	}
	return err
}

// removed lets go of everything after the thread's rows are gone.
func (a *actor) removed() {
	a.state.Removed, a.owed = true, nil
	a.tl.reset("")
	a.closeSession("the thread was removed")
}

// halt ends the thread's work at shutdown: first what must be kept, then the agent.
func (a *actor) halt() {
	a.flushNow()
	if !a.state.Removed {
		trace := newID("shutdown")
		if a.run != nil {
			trace = a.run.trace
		}
		a.must(thread.Halt{Live: a.tl.liveItems(), Running: "The backend was stopped.", Queued: "It was queued when the backend was stopped."}, trace)
	}
	if a.run != nil {
		a.run.cancel()
		a.run = nil
	}
	a.edits.close()
	a.tl.reset("")
	ctx, cancel := context.WithTimeout(context.Background(), a.e.t.shutdown)
	defer cancel()
	if s := a.session; s != nil {
		s.abandon()
		if err := s.Close(ctx); err != nil {
			a.e.log.Error("end the agent", "thread", a.id, "pid", s.Info().PID, "error", err)
		}
	}
	// One being closed already has its own goroutine, which the engine waits for.
	if s := a.closing; s != nil {
		s.abandon()
	}
}

// session is an open agent session; abandon ends its sink.
type session struct {
	agent.Session
	opener     *attempt // the turn that opened it
	agentID    string
	permission api.PermissionMode
	over       context.Context
	abandon    context.CancelFunc
}
