package environment

import (
	"time"

	"catamaran/internal/api"
)

// The supervisor of one environment as a pure function. The runner owns a State,
// feeds it events one at a time and carries out the actions; it holds no
// decision of its own.
//
// Contract with the runner: after an actLaunch exactly one evEnded with that
// launch's number follows, when no process of it is left. So between the two the
// slot is occupied, and no second child can come to be.

// State is what the supervisor of one environment knows.
type State struct {
	Phase api.EnvironmentState
	// Since is when Phase or Stage changed last.
	Since time.Time
	Stage string
	// Attempt counts launches since the last healthy run or user action.
	Attempt int
	Error   *api.Error
	// RetryAt is when a backoff ends.
	RetryAt time.Time
	// launch numbers launches for the life of the supervisor; events of an earlier one are late.
	launch uint64
	// live: a launch has not ended yet.
	live bool
	// wanted: it is to run; with live and Phase stopping, to run again after the exit.
	wanted bool
	// healthy: this launch was ready once.
	healthy bool
	// stuck: a stop could not be verified; the slot stays occupied.
	stuck bool
	// exits counts launches that ended before readiness in a row, backoffs the doublings.
	exits, backoffs int
}

// Policy holds the numbers of the machine.
type Policy struct {
	Base, Max time.Duration // of the back-off
	// MaxExits before readiness in a row park it; MaxWaits where the cause is one that passes (see passes).
	MaxExits, MaxWaits int
}

var (
	policyNative = Policy{Base: 500 * time.Millisecond, Max: 10 * time.Second, MaxExits: 3, MaxWaits: 8}
	policyWSL    = Policy{Base: 500 * time.Millisecond, Max: 20 * time.Second, MaxExits: 3, MaxWaits: 8}
)

// EventKind is a kind of input.
type EventKind string

const (
	evStart    EventKind = "start"    // a user action or a mode change; starts from the base delay
	evStop     EventKind = "stop"     // likewise
	evProgress EventKind = "progress" // Phase (resolving, staging, starting) and Stage
	evNote     EventKind = "note"     // Stage says more of what Was said; nothing has moved on
	evReady    EventKind = "ready"    // hello and readiness, the same environment id
	evLost     EventKind = "lost"     // the link is gone, the process may not be
	evEnded    EventKind = "ended"    // no process of the launch is left, if there ever was one
	evStuck    EventKind = "stuck"    // the stop ladder ended without the process being gone
	evTimer    EventKind = "timer"    // the backoff's end
	evMend     EventKind = "mend"     // the cause of a definitive failure is seen to be gone
)

// Event is one input of the machine.
type Event struct {
	Kind EventKind
	At   time.Time
	// Launch is the number of the launch it is about (all but start, stop, mend).
	Launch uint64
	Phase  api.EnvironmentState
	Stage  string
	// Was is the stage that a note is about: one that comes after the next stage is late.
	Was string
	// Error of ended, lost, stuck. Definitive: trying again cannot help.
	Error      *api.Error
	Definitive bool
	// Jitter in [0,1) takes up to a fifth off a backoff.
	Jitter float64
}

// ActionKind is a kind of output.
type ActionKind string

const (
	actLaunch ActionKind = "launch" // start launch number Launch
	actStop   ActionKind = "stop"   // end launch number Launch by the ladder
	actTimer  ActionKind = "timer"  // send evTimer with Launch after Delay
)

// Action is one output of the machine.
type Action struct {
	Kind   ActionKind
	Launch uint64
	Delay  time.Duration
}

// Step is the machine: the state after an event, and what is to be done.
func (p Policy) Step(s State, e Event) (State, []Action) {
	switch e.Kind {
	case evStart:
		return p.start(s, e)
	case evMend:
		if s.Phase == api.EnvFailed && !s.live {
			return p.start(s, e)
		}
		return s, nil
	case evStop:
		return p.stop(s, e)
	}
	if e.Launch != s.launch {
		return s, nil // late
	}
	switch e.Kind {
	case evTimer:
		if s.Phase == api.EnvBackoff && !s.live {
			return p.launchNow(s, e)
		}
	case evProgress:
		if s.live && s.starting() {
			s = s.to(e.Phase, e.Stage, e.At)
		}
	case evNote:
		if s.live && s.starting() && s.Stage == e.Was {
			s.Stage = e.Stage // Since stays: it is the same wait
		}
	case evReady:
		if s.live && s.starting() {
			s = s.to(api.EnvReady, "", e.At)
			s.healthy, s.exits, s.backoffs, s.Error = true, 0, 0, nil
		}
	case evLost:
		if s.live && (s.starting() || s.Phase == api.EnvReady) {
			s = s.to(api.EnvDegraded, "the connection is lost; ending the backend", e.At)
			s.Error = e.Error
			return s, []Action{{Kind: actStop, Launch: s.launch}}
		}
	case evStuck:
		if s.live {
			s = s.to(api.EnvStopping, "the backend does not end", e.At)
			s.stuck, s.Error = true, e.Error
		}
	case evEnded:
		if s.live {
			return p.ended(s, e)
		}
	}
	return s, nil
}

func (p Policy) start(s State, e Event) (State, []Action) {
	s.exits, s.backoffs = 0, 0
	if !s.live {
		s.Attempt, s.Error = 0, nil
		return p.launchNow(s, e)
	}
	s.wanted = true
	if s.stuck {
		s.stuck = false
		s = s.to(api.EnvStopping, "ending the backend before it starts again", e.At)
		return s, []Action{{Kind: actStop, Launch: s.launch}}
	}
	if s.Phase == api.EnvStopping {
		s.Stage = "starts again as soon as it has ended"
	}
	return s, nil
}

func (p Policy) stop(s State, e Event) (State, []Action) {
	s.wanted = false
	if !s.live {
		if s.Phase != api.EnvOff {
			s = s.to(api.EnvOff, "", e.At)
			s.Error, s.Attempt = nil, 0
		}
		return s, nil
	}
	if s.Phase == api.EnvStopping && !s.stuck {
		s.Stage = ""
		return s, nil
	}
	s.stuck = false
	already := s.Phase == api.EnvDegraded // its ladder is under way
	s = s.to(api.EnvStopping, "", e.At)
	if already {
		return s, nil
	}
	return s, []Action{{Kind: actStop, Launch: s.launch}}
}

func (p Policy) launchNow(s State, e Event) (State, []Action) {
	s = s.to(api.EnvResolving, "", e.At)
	s.launch++
	s.Attempt++
	s.live, s.wanted, s.healthy, s.stuck = true, true, false, false
	s.RetryAt = time.Time{}
	return s, []Action{{Kind: actLaunch, Launch: s.launch}}
}

func (p Policy) ended(s State, e Event) (State, []Action) {
	stopping, healthy := s.Phase == api.EnvStopping, s.healthy
	if e.Error == nil || s.Phase == api.EnvDegraded && s.Error != nil {
		e.Error = s.Error // why the link went tells more than how the process ended after it
	}
	s.live, s.stuck, s.healthy = false, false, false
	switch {
	case !s.wanted:
		s = s.to(api.EnvOff, "", e.At)
		s.Error, s.Attempt = nil, 0
		return s, nil
	case stopping:
		s.Attempt, s.Error = 0, nil
		return p.launchNow(s, e)
	}
	s.Error = e.Error
	if healthy {
		s.Attempt = 0
	} else {
		s.exits++
	}
	limit := p.MaxExits
	if passes(e.Error) {
		limit = p.MaxWaits
	}
	if e.Definitive || s.exits >= limit {
		return s.to(api.EnvFailed, "", e.At), nil
	}
	d := p.Max
	if s.backoffs < 16 {
		d = min(p.Max, p.Base<<s.backoffs)
	}
	d -= time.Duration(float64(d) * e.Jitter / 5)
	s.backoffs++
	s = s.to(api.EnvBackoff, "", e.At)
	s.RetryAt = e.At.Add(d)
	return s, []Action{{Kind: actTimer, Launch: s.launch, Delay: d}}
}

// starting reports whether the launch is on its way up.
func (s State) starting() bool {
	return s.Phase == api.EnvResolving || s.Phase == api.EnvStaging || s.Phase == api.EnvStarting
}

func (s State) to(phase api.EnvironmentState, stage string, at time.Time) State {
	if s.Phase != phase || s.Stage != stage {
		s.Since = at
	}
	s.Phase, s.Stage = phase, stage
	if phase != api.EnvBackoff {
		s.RetryAt = time.Time{}
	}
	return s
}

// definitive reports whether trying again cannot help.
func definitive(e *api.Error) bool {
	if e == nil || e.Retryable {
		return false
	}
	switch e.Code {
	case api.CodeDistroNotFound, api.CodeDistroUtility, api.CodeDistroInvalid, api.CodeWSLMissing, api.CodeWSLNotInstalled,
		api.CodeWSLNoDistro, api.CodeWSLVirtualization, api.CodeStageFailed, api.CodeProtocolMismatch,
		api.CodeDatabaseNewer, api.CodeDatabaseCorrupt, api.CodeNotFound:
		return true
	}
	return false
}

// passes reports whether the cause is likely to go by itself within a minute: the
// backend of a desktop that was killed drains and holds the database for up to
// 5 s, and an update of WSL in the background makes wsl.exe fail for a while.
func passes(e *api.Error) bool {
	if e == nil {
		return false
	}
	switch e.Code {
	case api.CodeDatabaseOwned, api.CodeDistroBusy:
		return true
	case api.CodeWSLBroken, api.CodeWSLHung:
		return e.Retryable
	}
	return false
}

// gone reports whether WSL or the distro is not there, so that a wsl-only preference cannot be followed (W6.5).
func gone(e *api.Error) bool {
	if e == nil {
		return false
	}
	switch e.Code {
	case api.CodeDistroNotFound, api.CodeDistroUtility, api.CodeDistroInvalid, api.CodeWSLMissing, api.CodeWSLNotInstalled,
		api.CodeWSLNoDistro, api.CodeWSLVirtualization:
		return true
	}
	return false
}
