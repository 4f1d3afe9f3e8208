//go:build linux

package environment

import (
	"os"
	"strings"
	"testing"

	"catamaran/internal/api"
	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
)

// W8.1: a distro that is picked while WSL is off is kept and has no other effect.
func TestStagedChoice(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	o := wslOptions(t, m, "")
	b := lay(t, o, nil)
	before := b.state("local", api.EnvReady)
	for _, c := range []struct{ pick, kept string }{{"debian", "Debian"}, {"Ubuntu", "Ubuntu"}, {"", ""}} {
		change, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeLocal, Distro: c.pick})
		if err != nil || change.Phase != api.PhaseDone {
			t.Fatalf("pick %q: %+v, %v", c.pick, change, err)
		}
		s := b.p.Snapshot()
		if s.Config != (api.ModeConfig{Mode: api.ModeLocal, Distro: c.kept}) || s.Change != nil || !onlyLocal(s) || s.Environments[0].PID != before.PID {
			t.Errorf("after picking %q: %+v", c.pick, s)
		}
		if got := modeBytes(t, o); strings.Contains(got, "distro") != (c.kept != "") || !strings.Contains(got, c.kept) {
			t.Errorf("after picking %q the file is %s", c.pick, got)
		}
		if m.Running("Ubuntu") || m.Running("Debian") {
			t.Errorf("picking %q started a distro", c.pick)
		}
	}
	if _, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeLocal, Distro: "Gone"}); api.CodeOf(err) != api.CodeDistroNotFound {
		t.Errorf("a distro that is not there: %v", err)
	}
	// A disk that takes no file: the choice is what it was.
	if err := os.Mkdir(o.StateDir+"/"+pendingFile+tempSuffix, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeLocal, Distro: "Debian"}); api.CodeOf(err) != api.CodeModeChangeFailed {
		t.Errorf("a choice that cannot be saved: %v", err)
	}
	if s := b.p.Snapshot(); s.Config.Distro != "" || s.Environments[0].State != api.EnvReady {
		t.Errorf("after a choice that was not saved: %+v", s)
	}
}

// W5.4: a start that hangs says since when over all its stages, its log can be
// read, and a restart of WSL that a person asks for brings it up.
func TestRestartWSL(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	m.SetFault(wslsim.Fault{ID: "hang", On: wslsim.OnStart, Distro: "Debian", Kind: wslsim.Hang})
	o := wslOptions(t, m, `{"mode":"both","distro":"Debian"}`)
	b := lay(t, o, nil)
	b.state("local", api.EnvReady)
	hung := b.until("waking up Debian", func(s api.Environments) bool { return strings.Contains(find(s, "wsl:Debian").Stage, "waking") })
	e := find(hung, "wsl:Debian")
	if e.Begun == 0 || e.Begun > e.Since || find(hung, "local").Begun != 0 {
		t.Errorf("begun %d, since %d, local %d", e.Begun, e.Since, find(hung, "local").Begun)
	}
	if l, err := b.p.Log("wsl:Debian"); err != nil || !strings.HasSuffix(l.Path, "backend-wsl_Debian.log") {
		t.Errorf("log %+v, %v", l, err)
	}
	if _, err := b.p.Log("wsl:Nobody"); api.CodeOf(err) != api.CodeEnvironmentUnknown {
		t.Errorf("log of nobody: %v", err)
	}
	m.ClearFault("hang")
	if err := b.p.RestartWSL(t.Context()); err != nil {
		t.Fatal(err)
	}
	up := b.state("wsl:Debian", api.EnvReady)
	if up.Begun != 0 {
		t.Errorf("ready, and yet awaited since %d", up.Begun)
	}
	// One that is up comes back as another process.
	if err := b.p.RestartWSL(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.until("a new process", func(s api.Environments) bool {
		e := find(s, "wsl:Debian")
		return e.State == api.EnvReady && e.PID != up.PID
	})
	p := b.p
	p.slot <- struct{}{}
	if err := p.RestartWSL(t.Context()); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("during a mode change: %v", err)
	}
	<-p.slot
	if err := os.WriteFile(logPath(o.LogDir, "wsl:Debian"), []byte(strings.Repeat("x\n", api.MaxLogText)), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := p.Log("wsl:Debian"); err != nil || !l.Truncated || len(l.Text) != api.MaxLogText {
		t.Errorf("a long log: %d bytes, truncated %v, %v", len(l.Text), l.Truncated, err)
	}
}
