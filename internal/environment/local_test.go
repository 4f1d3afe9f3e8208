//go:build linux

package environment

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
)

func TestNativeBackendUpAndDown(t *testing.T) {
	t.Parallel()
	o := localOptions(t, t.TempDir())
	o.Forward = func() (map[string]string, []string) { return map[string]string{"EXAMPLE_API_KEY": "sk-forwarded"}, nil }
	behave(t, o.LocalHome, "slow")
	b := lay(t, o, nil)
	e := b.state("local", api.EnvReady)
	if e.EnvironmentID != fakeID(o.LocalHome) || e.Version != "1.2.3" || e.PID == 0 || e.Attempt != 1 || e.Error != nil || e.Name != "This computer" {
		t.Errorf("ready environment %+v", e)
	}
	body, err := b.get("local", "/whoami")
	if err != nil || !strings.Contains(body, "sk-forwarded") || !strings.Contains(body, o.LocalHome) {
		t.Errorf("answer over Dial: %q, %v", body, err)
	}
	if _, err := b.p.Dial(t.Context(), "wsl:Nowhere"); api.CodeOf(err) != api.CodeEnvironmentUnknown {
		t.Errorf("dial of an unknown environment: %v", err)
	}
	if _, err := b.p.Stop(t.Context(), "local"); err != nil {
		t.Fatal(err)
	}
	b.state("local", api.EnvOff)
	noOrphan(t, o.LocalHome)
	if _, err := b.p.Dial(t.Context(), "local"); api.CodeOf(err) != api.CodeEnvironmentDown {
		t.Errorf("dial of a stopped environment: %v", err)
	}
	if _, err := b.p.Start(t.Context(), "local"); err != nil {
		t.Fatal(err)
	}
	again := b.state("local", api.EnvReady)
	if again.PID == e.PID || again.EnvironmentID != e.EnvironmentID {
		t.Errorf("after a restart %+v", again)
	}
	b.quit()
	noOrphan(t, o.LocalHome)
	log, err := os.ReadFile(filepath.Join(o.LogDir, "backend-local.log"))
	if err != nil || !strings.Contains(string(log), "fake backend") {
		t.Errorf("log %q, %v", log, err)
	}
	if strings.Contains(string(log), "sk-forwarded") {
		t.Error("a forwarded variable is in the log")
	}
}

// W5.5: what cannot get better parks at once, the rest after three exits before readiness.
func TestFailures(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, behaviour string
		code            api.Code
		message         string
		starts          int
	}{
		{"exits before the hello", "exit", api.CodeBackendExited, "exit code 3", 3},
		{"other id than the hello's", "other-id", api.CodeProtocolMismatch, "environment id", 3},
		{"says it failed", "fail", api.CodeDatabaseCorrupt, "damaged", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := localOptions(t, t.TempDir())
			behave(t, o.LocalHome, tc.behaviour)
			b := lay(t, o, nil)
			e := b.state("local", api.EnvFailed)
			if e.Error == nil || e.Error.Code != tc.code || !strings.Contains(e.Error.Message, tc.message) || e.Error.Hint == "" {
				t.Errorf("error %+v, want %s with %q", e.Error, tc.code, tc.message)
			}
			if n := len(pids(o.LocalHome)); n != tc.starts || e.Attempt != tc.starts {
				t.Errorf("%d starts, attempt %d; want %d", n, e.Attempt, tc.starts)
			}
			if tc.behaviour == "exit" && !strings.Contains(e.Error.Details, "cannot go on: example") {
				t.Errorf("details %q, want the end of stderr", e.Error.Details)
			}
			noOrphan(t, o.LocalHome)
			// Parked is left by a user action.
			behave(t, o.LocalHome, "")
			if _, err := b.p.Start(t.Context(), "local"); err != nil {
				t.Fatal(err)
			}
			b.state("local", api.EnvReady)
		})
	}
}

// A refusal in the hello is shown at once and tried again: its cause passes.
func TestRefusalIsShown(t *testing.T) {
	t.Parallel()
	o := localOptions(t, t.TempDir())
	behave(t, o.LocalHome, "refuse")
	b := lay(t, o, nil)
	if e := b.state("local", api.EnvBackoff); e.Error == nil || e.Error.Code != api.CodeDatabaseOwned {
		t.Errorf("%+v", e.Error)
	}
	behave(t, o.LocalHome, "")
	b.state("local", api.EnvReady)
}

func TestMissingProgram(t *testing.T) {
	t.Parallel()
	o := localOptions(t, t.TempDir())
	o.LocalBackend = filepath.Join(t.TempDir(), "gone")
	b := lay(t, o, nil)
	if e := b.state("local", api.EnvFailed); e.Error.Code != api.CodeNotFound || e.Attempt != 1 {
		t.Errorf("%+v %+v", e, e.Error)
	}
}

// W5.3, W5.7: an exit of a running backend is explained and it starts again from the base delay.
func TestCrashIsExplainedAndRestarted(t *testing.T) {
	t.Parallel()
	o := localOptions(t, t.TempDir())
	b := lay(t, o, nil)
	first := b.state("local", api.EnvReady)
	b.get("local", "/crash")
	back := b.until("backoff", func(s api.Environments) bool { return find(s, "local").State == api.EnvBackoff })
	if e := find(back, "local"); e.Error == nil || !strings.Contains(e.Error.Message, "exit code 7 while it was running") || e.RetryAt == 0 {
		t.Errorf("backoff %+v, %+v", e, e.Error)
	}
	if second := b.state("local", api.EnvReady); second.PID == first.PID || second.Error != nil {
		t.Errorf("after the crash %+v", second)
	}
}

// A backend that is frozen loses its link and is ended by the ladder.
func TestStopOfADeafBackend(t *testing.T) {
	t.Parallel()
	o := localOptions(t, t.TempDir())
	behave(t, o.LocalHome, "deaf")
	b := lay(t, o, nil)
	b.state("local", api.EnvReady)
	began := time.Now()
	b.quit()
	if d := time.Since(began); d > time.Second {
		t.Errorf("quit took %v with a backend that ignores everything", d)
	}
	noOrphan(t, o.LocalHome)
}

// W5.8: a clean quit takes under a second, whatever hangs.
func TestQuitIsQuick(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, behaviour string
		freeze          bool
		state           api.EnvironmentState
	}{
		{"healthy", "", false, api.EnvReady},
		{"no hello", "mute deaf", false, api.EnvStarting},
		{"never ready", "never", false, api.EnvStarting},
		{"frozen", "", true, api.EnvReady},
		{"backing off", "exit", false, api.EnvBackoff},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := localOptions(t, t.TempDir())
			behave(t, o.LocalHome, tc.behaviour)
			b := lay(t, o, nil)
			b.state("local", tc.state)
			if tc.freeze {
				syscall.Kill(pids(o.LocalHome)[0], syscall.SIGSTOP)
			}
			began := time.Now()
			b.quit()
			if d := time.Since(began); d > time.Second {
				t.Errorf("quit took %v", d)
			}
			noOrphan(t, o.LocalHome)
		})
	}
}

// W5.2: a start during teardown is not lost, and never makes a second child.
func TestStartDuringStop(t *testing.T) {
	t.Parallel()
	o := localOptions(t, t.TempDir())
	b := lay(t, o, nil)
	first := b.state("local", api.EnvReady)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if i%2 == 0 {
				b.p.Stop(t.Context(), "local")
			}
			b.p.Start(t.Context(), "local")
		})
	}
	wg.Wait()
	b.p.Stop(t.Context(), "local")
	b.p.Start(t.Context(), "local")
	e := b.until("ready again", func(s api.Environments) bool {
		e := find(s, "local")
		return e.State == api.EnvReady && e.PID != first.PID
	})
	n := 0
	for _, pid := range pids(o.LocalHome) {
		if alive(pid) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d backends are alive, want 1: %+v", n, e)
	}
}

// W7.2: one exchange for all callers, one renewal after a 401, a restart when that is refused.
func TestToken(t *testing.T) {
	t.Parallel()
	o := localOptions(t, t.TempDir())
	b := lay(t, o, nil)
	b.state("local", api.EnvReady)
	shared := func() string {
		tokens := make([]string, 10)
		var wg sync.WaitGroup
		for i := range tokens {
			wg.Go(func() {
				tok, err := b.p.Token(t.Context(), "local")
				if err != nil {
					t.Error(err)
				}
				tokens[i] = tok
			})
		}
		wg.Wait()
		for _, tok := range tokens {
			if tok != tokens[0] || tok == "" {
				t.Fatalf("tokens %v", tokens)
			}
		}
		return tokens[0]
	}
	first := shared()
	b.p.Refused("local", "some other token")
	if tok := shared(); tok != first {
		t.Errorf("a refusal of another token dropped this one: %s", tok)
	}
	// Two renewals must be some seconds apart; the first one is not held up by the exchange's age here.
	c, err := b.p.live("local")
	if err != nil {
		t.Fatal(err)
	}
	age := func() {
		c.mu.Lock()
		c.renewed = c.renewed.Add(-renewPause)
		c.mu.Unlock()
	}
	age()
	b.p.Refused("local", first)
	second := shared()
	if second == first || !strings.HasSuffix(second, "-1-1") {
		t.Errorf("after a refusal: %s, want the first renewal", second)
	}
	b.p.Refused("local", second)
	if _, err := b.p.Token(t.Context(), "local"); api.CodeOf(err) != api.CodeUnauthorized {
		t.Errorf("a backend that refuses everything is asked again at once: %v", err)
	}
	// A caller that gives up does not take the others with it.
	age()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	b.p.Token(gone, "local")
	if tok := shared(); tok == second {
		t.Error("the refused token was handed out again")
	}
}

func TestRefusedRenewalRestarts(t *testing.T) {
	t.Parallel()
	o := localOptions(t, t.TempDir())
	behave(t, o.LocalHome, "no-renew")
	b := lay(t, o, nil)
	first := b.state("local", api.EnvReady)
	tok, err := b.p.Token(t.Context(), "local")
	if err != nil {
		t.Fatal(err)
	}
	c, _ := b.p.live("local")
	c.mu.Lock()
	c.renewed = c.renewed.Add(-renewPause)
	c.mu.Unlock()
	b.p.Refused("local", tok)
	if _, err := b.p.Token(t.Context(), "local"); err == nil {
		t.Error("no error though the renewal was refused")
	}
	b.until("restarted", func(s api.Environments) bool {
		e := find(s, "local")
		return e.State == api.EnvReady && e.PID != first.PID
	})
	if again, err := b.p.Token(t.Context(), "local"); err != nil || again == tok {
		t.Errorf("token after the restart %q, %v", again, err)
	}
	noOrphanBut(t, o.LocalHome, 1)
}

func noOrphanBut(t *testing.T, home string, want int) {
	t.Helper()
	n := 0
	for _, pid := range pids(home) {
		if alive(pid) {
			n++
		}
	}
	if n != want {
		t.Errorf("%d backends are alive, want %d", n, want)
	}
}

func TestWatchCoalesces(t *testing.T) {
	t.Parallel()
	o := localOptions(t, t.TempDir())
	b := lay(t, o, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var last api.Environments
	b.p.Watch(ctx, func(s api.Environments) {
		last = s
		if find(s, "local").State == api.EnvReady {
			cancel()
		}
	})
	if find(last, "local").State != api.EnvReady {
		t.Errorf("last state seen %+v", last)
	}
	j, err := json.Marshal(last)
	if err != nil || !strings.Contains(string(j), `"distros":[]`) {
		t.Errorf("%s, %v: lists must not be null", j, err)
	}
}

// A folder that cannot be written to fails the change and keeps what is there.
func TestModeCannotBeSaved(t *testing.T) {
	t.Parallel()
	const before = `{"mode":"local"}`
	for _, blocked := range []string{pendingFile, modeFile} {
		t.Run(blocked, func(t *testing.T) {
			t.Parallel()
			m := wsltest.Scenario(t, wslsim.Scenario{})
			o := wslOptions(t, m, before)
			if err := os.Mkdir(filepath.Join(o.StateDir, blocked+tempSuffix), 0o700); err != nil {
				t.Fatal(err)
			}
			b := lay(t, o, nil)
			b.state("local", api.EnvReady)
			c, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeBoth})
			if api.CodeOf(err) != api.CodeModeChangeFailed || c.FailedStep != "save the mode" || !c.RolledBack {
				t.Errorf("%+v, %v", c, err)
			}
			if got := modeBytes(t, o); got != before {
				t.Errorf("file %q", got)
			}
			if len(pids(home(m, "Ubuntu"))) != 0 {
				t.Error("something was started")
			}
		})
	}
}
