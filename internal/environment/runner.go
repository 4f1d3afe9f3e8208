package environment

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"catamaran/internal/api"
)

// runner supervises one environment: its loop owns the machine's State, feeds
// it events and carries out actions. At most one launch is alive at a time.
type runner struct {
	id     string
	distro string // as configured; "" for local and for the default distro
	policy Policy
	begin  launcher
	env    func() api.Envelope
	// met is told of every hello.
	met func(distro, environmentID string)
	// patience is how long one stage may take before it says that it is still waiting.
	patience time.Duration
	log      *slog.Logger
	file     *backendLog
	// changed is called after every change of what view shows, from the loop; it must not block.
	changed func()

	inbox chan message
	quit  chan struct{} // closed: stop with the quick ladder, then end
	done  chan struct{} // the loop has ended

	mu   sync.Mutex
	seen api.Environment
	link *connection // of the running launch once it is ready
	at   *launch     // for the log tail
	copy bool        // the next start copies the backend anew
}

// message is an event, with an answer when the sender waits until it was processed.
type message struct {
	e      Event
	answer chan struct{}
}

func newRunner(id string) *runner {
	blank := blank(id)
	return &runner{
		id: id, distro: blank.Distro, inbox: make(chan message, 16), quit: make(chan struct{}), done: make(chan struct{}), seen: blank, patience: patience,
	}
}

// blank is an environment that never ran.
func blank(id string) api.Environment {
	e := api.Environment{ID: id, Name: "This computer", State: api.EnvOff, Since: time.Now().UnixMilli()}
	switch {
	case id == defaultID:
		e.Name = "Default distro (WSL)"
	case id != localID:
		e.Distro = id[len(wslPrefix):]
		e.Name = e.Distro + " (WSL)"
	}
	return e
}

// view is the environment as others see it.
func (r *runner) view() api.Environment {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

// connection returns the link of a ready backend, nil when there is none.
func (r *runner) connection() *connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.link
}

func (r *runner) restage(force bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.copy = force
}

func (r *runner) forced() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.copy
}

// logTail is the end of the output of the newest launch.
func (r *runner) logTail() string {
	r.mu.Lock()
	l := r.at
	r.mu.Unlock()
	if l == nil {
		return ""
	}
	return l.tail()
}

// send hands an event to the loop and waits until it has been processed; false when the loop has ended first.
func (r *runner) send(ctx context.Context, e Event) bool {
	m := message{e: e, answer: make(chan struct{})}
	select {
	case r.inbox <- m:
	case <-r.done:
		return false
	case <-ctx.Done():
		return false
	}
	select {
	case <-m.answer:
		return true
	case <-r.done:
		return false
	case <-ctx.Done():
		return false
	}
}

// post is send without waiting for the outcome, for the launch's goroutine.
func (r *runner) post(e Event) {
	select {
	case r.inbox <- message{e: e}:
	case <-r.done:
	}
}

// loop runs until quit is closed and no launch is alive (or its end could not be verified).
func (r *runner) loop() {
	defer close(r.done)
	defer r.file.Close()
	var (
		state   = State{Phase: api.EnvOff, Since: time.Now()}
		current *launch
		timer   *time.Timer
		expired <-chan time.Time
		armed   uint64
		quit    = r.quit
		late    <-chan time.Time
	)
	apply := func(e Event) {
		e.At, e.Jitter = time.Now(), rand.Float64()
		before := state
		var actions []Action
		state, actions = r.policy.Step(state, e)
		r.note(before, state, e)
		for _, a := range actions {
			switch a.Kind {
			case actLaunch:
				current = newLaunch(r, a.Launch)
				r.mu.Lock()
				r.at = current
				r.mu.Unlock()
				go current.run()
			case actStop:
				current.stop(false)
			case actTimer:
				if timer != nil {
					timer.Stop()
				}
				timer, armed = time.NewTimer(a.Delay), a.Launch
				expired = timer.C
			}
		}
		r.publish(state, current)
	}
	r.publish(state, nil)
	for {
		select {
		case m := <-r.inbox:
			apply(m.e)
			if m.answer != nil {
				close(m.answer)
			}
		case <-expired:
			expired = nil
			apply(Event{Kind: evTimer, Launch: armed})
		case <-quit:
			quit = nil
			apply(Event{Kind: evStop})
			if state.live {
				current.stop(true)
			}
			bound := time.NewTimer(quitBound)
			defer bound.Stop()
			late = bound.C
		case <-late:
			state.stuck = true
		}
		if quit == nil && (!state.live || state.stuck) {
			if state.live {
				r.log.Error("environment left behind at quit: its process does not end", "environment", r.id)
			}
			if timer != nil {
				timer.Stop()
			}
			return
		}
		if quit == nil && state.live && state.Phase != api.EnvStopping {
			apply(Event{Kind: evStop}) // a start that came in while quitting
			current.stop(true)
		}
	}
}

// note logs changes, and requests that do not act at once with the reason (W5.2).
func (r *runner) note(before, after State, e Event) {
	if before.Phase != after.Phase {
		attrs := []any{"environment", r.id, "from", before.Phase, "to", after.Phase, "event", e.Kind, "attempt", after.Attempt}
		if after.Error != nil {
			attrs = append(attrs, "error", after.Error.Message)
		}
		r.log.Info("environment changed", attrs...)
		return
	}
	if e.Kind == evStart || e.Kind == evStop {
		r.log.Info("environment request changes nothing now", "environment", r.id, "request", e.Kind, "state", after.Phase, "stage", after.Stage)
	}
}

func (r *runner) publish(s State, current *launch) {
	v := api.Environment{ID: r.id, Distro: r.distro, State: s.Phase, Stage: s.Stage, Since: s.Since.UnixMilli(), Attempt: s.Attempt, Error: s.Error}
	if !s.RetryAt.IsZero() {
		v.RetryAt = s.RetryAt.UnixMilli()
	}
	if comingUp(s.Phase) {
		// Since starts anew at every stage; how long somebody has waited does not.
		if v.Begun = r.view().Begun; v.Begun == 0 {
			v.Begun = v.Since
		}
	}
	var conn *connection
	if s.live && current != nil {
		d, c := current.facts()
		if d != "" {
			v.Distro = d
		}
		if c != nil {
			h := c.session.Hello()
			v.EnvironmentID, v.Version, v.OS, v.Arch, v.PID = h.EnvironmentID, h.Version, h.OS, h.Arch, h.PID
			if s.Phase == api.EnvReady {
				conn = c
			}
		}
	}
	r.mu.Lock()
	v.Name = r.seen.Name
	if r.id == defaultID && v.Distro != "" {
		v.Name = v.Distro + " (WSL)"
	}
	r.seen, r.link = v, conn
	r.mu.Unlock()
	r.changed()
}

// occupied reports whether a launch is or may be alive.
func occupied(s api.EnvironmentState) bool {
	return s != api.EnvOff && s != api.EnvFailed && s != api.EnvBackoff
}

// patience: see runner.patience (W5.4).
const patience = 10 * time.Second

// comingUp reports whether somebody waits for the environment.
func comingUp(s api.EnvironmentState) bool {
	return s == api.EnvResolving || s == api.EnvStaging || s == api.EnvStarting || s == api.EnvBackoff
}

// quitBound is how long a quit waits for one environment; all of them end at once (W5.8).
const quitBound = 900 * time.Millisecond

var errStopped = errors.New("stopped")

func asError(err error, code api.Code, message string) *api.Error {
	if e := api.AsError(err); e != nil {
		return e
	}
	return &api.Error{Code: code, Message: message, Details: err.Error(), Retryable: true}
}
