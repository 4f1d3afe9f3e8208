//go:build linux

package chaos

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"catamaran/internal/api"
)

// modeFile reads the desktop's configuration, "" when there is none.
func (w *world) modeFile(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(w.state(), "desktop", "mode.json"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

func (w *world) pending() bool {
	_, err := os.Stat(filepath.Join(w.state(), "desktop", "mode.pending.json"))
	return err == nil
}

// W6.3: kill -9 of the real desktop at any instant of a mode change; its next
// start has the last confirmed configuration, byte for byte. The instants that
// matter to the files have tests of their own in package environment; these are
// random ones. CATAMARAN_CRASHES=1000 makes it long.
func TestKilledWhileItChanges(t *testing.T) {
	crashes := 12
	if v := os.Getenv("CATAMARAN_CRASHES"); v != "" {
		var err error
		if crashes, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t)
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	targets := []api.ModeConfig{
		{Mode: api.ModeBoth, Distro: "Ubuntu"}, {Mode: api.ModeWSLOnly, Distro: "Debian"}, {Mode: api.ModeLocal, Distro: "Ubuntu"},
		{Mode: api.ModeWSLOnly}, {Mode: api.ModeBoth, Distro: "Debian", Primary: "wsl:Debian"}, {Mode: api.ModeLocal},
	}
	outcomes := map[string]int{}
	for i := range crashes {
		before, file := w.settled(t), w.modeFile(t)
		to := targets[rand.IntN(len(targets))]
		answered := make(chan error, 1)
		go func() { answered <- w.call(time.Minute, "", api.MethodModeChange, to, nil) }()
		// A warm change takes some 200 ms here; every tenth kill comes after it.
		time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
		w.cmd.Process.Signal(syscall.SIGKILL)
		<-w.ended
		err := <-answered
		journal := w.pending()
		if err := w.start(); err != nil {
			t.Fatalf("crash %d: the next start: %v; %s", i, err, w.err)
		}
		s, nerr := w.now()
		if nerr != nil {
			t.Fatal(nerr)
		}
		after := w.modeFile(t)
		switch {
		case w.pending():
			t.Fatalf("crash %d: the journal is still there", i)
		case s.Notice != nil && s.Notice.Code == api.CodeInvalid:
			t.Fatalf("crash %d: the configuration was not understood: %+v", i, s.Notice)
		case journal || s.Config == before && after == file:
			if s.Config != before || after != file {
				t.Fatalf("crash %d in a change that was not confirmed: %+v, file %q; want %+v, %q", i, s.Config, after, before, file)
			}
			if err == nil && to != before {
				t.Fatalf("crash %d: the change to %+v was answered as done, and is lost", i, to)
			}
			outcomes["as before"]++
		case s.Config == to:
			var m api.ModeConfig
			if err := json.Unmarshal([]byte(after), &m); err != nil || m != to {
				t.Fatalf("crash %d: file %q, want %+v (%v)", i, after, to, err)
			}
			outcomes["as asked for"]++
		default:
			t.Fatalf("crash %d: %+v, want %+v or %+v", i, s.Config, before, to)
		}
	}
	t.Logf("%d crashes: %v", crashes, outcomes)
}

// settled waits until the configuration runs, so that the next change begins from there.
func (w *world) settled(t *testing.T) api.ModeConfig {
	t.Helper()
	for end := time.Now().Add(settleBound); ; {
		s, err := w.now()
		if err != nil {
			t.Fatal(err)
		}
		up := 0
		for _, e := range s.Environments {
			if e.State == api.EnvReady {
				up++
			}
		}
		if up >= len(wanted(s.Config)) {
			return s.Config
		}
		if time.Now().After(end) {
			t.Fatalf("not up after %v: %s", settleBound, describe(s))
		}
		time.Sleep(20 * time.Millisecond)
	}
}
