//go:build linux

package environment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
)

// W5.4: a cold VM takes its time; the change waits for it with a truthful
// display, comes up without a click, and local answers all the while.
// CATAMARAN_COLD_START=90s makes it as cold as it was seen in the field.
func TestColdStart(t *testing.T) {
	t.Parallel()
	cold := 3 * time.Second
	if v := os.Getenv("CATAMARAN_COLD_START"); v != "" {
		var err error
		if cold, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	}
	if defaultChangeTimeout < 150*time.Second || restoreBound < 10*time.Second {
		t.Errorf("a change gives up after %v; a cold start takes 90 s and more", defaultChangeTimeout)
	}
	m := wsltest.Scenario(t, wslsim.Scenario{Default: "Ubuntu", Distros: []wslsim.Distro{{Name: "Ubuntu", StartDelayMS: int(cold.Milliseconds())}}})
	o := wslOptions(t, m, "")
	o.ChangeTimeout = 0 // the default is what is tested
	b := lay(t, o, func(p *Pool) { p.patience = cold / 10 })
	b.state("local", api.EnvReady)
	began := time.Now()
	result := make(chan error, 1)
	go func() {
		_, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeBoth, Distro: "Ubuntu"})
		result <- err
	}()
	first := find(b.until("it wakes up", func(s api.Environments) bool {
		return strings.HasPrefix(find(s, "wsl:Ubuntu").Stage, wakingUp)
	}), "wsl:Ubuntu")
	waits := find(b.until("it says what it waits for", func(s api.Environments) bool {
		return strings.Contains(find(s, "wsl:Ubuntu").Stage, "waiting for WSL to wake up Ubuntu")
	}), "wsl:Ubuntu")
	if waits.Since != first.Since || waits.State != api.EnvStaging || waits.Attempt != 1 {
		t.Errorf("while it waits %+v, first %+v: it is the same wait", waits, first)
	}
	if body, err := b.get("local", "/whoami"); err != nil || !strings.Contains(body, "200 OK") {
		t.Errorf("local, meanwhile: %q, %v", body, err)
	}
	// b.until has a bound of its own, shorter than the coldest start.
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < cold {
		t.Errorf("ready after %v, before the machine was", took)
	}
	if e := b.state("wsl:Ubuntu", api.EnvReady); e.Attempt != 1 || e.Stage != "" {
		t.Errorf("%+v", e)
	}
}

// A distro that hangs for ever leaves the app fully usable on local, and can be left.
func TestHungDistroBesideLocal(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{Default: "Ubuntu", Distros: []wslsim.Distro{{Name: "Ubuntu", StartDelayMS: -1}}})
	o := wslOptions(t, m, `{"mode":"both","distro":"Ubuntu"}`)
	b := lay(t, o, func(p *Pool) { p.patience = 100 * time.Millisecond })
	b.state("local", api.EnvReady)
	b.until("it says what it waits for", func(s api.Environments) bool {
		return strings.Contains(find(s, "wsl:Ubuntu").Stage, "waiting for WSL")
	})
	if s := b.p.Snapshot(); s.Primary != "local" || s.Change != nil {
		t.Errorf("%+v", s)
	}
	if _, err := b.get("local", "/whoami"); err != nil {
		t.Error(err)
	}
	began := time.Now()
	if c, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeLocal, Distro: "Ubuntu"}); err != nil || c.Phase != api.PhaseDone {
		t.Errorf("%+v, %v", c, err)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("leaving it took %v", d)
	}
}

// W4.3: what a distro's backend says on stderr is in its log while it runs, clean.
func TestLogOfADistroIsLive(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{Faults: []wslsim.Fault{{ID: "n", On: wslsim.OnLaunch, Kind: wslsim.Noise, Text: "a \x1b[31mred\x1b[0m warning"}}})
	o := wslOptions(t, m, `{"mode":"wsl-only","distro":"Ubuntu"}`)
	b := lay(t, o, nil)
	b.state("wsl:Ubuntu", api.EnvReady)
	log, err := os.ReadFile(filepath.Join(o.LogDir, "backend-wsl_Ubuntu.log"))
	if err != nil || !strings.Contains(string(log), "fake backend") || !strings.Contains(string(log), "red") || strings.Contains(string(log), "\x1b") {
		t.Errorf("log %q, %v", log, err)
	}
}
