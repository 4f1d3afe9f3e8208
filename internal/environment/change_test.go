//go:build linux

package environment

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"catamaran/internal/api"
	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
)

// W6.1: however many ask at once, each gets its own answer, one of them wins, and there is never a second backend.
func TestManyChangesAtOnce(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	o := wslOptions(t, m, "")
	b := lay(t, o, nil)
	b.state("local", api.EnvReady)
	targets := []api.ModeConfig{
		{Mode: api.ModeBoth, Distro: "Ubuntu"}, {Mode: api.ModeWSLOnly, Distro: "Debian"}, {Mode: api.ModeWSLOnly}, {Mode: api.ModeLocal, Distro: "Ubuntu"},
	}
	var mu sync.Mutex
	var done []api.ModeConfig
	var callers sync.WaitGroup
	for i := range 12 {
		to := targets[i%len(targets)]
		callers.Go(func() {
			c, err := b.p.ChangeMode(t.Context(), to)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && c.Phase == api.PhaseDone && c.To == to:
				done = append(done, to)
			case api.CodeOf(err) == api.CodeConflict:
			case api.CodeOf(err) == api.CodeModeChangeFailed && c.RolledBack && strings.Contains(err.Error(), "newer"):
			default:
				t.Errorf("to %+v: %+v, %v", to, c, err)
			}
		})
	}
	callers.Wait()
	s := b.p.Snapshot()
	if !slices.Contains(done, s.Config) {
		t.Errorf("configuration %+v, answered as done: %+v", s.Config, done)
	}
	if len(s.Environments) != len(ids(s.Config)) {
		t.Errorf("%+v run for %+v", s.Environments, s.Config)
	}
	for _, h := range []string{o.LocalHome, home(m, "Ubuntu"), home(m, "Debian")} {
		if live := slices.DeleteFunc(pids(h), func(pid int) bool { return !alive(pid) }); len(live) > 1 {
			t.Errorf("backends %v in %s", live, h)
		}
	}
	if b, err := parseMode([]byte(modeBytes(t, o))); err != nil || b != s.Config {
		t.Errorf("file %+v, %v; want %+v", b, err, s.Config)
	}
}

// W6.3: a way back that fails, too, is told truthfully, and the next start completes it.
func TestRollBackFails(t *testing.T) {
	t.Parallel()
	const was = `{"mode":"local", "distro":"Debian"}`
	m := wsltest.Scenario(t, wslsim.Scenario{})
	o := wslOptions(t, m, was)
	behave(t, home(m, "Ubuntu"), "fail")
	path := filepath.Join(o.StateDir, modeFile)
	b := lay(t, o, func(p *Pool) {
		p.files.failpoint = func(point string) {
			if point == "rollback" {
				os.Remove(path)
				if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
					t.Error(err)
				}
			}
		}
	})
	b.state("local", api.EnvReady)
	c, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeBoth, Distro: "Ubuntu"})
	e := api.AsError(err)
	if e == nil || e.Code != api.CodeModeChangeFailed || c.RolledBack || !strings.Contains(e.Hint, "way back did not work") {
		t.Fatalf("%+v, %v", c, err)
	}
	if s := b.p.Snapshot(); s.Change == nil || s.Change.RolledBack || find(s, "local").State != api.EnvReady || s.Config.Mode != api.ModeLocal {
		t.Errorf("afterwards %+v", s)
	}
	b.quit()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if p, err := New(o); err != nil || p.Snapshot().Config != (api.ModeConfig{Mode: api.ModeLocal, Distro: "Debian"}) {
		t.Errorf("the next start: %+v, %v", p.Snapshot().Config, err)
	}
	if got := modeBytes(t, o); got != was {
		t.Errorf("file %q, want %q", got, was)
	}
}
