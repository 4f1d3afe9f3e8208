// Package environment supervises backends: a pure state machine per
// environment with a runner that carries out its actions, the pool of them, and
// mode changes as transactions over a persisted configuration. It serves no
// HTTP and speaks to a backend only to learn that it is ready and to sign in;
// packages gateway and the catamaran command call it.
//
// Invariants: an environment has at most one process tree at any time; a change
// of mode stops nothing that ran before until its target is healthy and the new
// configuration is confirmed on disk; whatever ends a change halfway, the next
// start finds the last confirmed configuration; secrets travel in the envelope
// and over the link only.
package environment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/auth"
	"catamaran/internal/build"
	"catamaran/internal/logfile"
	"catamaran/internal/stage"
	"catamaran/internal/wsl"
)

// Options of a pool.
type Options struct {
	// StateDir holds mode.json.
	StateDir string
	// LocalBackend is the path of the native backend; LocalHome its CATAMARAN_HOME ("" the default).
	LocalBackend, LocalHome string
	// WSL is nil where there is none.
	WSL     *wsl.Client
	Carried *stage.Carried
	// Forward gives what is sent in the envelope's Env and EnvWins, asked at each start; nil is nothing.
	Forward func() (env map[string]string, wins []string)
	// LogLevel is the backends' (debug, info, warn, error; "" theirs).
	LogLevel string
	LogDir   string // a backend's stderr goes to LogDir/backend-<id>.log, bounded
	Log      *slog.Logger
	// ChangeTimeout bounds a mode change up to the new environment's readiness; 0 means 5 min. It
	// must be longer than a cold start of the VM, which was seen to take 90 s and more; a person who
	// does not want to wait cancels the change, and what ran before goes on meanwhile.
	ChangeTimeout time.Duration
}

const (
	defaultChangeTimeout = 5 * time.Minute
	discoverTimeout      = 15 * time.Second
	defaultGateBound     = 10 * time.Second
)

// Pool runs the environments.
type Pool struct {
	o     Options
	log   *slog.Logger
	wsl   distros // nil where there is none
	files configFiles
	// gate lets one distro start at a time; gateBound is how long one may keep the others out.
	gate      chan struct{}
	gateBound time.Duration
	// patience of the runners.
	patience time.Duration

	// slot is held by the mode change that runs; order numbers the requests.
	slot chan struct{}

	mu      sync.Mutex
	runners map[string]*runner
	running context.Context // Run's, nil before and after
	loops   sync.WaitGroup
	changes sync.WaitGroup
	changed chan struct{} // closed and replaced at every change

	config    api.ModeConfig // confirmed
	effective api.ModeConfig // what runs; differs after a fallback
	order     uint64
	cancel    context.CancelCauseFunc // of the change under way
	change    *api.ModeChange
	notice    *api.Error
	discovery api.WSL
	twins     identities
}

// New validates the options and reads the configuration, resolving a change that
// was cut off to the last confirmed one; it starts nothing. The caller owns
// StateDir alone.
func New(o Options) (*Pool, error) {
	if !filepath.IsAbs(o.StateDir) {
		return nil, fmt.Errorf("environments: state folder %q is not an absolute path", o.StateDir)
	}
	if !filepath.IsAbs(o.LocalBackend) {
		return nil, fmt.Errorf("environments: backend %q is not an absolute path", o.LocalBackend)
	}
	if o.ChangeTimeout <= 0 {
		o.ChangeTimeout = defaultChangeTimeout
	}
	p := &Pool{
		o: o, log: o.Log, files: configFiles{dir: o.StateDir}, gate: make(chan struct{}, 1), gateBound: defaultGateBound, patience: patience, slot: make(chan struct{}, 1),
		runners: map[string]*runner{}, changed: make(chan struct{}),
	}
	if o.WSL != nil {
		p.wsl = o.WSL
	}
	p.discovery = api.WSL{Available: p.wsl != nil, Distros: []api.Distro{}}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.twins = loadIdentities(o.StateDir, p.log)
	config, notice, err := p.files.load()
	if err != nil {
		return nil, fmt.Errorf("environments: read the mode: %w", err)
	}
	p.config, p.effective, p.notice = config, config, notice
	return p, nil
}

// Run starts what the configuration names and supervises until ctx ends, then
// stops all backends concurrently, in under a second even when one hangs.
func (p *Pool) Run(ctx context.Context) error {
	p.mu.Lock()
	if p.running != nil {
		p.mu.Unlock()
		return errors.New("environments: already running")
	}
	p.running = ctx
	for _, id := range ids(p.effective) {
		p.runnerLocked(id)
	}
	started := ids(p.effective)
	p.mu.Unlock()
	for _, id := range started {
		p.runner(id).send(ctx, Event{Kind: evStart})
	}
	watch := make(chan struct{})
	go func() {
		defer close(watch)
		p.watchFallback(ctx)
	}()
	p.changes.Go(func() { p.RescanDistros(ctx) })

	<-ctx.Done()
	p.mu.Lock()
	p.running = nil
	for _, r := range p.runners {
		close(r.quit)
	}
	p.mu.Unlock()
	p.loops.Wait()
	<-watch
	p.changes.Wait()
	p.mu.Lock()
	clear(p.runners)
	p.mu.Unlock()
	return nil
}

// runner returns the supervisor of id, nil when there is none.
func (p *Pool) runner(id string) *runner {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runners[id]
}

// runnerLocked returns the supervisor of id, made when missing; nil when the pool does not run.
func (p *Pool) runnerLocked(id string) *runner {
	if r := p.runners[id]; r != nil || p.running == nil || p.running.Err() != nil {
		return r
	}
	r := newRunner(id)
	r.log, r.changed, r.patience = p.log, p.announce, p.patience
	r.met = func(distro, environmentID string) { p.met(id, distro, environmentID) }
	r.file = &backendLog{path: logPath(p.o.LogDir, id)}
	r.env = func() api.Envelope {
		e := api.Envelope{
			Protocol: api.ProtocolVersion, Credential: auth.NewToken(), Environment: id,
			LogLevel: p.o.LogLevel, DesktopVersion: build.Version,
		}
		if p.o.Forward != nil {
			e.Env, e.EnvWins = p.o.Forward()
		}
		logfile.Secret(e.Credential)
		return e
	}
	switch {
	case id == localID:
		r.policy, r.begin = policyNative, localLauncher(p.o.LocalBackend, p.o.LocalHome)
	case p.wsl == nil:
		r.policy = policyWSL
		r.begin = func(context.Context, launchOptions) (placed, error) { return placed{}, errNoWSL() }
	default:
		r.policy, r.begin = policyWSL, wslLauncher(p.wsl, p.o.Carried, r.distro, p.gate, p.gateBound)
	}
	p.runners[id] = r
	p.loops.Go(r.loop)
	return r
}

func errNoWSL() *api.Error {
	return &api.Error{Code: api.CodeWSLMissing, Message: "there is no WSL on this computer", Hint: "Install it with `wsl --install`, or switch to this computer's own system in Settings > Environments."}
}

// announce wakes every Watch.
func (p *Pool) announce() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.announceLocked()
}

func (p *Pool) announceLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Snapshot is the current state of everything.
func (p *Pool) Snapshot() api.Environments {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.snapshotLocked()
}

func (p *Pool) snapshotLocked() api.Environments {
	s := api.Environments{Config: p.config, Primary: primary(p.effective), WSL: p.discovery, Notice: p.notice}
	s.WSL.Distros = slices.Clone(p.discovery.Distros)
	if p.change != nil {
		c := *p.change
		s.Change = &c
	}
	shown := map[string]api.Environment{}
	for _, id := range append(ids(p.config), ids(p.effective)...) {
		shown[id] = blank(id)
	}
	for id, r := range p.runners {
		v := r.view()
		v.Twin = p.twinLocked(v)
		if _, ok := shown[id]; ok || v.State != api.EnvOff {
			shown[id] = v
		}
	}
	s.Environments = make([]api.Environment, 0, len(shown))
	for _, v := range shown {
		s.Environments = append(s.Environments, v)
	}
	slices.SortFunc(s.Environments, func(a, b api.Environment) int {
		if (a.ID == localID) != (b.ID == localID) {
			if a.ID == localID {
				return -1
			}
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
	return s
}

// Watch calls fn with the current state and after every change, coalesced: a
// slow fn gets the newest state and misses those between. It returns when ctx ends.
func (p *Pool) Watch(ctx context.Context, fn func(api.Environments)) {
	for {
		p.mu.Lock()
		s, next := p.snapshotLocked(), p.changed
		p.mu.Unlock()
		fn(s)
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}

// Start starts one environment, also a parked one, from the base delay, and
// returns its state once the request was taken. This computer's own can be
// started in every mode: in wsl-only that is the way out while WSL does not come
// up, for this launch. Errors are *api.Error.
func (p *Pool) Start(ctx context.Context, id string) (api.Environment, error) {
	if id == localID {
		p.mu.Lock()
		p.runnerLocked(id)
		p.mu.Unlock()
	}
	return p.act(ctx, id, evStart)
}

// Stop stops one environment until it is started again; the configuration stays.
// It returns the state once the request was taken. Errors are *api.Error.
func (p *Pool) Stop(ctx context.Context, id string) (api.Environment, error) {
	return p.act(ctx, id, evStop)
}

func (p *Pool) act(ctx context.Context, id string, kind EventKind) (api.Environment, error) {
	r := p.runner(id)
	if r == nil {
		return api.Environment{}, errUnknown(id)
	}
	if !r.send(ctx, Event{Kind: kind}) {
		return api.Environment{}, &api.Error{Code: api.CodeUnavailable, Message: "the desktop is ending", Hint: "Start Catamaran again."}
	}
	return r.view(), nil
}

func errUnknown(id string) *api.Error {
	return &api.Error{Code: api.CodeEnvironmentUnknown, Message: fmt.Sprintf("there is no environment %q", id), Hint: "Settings > Environments lists them."}
}

// live returns the link of a ready environment.
func (p *Pool) live(id string) (*connection, error) {
	r := p.runner(id)
	if r == nil {
		return nil, errUnknown(id)
	}
	if c := r.connection(); c != nil {
		return c, nil
	}
	v := r.view()
	e := &api.Error{Code: api.CodeEnvironmentDown, Message: fmt.Sprintf("%s is not running (%s)", v.Name, v.State), Retryable: v.State != api.EnvOff && v.State != api.EnvFailed}
	if v.Stage != "" {
		e.Message = fmt.Sprintf("%s is not running (%s: %s)", v.Name, v.State, v.Stage)
	}
	e.Hint = "Start it in Settings > Environments."
	if e.Retryable {
		e.Hint = "It is on its way; try again in a moment."
	} else if v.Error != nil {
		e.Details = v.Error.Message
	}
	return nil, e
}

// Dial opens a stream to a ready backend (HTTP is spoken on it). *api.Error
// CodeEnvironmentUnknown or CodeEnvironmentDown (with the state) otherwise.
func (p *Pool) Dial(ctx context.Context, id string) (net.Conn, error) {
	c, err := p.live(id)
	if err != nil {
		return nil, err
	}
	s, err := c.session.Open(ctx)
	if err != nil {
		return nil, asError(err, api.CodeLinkLost, "no stream to the backend could be opened")
	}
	return s, nil
}

// Token returns a session token of the environment's backend, exchanged on first
// use and shared by concurrent callers. Refused reports that the backend answered
// 401 to token, so that the next Token renews it, once for all callers; where
// the backend refuses that, too, it is started anew.
func (p *Pool) Token(ctx context.Context, id string) (string, error) {
	c, err := p.live(id)
	if err != nil {
		return "", err
	}
	return c.sessionToken(ctx)
}

// Refused is described at Token. A token of an earlier link does nothing.
func (p *Pool) Refused(id, token string) {
	if c, err := p.live(id); err == nil {
		c.refuse(token)
	}
}

// RescanDistros runs discovery again, and starts environments that were parked
// for want of what is there now.
func (p *Pool) RescanDistros(ctx context.Context) (api.WSL, error) {
	if p.wsl == nil {
		return api.WSL{Distros: []api.Distro{}}, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, discoverTimeout, &api.Error{Code: api.CodeWSLHung, Message: "WSL does not answer", Hint: "Run `wsl --shutdown`, then try again."})
	defer cancel()
	w := p.wsl.Discover(ctx)
	if w.Distros == nil {
		w.Distros = []api.Distro{}
	}
	p.mu.Lock()
	p.discovery = w
	var mended []*runner
	for _, r := range p.runners {
		v := r.view()
		if v.State == api.EnvFailed && gone(v.Error) && w.Error == nil && there(w, r.distro) {
			mended = append(mended, r)
		}
	}
	p.announceLocked()
	p.mu.Unlock()
	for _, r := range mended {
		r.send(ctx, Event{Kind: evMend})
	}
	return w, nil
}

// there reports whether discovery found a distro that a start would take.
func there(w api.WSL, name string) bool {
	for _, d := range w.Distros {
		if d.Selectable && (name == "" && d.Default || name != "" && strings.EqualFold(d.Name, name)) {
			return true
		}
	}
	return false
}

// Dismiss forgets a failed change and the notice.
func (p *Pool) Dismiss() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.change != nil && p.change.EndedAt != 0 {
		p.change = nil
	}
	p.notice = nil
	p.announceLocked()
}

// watchFallback makes this computer's own backend the primary one for this
// launch when a wsl-only preference cannot be followed: by itself when WSL or
// the distro is gone, and when a person started it because WSL does not come
// up. The preference stays (W6.5).
func (p *Pool) watchFallback(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.Watch(ctx, func(s api.Environments) {
		if s.Config.Mode != api.ModeWSLOnly || s.Change != nil && s.Change.EndedAt == 0 {
			return
		}
		var wanted, local api.Environment
		for _, e := range s.Environments {
			switch e.ID {
			case primary(s.Config):
				wanted = e
			case localID:
				local = e
			}
		}
		p.mu.Lock()
		if p.config != s.Config || p.cancel != nil {
			p.mu.Unlock() // a change has begun since
			return
		}
		const kept = "Your choice is kept; Settings > Environments switches to this computer for good."
		fallen := p.effective.Mode == api.ModeLocal
		var start *runner
		switch {
		case !fallen && wanted.State == api.EnvFailed && gone(wanted.Error):
			p.effective = api.ModeConfig{Mode: api.ModeLocal}
			p.notice = &api.Error{Code: wanted.Error.Code, Message: "WSL could not be used, so this computer's own system runs for now: " + wanted.Error.Message,
				Hint: strings.TrimSpace(wanted.Error.Hint + " " + kept)}
			start = p.runnerLocked(localID)
			p.announceLocked()
		case !fallen && local.State == api.EnvReady && wanted.State != api.EnvReady:
			p.effective = api.ModeConfig{Mode: api.ModeLocal}
			p.notice = &api.Error{Code: api.CodeEnvironmentDown, Message: "This computer's own system runs for now, since WSL is not up.", Hint: kept}
			p.announceLocked()
		case fallen && wanted.State == api.EnvReady:
			// It came back; the local backend goes on until the next launch, since work may have begun there.
			p.effective, p.notice = p.config, nil
			p.announceLocked()
		}
		p.mu.Unlock()
		if start != nil {
			start.send(ctx, Event{Kind: evStart})
		}
	})
}
