package environment

import (
	"testing"
	"time"

	"catamaran/internal/api"

	"pgregory.net/rapid"
)

// W5.1: whatever the order of events, there is never a second child, no start is lost, and there is a way back.
func TestMachineProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := policyNative
		s := State{Phase: api.EnvOff}
		now := time.UnixMilli(1)
		children := map[uint64]bool{} // launched and not ended
		timers := map[uint64]bool{}
		wanted := false
		apply := func(e Event) {
			now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
			e.At = now
			before := s
			var actions []Action
			s, actions = p.Step(s, e)
			for _, a := range actions {
				switch a.Kind {
				case actLaunch:
					if len(children) != 0 {
						t.Fatalf("launch %d while %v lives", a.Launch, children)
					}
					children[a.Launch] = true
				case actStop:
					if !children[a.Launch] {
						t.Fatalf("stop of %d, which does not live", a.Launch)
					}
				case actTimer:
					if a.Delay < p.Base*4/5 || a.Delay > p.Max {
						t.Fatalf("backoff of %v", a.Delay)
					}
					timers[a.Launch] = true
				}
			}
			if s.Since.Before(before.Since) || s.Phase != before.Phase && s.Since != now {
				t.Fatalf("since is %v after %+v at %v", s.Since, e, now)
			}
			if live := len(children) != 0; live != s.live {
				t.Fatalf("live is %v with children %v", s.live, children)
			}
			if idle := s.Phase == api.EnvOff || s.Phase == api.EnvFailed || s.Phase == api.EnvBackoff; idle == s.live {
				t.Fatalf("phase %s with live %v", s.Phase, s.live)
			}
			if s.Phase == api.EnvBackoff && (!timers[s.launch] || s.RetryAt.IsZero()) {
				t.Fatal("backoff without a timer")
			}
			if !wanted && (s.Phase == api.EnvBackoff || s.Phase == api.EnvFailed) {
				t.Fatalf("phase %s though it was stopped", s.Phase)
			}
			if wanted && s.Phase == api.EnvOff {
				t.Fatal("a start was lost")
			}
		}
		event := rapid.Custom(func(t *rapid.T) Event {
			kind := rapid.SampledFrom([]EventKind{evStart, evStop, evProgress, evNote, evReady, evLost, evEnded, evStuck, evTimer, evMend}).Draw(t, "kind")
			e := Event{Kind: kind, Launch: s.launch, Jitter: rapid.Float64Range(0, 0.999).Draw(t, "jitter")}
			if rapid.IntRange(0, 4).Draw(t, "late") == 0 && e.Launch > 0 {
				e.Launch--
			}
			switch kind {
			case evProgress:
				e.Phase = rapid.SampledFrom([]api.EnvironmentState{api.EnvResolving, api.EnvStaging, api.EnvStarting}).Draw(t, "phase")
			case evEnded:
				e.Error = &api.Error{Code: api.CodeBackendExited}
				e.Definitive = rapid.IntRange(0, 5).Draw(t, "definitive") == 0
			}
			return e
		})
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			e := event.Draw(t, "event")
			switch e.Kind {
			case evStart:
				wanted = true
			case evStop:
				wanted = false
			case evEnded:
				delete(children, e.Launch)
			case evTimer:
				if !timers[e.Launch] {
					continue
				}
				delete(timers, e.Launch)
				if s.Phase == api.EnvBackoff && e.Launch == s.launch {
					before := s.launch
					timers[e.Launch] = true // looked at by apply
					apply(e)
					delete(timers, e.Launch)
					if s.launch != before+1 {
						t.Fatal("the backoff's end did not launch")
					}
					continue
				}
			}
			apply(e)
		}
		// The way back: from anywhere a start, with the exit it may wait for, leads to a launch that can become ready.
		wanted = true
		apply(Event{Kind: evStart})
		if s.Phase == api.EnvStopping || s.Phase == api.EnvDegraded {
			delete(children, s.launch)
			apply(Event{Kind: evEnded, Launch: s.launch})
		}
		if s.Phase == api.EnvBackoff {
			delete(timers, 0)
			apply(Event{Kind: evTimer, Launch: s.launch})
		}
		apply(Event{Kind: evReady, Launch: s.launch})
		if s.Phase != api.EnvReady {
			t.Fatalf("no way back: %+v", s)
		}
	})
}

func TestMachineStories(t *testing.T) {
	t.Parallel()
	exited := &api.Error{Code: api.CodeBackendExited, Message: "exit 1"}
	type step struct {
		e     Event
		phase api.EnvironmentState
		act   ActionKind
		delay time.Duration
	}
	start, stop := Event{Kind: evStart}, Event{Kind: evStop}
	of := func(k EventKind, n uint64) Event { return Event{Kind: k, Launch: n, Error: exited} }
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"three exits before readiness park it; a user action starts from the base delay", []step{
			{start, api.EnvResolving, actLaunch, 0},
			{of(evEnded, 1), api.EnvBackoff, actTimer, 500 * time.Millisecond},
			{of(evTimer, 1), api.EnvResolving, actLaunch, 0},
			{of(evEnded, 2), api.EnvBackoff, actTimer, time.Second},
			{of(evTimer, 2), api.EnvResolving, actLaunch, 0},
			{of(evEnded, 3), api.EnvFailed, "", 0},
			{of(evTimer, 3), api.EnvFailed, "", 0},
			{start, api.EnvResolving, actLaunch, 0},
			{of(evEnded, 4), api.EnvBackoff, actTimer, 500 * time.Millisecond},
		}},
		{"only readiness resets the delay", []step{
			{start, api.EnvResolving, actLaunch, 0},
			{of(evEnded, 1), api.EnvBackoff, actTimer, 500 * time.Millisecond},
			{of(evTimer, 1), api.EnvResolving, actLaunch, 0},
			{Event{Kind: evProgress, Launch: 2, Phase: api.EnvStarting}, api.EnvStarting, "", 0},
			{of(evEnded, 2), api.EnvBackoff, actTimer, time.Second},
			{of(evTimer, 2), api.EnvResolving, actLaunch, 0},
			{of(evReady, 3), api.EnvReady, "", 0},
			{of(evEnded, 3), api.EnvBackoff, actTimer, 500 * time.Millisecond},
		}},
		{"a start during teardown runs after the exit", []step{
			{start, api.EnvResolving, actLaunch, 0},
			{of(evReady, 1), api.EnvReady, "", 0},
			{stop, api.EnvStopping, actStop, 0},
			{start, api.EnvStopping, "", 0},
			{of(evEnded, 1), api.EnvResolving, actLaunch, 0},
		}},
		{"a stop after that start wins", []step{
			{start, api.EnvResolving, actLaunch, 0},
			{stop, api.EnvStopping, actStop, 0},
			{start, api.EnvStopping, "", 0},
			{stop, api.EnvStopping, "", 0},
			{of(evEnded, 1), api.EnvOff, "", 0},
		}},
		{"a stop that times out keeps the slot occupied, and can be tried again", []step{
			{start, api.EnvResolving, actLaunch, 0},
			{stop, api.EnvStopping, actStop, 0},
			{of(evStuck, 1), api.EnvStopping, "", 0},
			{start, api.EnvStopping, actStop, 0},
			{of(evStuck, 1), api.EnvStopping, "", 0},
			{stop, api.EnvStopping, actStop, 0},
			{of(evEnded, 1), api.EnvOff, "", 0},
		}},
		{"late results of an earlier launch are dropped", []step{
			{start, api.EnvResolving, actLaunch, 0},
			{of(evEnded, 1), api.EnvBackoff, actTimer, 500 * time.Millisecond},
			{of(evTimer, 1), api.EnvResolving, actLaunch, 0},
			{of(evReady, 1), api.EnvResolving, "", 0},
			{of(evEnded, 1), api.EnvResolving, "", 0},
			{of(evReady, 2), api.EnvReady, "", 0},
			{of(evLost, 1), api.EnvReady, "", 0},
		}},
		{"a definitive failure parks at once, and a cause seen to be gone unparks", []step{
			{start, api.EnvResolving, actLaunch, 0},
			{Event{Kind: evEnded, Launch: 1, Error: exited, Definitive: true}, api.EnvFailed, "", 0},
			{Event{Kind: evMend}, api.EnvResolving, actLaunch, 0},
			{of(evReady, 2), api.EnvReady, "", 0},
			{Event{Kind: evMend}, api.EnvReady, "", 0},
		}},
		{"a lost link ends the process, then backs off", []step{
			{start, api.EnvResolving, actLaunch, 0},
			{of(evReady, 1), api.EnvReady, "", 0},
			{of(evLost, 1), api.EnvDegraded, actStop, 0},
			{of(evEnded, 1), api.EnvBackoff, actTimer, 500 * time.Millisecond},
			{stop, api.EnvOff, "", 0},
			{of(evTimer, 1), api.EnvOff, "", 0},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := State{Phase: api.EnvOff}
			for i, st := range tc.steps {
				var acts []Action
				s, acts = policyNative.Step(s, st.e)
				var act Action
				if len(acts) == 1 {
					act = acts[0]
				}
				if s.Phase != st.phase || act.Kind != st.act || act.Delay != st.delay || len(acts) > 1 {
					t.Fatalf("step %d (%s): phase %s, actions %v; want %s, %q %v", i, st.e.Kind, s.Phase, acts, st.phase, st.act, st.delay)
				}
			}
		})
	}
}

func TestBackoffBounds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		p    Policy
		max  time.Duration
	}{{"native", policyNative, 10 * time.Second}, {"wsl", policyWSL, 20 * time.Second}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := tc.p
			p.MaxExits = 1000
			s, _ := p.Step(State{Phase: api.EnvOff}, Event{Kind: evStart})
			want := 500 * time.Millisecond
			for range 40 {
				var a []Action
				s, a = p.Step(s, Event{Kind: evEnded, Launch: s.launch})
				if a[0].Delay != want {
					t.Fatalf("delay %v, want %v", a[0].Delay, want)
				}
				want = min(2*want, tc.max)
				s, _ = p.Step(s, Event{Kind: evTimer, Launch: s.launch})
			}
		})
	}
}

// What passes by itself is awaited longer than a backend that keeps exiting, and still with a bound.
func TestPatience(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		err  api.Error
		want int
	}{
		{"exits", api.Error{Code: api.CodeBackendExited, Retryable: true}, 3},
		{"the last desktop's backend still drains", api.Error{Code: api.CodeDatabaseOwned}, 8},
		{"WSL is being updated", api.Error{Code: api.CodeWSLBroken, Retryable: true}, 8},
		{"WSL is broken for good", api.Error{Code: api.CodeWSLBroken}, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, _ := policyWSL.Step(State{Phase: api.EnvOff}, Event{Kind: evStart})
			n := 0
			var total time.Duration
			for s.Phase != api.EnvFailed {
				n++
				var a []Action
				s, a = policyWSL.Step(s, Event{Kind: evEnded, Launch: s.launch, Error: &tc.err})
				if len(a) == 1 {
					total += a[0].Delay
					s, _ = policyWSL.Step(s, Event{Kind: evTimer, Launch: s.launch})
				}
			}
			if n != tc.want || total > time.Minute {
				t.Errorf("parked after %d attempts and %v, want %d attempts", n, total, tc.want)
			}
		})
	}
}
