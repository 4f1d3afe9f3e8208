package environment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/auth"
)

const (
	// stopBound is how long a change waits for what it ends, restoreBound for what a roll-back starts again.
	stopBound    = 15 * time.Second
	restoreBound = 30 * time.Second
)

// ChangeMode runs the transaction and returns when it has ended. Requests are
// serialised and the last one wins: a newer request rolls back the one under
// way. A request that is refused before anything has changed gives a zero
// ModeChange and an *api.Error; one that failed gives the ModeChange with
// FailedStep and RolledBack, and an *api.Error CodeModeChangeFailed that says
// both. The change goes on when ctx ends; only CancelChange, a newer request and
// the end of Run stop it.
func (p *Pool) ChangeMode(ctx context.Context, to api.ModeConfig) (api.ModeChange, error) {
	p.mu.Lock()
	run := p.running
	if run == nil || run.Err() != nil {
		p.mu.Unlock()
		return api.ModeChange{}, &api.Error{Code: api.CodeUnavailable, Message: "the desktop is not running environments now", Hint: "Start Catamaran again."}
	}
	p.order++
	order := p.order
	if p.cancel != nil {
		p.cancel(errSuperseded())
	}
	p.changes.Add(1)
	p.mu.Unlock()

	type outcome struct {
		change api.ModeChange
		err    error
	}
	ended := make(chan outcome, 1)
	go func() {
		defer p.changes.Done()
		c, err := p.serialised(run, order, to)
		ended <- outcome{c, err}
	}()
	select {
	case o := <-ended:
		return o.change, o.err
	case <-ctx.Done():
		return api.ModeChange{}, asError(context.Cause(ctx), api.CodeCancelled, "the request ended before the mode change did")
	}
}

func errSuperseded() *api.Error {
	return &api.Error{Code: api.CodeConflict, Message: "a newer mode change took its place", Hint: "Nothing needs to be done."}
}

func (p *Pool) serialised(run context.Context, order uint64, to api.ModeConfig) (api.ModeChange, error) {
	select {
	case p.slot <- struct{}{}:
		defer func() { <-p.slot }()
	case <-run.Done():
		return api.ModeChange{}, errQuitting()
	}
	ctx, cancel := context.WithCancelCause(run)
	defer cancel(nil)
	p.mu.Lock()
	if p.order != order {
		p.mu.Unlock()
		return api.ModeChange{}, errSuperseded()
	}
	p.cancel = cancel
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.cancel = nil
		p.mu.Unlock()
	}()
	to, distro, err := p.checked(ctx, to)
	if err != nil {
		return api.ModeChange{}, err
	}
	p.mu.Lock()
	same := to == p.config && to == p.effective
	t := &transaction{p: p, ctx: ctx, to: to, distro: distro, before: p.effective}
	t.change = api.ModeChange{ID: auth.NewToken(), From: p.config, To: to, Phase: api.PhasePreparing, StartedAt: time.Now().UnixMilli()}
	p.mu.Unlock()
	if same {
		t.change.Phase, t.change.EndedAt = api.PhaseDone, t.change.StartedAt
		return t.change, nil
	}
	if t.before.Mode == api.ModeLocal && t.change.From.Mode == api.ModeLocal && to.Mode == api.ModeLocal {
		return t.stageChoice()
	}
	return t.run()
}

// stageChoice keeps a distro that is picked while WSL is off (W8.1): nothing is
// started or stopped for it, so there is nothing to wait for or to show.
func (t *transaction) stageChoice() (api.ModeChange, error) {
	p := t.p
	previous, err := p.files.begin()
	if err != nil {
		return t.back(nil, &failedStep{step: "save the mode", err: err})
	}
	if err = p.files.persist(t.to); err == nil {
		err = p.files.confirm()
	}
	if err != nil {
		return t.back(&previous, &failedStep{step: "save the mode", err: err})
	}
	t.change.Phase, t.change.EndedAt = api.PhaseDone, time.Now().UnixMilli()
	p.mu.Lock()
	p.config, p.effective = t.to, t.to
	p.announceLocked()
	p.mu.Unlock()
	return t.change, nil
}

func errQuitting() *api.Error {
	return &api.Error{Code: api.CodeCancelled, Message: "the desktop is ending", Hint: "Choose the mode again after the next start."}
}

// CancelChange rolls the change under way back.
func (p *Pool) CancelChange() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel != nil {
		p.cancel(&api.Error{Code: api.CodeCancelled, Message: "it was cancelled"})
	}
}

// checked validates a target before anything changes (W1.5) and returns it with
// the installed spelling of the distro, and the distro it will run in.
func (p *Pool) checked(ctx context.Context, to api.ModeConfig) (api.ModeConfig, string, error) {
	if !to.Mode.Valid() {
		return to, "", &api.Error{Code: api.CodeInvalid, Message: fmt.Sprintf("there is no mode %q", to.Mode), Hint: "The modes are local, both and wsl-only."}
	}
	p.mu.Lock()
	current := p.config
	p.mu.Unlock()
	distro := ""
	// A staged choice that does not change needs no WSL: leaving a WSL that is gone must work.
	if to.Mode != api.ModeLocal || to.Distro != current.Distro && to.Distro != "" {
		if p.wsl == nil {
			return to, "", errNoWSL()
		}
		bounded, cancel := context.WithTimeoutCause(ctx, discoverTimeout, &api.Error{Code: api.CodeWSLHung, Message: "WSL does not answer", Hint: "Run `wsl --shutdown`, then try again."})
		defer cancel()
		d, err := p.wsl.Resolve(bounded, to.Distro)
		if ctx.Err() != nil {
			err = context.Cause(ctx) // cancelled or superseded; what the look-up says of that is its own view
		}
		if err != nil {
			return to, "", asError(err, api.CodeWSLBroken, "the distro could not be looked up")
		}
		if !d.Selectable {
			return to, "", &api.Error{Code: api.CodeDistroBusy, Message: fmt.Sprintf("%s cannot be used: %s", d.Name, d.Why), Hint: "Choose another distro."}
		}
		distro = d.Name
		if to.Distro != "" {
			if to.Primary == wslID(to.Distro) {
				to.Primary = wslID(d.Name)
			}
			to.Distro = d.Name
		}
	}
	if to.Primary != "" && !serves(to, to.Primary) {
		return to, "", &api.Error{Code: api.CodeInvalid, Message: fmt.Sprintf("%q does not run in mode %s", to.Primary, to.Mode), Hint: "Choose one of the environments of the mode as the primary one."}
	}
	return to, distro, nil
}

// transaction is one mode change on its way.
type transaction struct {
	p      *Pool
	ctx    context.Context
	to     api.ModeConfig
	distro string         // the WSL target runs in it
	before api.ModeConfig // what ran
	change api.ModeChange
	// started were brought up by the change, handed were ended for it; a roll-back undoes both.
	started, handed []string
}

func (t *transaction) phase(ph api.ModePhase) {
	t.change.Phase = ph
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	c := t.change
	t.p.change = &c
	t.p.announceLocked()
}

// failedStep is an error with the name of the step it ended.
type failedStep struct {
	step    string
	err     error
	logTail string
}

func (f *failedStep) Error() string { return f.step + ": " + f.err.Error() }
func (f *failedStep) Unwrap() error { return f.err }

func (t *transaction) run() (api.ModeChange, error) {
	p := t.p
	t.phase(api.PhasePreparing)
	previous, err := p.files.begin()
	if err != nil {
		return t.back(nil, &failedStep{step: "save the mode", err: err})
	}
	if err := t.forward(); err != nil {
		return t.back(&previous, err)
	}
	p.mu.Lock()
	p.config, p.effective, p.notice = t.to, t.to, nil
	p.mu.Unlock()
	t.phase(api.PhaseSyncing)
	// Confirmed: from here on nothing fails any more. What does not end shows in its own state.
	keep := ids(t.to)
	var obsolete []string
	p.mu.Lock()
	for id, r := range p.runners {
		if !slices.Contains(keep, id) && r.view().State != api.EnvOff {
			obsolete = append(obsolete, id)
		}
	}
	p.mu.Unlock()
	t.stop(obsolete)
	t.change.Phase, t.change.EndedAt = api.PhaseDone, time.Now().UnixMilli()
	p.mu.Lock()
	p.change = nil
	p.announceLocked()
	p.mu.Unlock()
	return t.change, nil
}

// forward goes up to the confirmed new configuration.
func (t *transaction) forward() error {
	p := t.p
	ctx, cancel := context.WithTimeoutCause(t.ctx, p.o.ChangeTimeout, &api.Error{Code: api.CodeTimeout,
		Message: fmt.Sprintf("it did not get ready within %v", p.o.ChangeTimeout), Hint: "Look at its log; `wsl --shutdown` helps when WSL itself hangs."})
	defer cancel()
	if err := p.files.persist(t.to); err != nil {
		return &failedStep{step: "save the mode", err: err}
	}
	// Another name for the distro of the target ("default") owns the same database; the two cannot run at once.
	p.mu.Lock()
	for id, r := range p.runners {
		if v := r.view(); id != localID && !serves(t.to, id) && occupied(v.State) && t.distro != "" && strings.EqualFold(v.Distro, t.distro) {
			t.handed = append(t.handed, id)
		}
	}
	p.mu.Unlock()
	if !t.stop(t.handed) {
		return &failedStep{step: "hand over", err: &api.Error{Code: api.CodeTimeout, Message: "the backend that runs in " + t.distro + " does not end", Hint: "Try again in a moment."}}
	}
	t.phase(api.PhaseStartingTarget)
	for _, id := range ids(t.to) {
		if err := t.bringUp(ctx, id); err != nil {
			return err
		}
	}
	for _, id := range ids(t.to) {
		if err := t.await(ctx, id); err != nil {
			return err
		}
	}
	t.phase(api.PhaseSession)
	for _, id := range ids(t.to) {
		if _, err := p.Token(ctx, id); err != nil {
			return &failedStep{step: "sign in to " + id, err: err}
		}
	}
	if ctx.Err() != nil {
		return &failedStep{step: "sign in", err: context.Cause(ctx)}
	}
	if err := p.files.confirm(); err != nil {
		return &failedStep{step: "confirm the mode", err: err}
	}
	return nil
}

// bringUp asks for a start where one is needed; an environment that is up stays as it is.
func (t *transaction) bringUp(ctx context.Context, id string) error {
	t.p.mu.Lock()
	r := t.p.runnerLocked(id)
	t.p.mu.Unlock()
	if r == nil {
		return &failedStep{step: "start " + id, err: errQuitting()}
	}
	if r.view().State == api.EnvReady {
		return nil
	}
	if !serves(t.before, id) {
		t.started = append(t.started, id)
	}
	if !r.send(ctx, Event{Kind: evStart}) {
		return &failedStep{step: "start " + id, err: context.Cause(ctx)}
	}
	return nil
}

// await waits until an environment is ready, parked, or the change's time is up.
func (t *transaction) await(ctx context.Context, id string) error {
	r := t.p.runner(id)
	for {
		t.p.mu.Lock()
		next := t.p.changed
		t.p.mu.Unlock()
		v := r.view()
		switch v.State {
		case api.EnvReady:
			return nil
		case api.EnvFailed, api.EnvOff:
			err := v.Error
			if err == nil {
				err = &api.Error{Code: api.CodeEnvironmentDown, Message: v.Name + " was stopped", Hint: "Start it and try again."}
			}
			return &failedStep{step: "start " + id, err: err, logTail: r.logTail()}
		}
		select {
		case <-next:
		case <-ctx.Done():
			return &failedStep{step: "start " + id, err: context.Cause(ctx), logTail: r.logTail()}
		}
	}
}

// stop ends environments concurrently and reports whether all of them are off within the bound.
func (t *transaction) stop(which []string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), stopBound)
	defer cancel()
	for _, id := range which {
		if r := t.p.runner(id); r != nil {
			r.send(ctx, Event{Kind: evStop})
		}
	}
	return t.until(ctx, which, func(s api.EnvironmentState) bool { return s == api.EnvOff })
}

// until waits until every environment is in a state that holds; false when ctx ends first.
func (t *transaction) until(ctx context.Context, which []string, holds func(api.EnvironmentState) bool) bool {
	for {
		t.p.mu.Lock()
		next, run := t.p.changed, t.p.running
		missing := 0
		for _, id := range which {
			if r := t.p.runners[id]; r != nil && !holds(r.view().State) {
				missing++
			}
		}
		t.p.mu.Unlock()
		if missing == 0 {
			return true
		}
		if run == nil {
			return false // quitting; the pool ends them itself
		}
		select {
		case <-next:
		case <-run.Done():
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// back restores the file byte for byte (previous is nil when it was not touched) and what ran before.
func (t *transaction) back(previous *pending, cause error) (api.ModeChange, error) {
	p := t.p
	var f *failedStep
	if !errors.As(cause, &f) {
		f = &failedStep{step: "change the mode", err: cause}
	}
	t.change.FailedStep, t.change.LogTail = f.step, f.logTail
	t.change.Error = asError(f.err, api.CodeInternal, "the step failed: "+f.err.Error())
	t.phase(api.PhaseRollingBack)
	var restored error
	if previous != nil {
		restored = p.files.rollBack(*previous)
	}
	if restored != nil {
		p.log.Error("mode file not restored; the next start does it", "error", restored)
	}
	ok := restored == nil
	if !p.quitting() {
		ok = t.stop(t.started) && ok
		ctx, cancel := context.WithTimeout(context.Background(), restoreBound)
		for _, id := range t.handed {
			if r := p.runner(id); r != nil {
				r.send(ctx, Event{Kind: evStart})
			}
		}
		for _, id := range t.handed {
			ok = t.await(ctx, id) == nil && ok
		}
		cancel()
	}
	t.change.RolledBack = ok
	t.change.EndedAt = time.Now().UnixMilli()
	t.phase(api.PhaseChangeFailed)
	way := "Everything is as it was before."
	if !ok {
		way = "The way back did not work completely; look at Settings > Environments."
	}
	return t.change, &api.Error{Code: api.CodeModeChangeFailed, Message: fmt.Sprintf("the mode was not changed (%s): %s", f.step, t.change.Error.Message),
		Hint: strings.TrimSpace(way + " " + t.change.Error.Hint), Details: t.change.LogTail}
}

// quitting reports whether Run is ending: then it ends every environment itself.
func (p *Pool) quitting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running == nil || p.running.Err() != nil
}
