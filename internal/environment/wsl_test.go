//go:build linux

package environment

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/stage"
	"catamaran/internal/wsl"
	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
)

// These tests run against the simulated wsl.exe; what they show is "passes against a simulator".

// carried makes a backend to carry: a script that becomes the test binary's
// backend role, so that its digest can be what it likes.
func carried(t testing.TB) *stage.Carried {
	t.Helper()
	c, err := stage.Load(writeCarried(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func writeCarried(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, arch := range []string{"amd64", "arm64"} {
		text := "#!/bin/sh\n# " + arch + strings.Repeat(" padding", 40<<10) + "\n" +
			"case $1 in version) exit 0 ;; esac\n" +
			"FAKE_BACKEND_FILE=$0 GORACE=atexit_sleep_ms=0 exec '" + exe + "' \"$@\"\n"
		if err := os.WriteFile(filepath.Join(dir, stage.FilePrefix+arch), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// wslOptions are a native backend and a simulated machine.
func wslOptions(t testing.TB, m *wsltest.Machine, mode string) Options {
	t.Helper()
	o := localOptions(t, t.TempDir())
	o.WSL = wsl.New(wsl.Options{Exe: m.Exe})
	o.Carried = carried(t)
	if mode != "" {
		if err := os.MkdirAll(o.StateDir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(o.StateDir, modeFile), []byte(mode), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func home(m *wsltest.Machine, distro string) string {
	return filepath.Join(m.Home(distro), ".catamaran")
}

func onlyLocal(s api.Environments) bool {
	return len(s.Environments) == 1 && s.Environments[0].ID == "local"
}

func modeBytes(t *testing.T, o Options) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(o.StateDir, modeFile))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(o.StateDir, pendingFile)); err == nil {
		t.Error("the journal was left behind")
	}
	return string(b)
}

// W6: local -> wsl-only -> both -> local, each side's backend with its own home and id.
func TestModesThereAndBack(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	o := wslOptions(t, m, "")
	b := lay(t, o, nil)
	b.state("local", api.EnvReady)
	seen := b.until("discovery", func(s api.Environments) bool { return len(s.WSL.Distros) == 2 })
	if !seen.WSL.Available || seen.WSL.Default != "Ubuntu" {
		t.Errorf("discovery %+v", seen.WSL)
	}

	steps := []struct {
		to      api.ModeConfig
		run     []string
		primary string
		file    string
	}{
		{api.ModeConfig{Mode: api.ModeWSLOnly}, []string{"wsl:default"}, "wsl:default", `"mode": "wsl-only"`},
		{api.ModeConfig{Mode: api.ModeBoth, Distro: "debian"}, []string{"local", "wsl:Debian"}, "local", `"distro": "Debian"`},
		{api.ModeConfig{Mode: api.ModeBoth, Distro: "Ubuntu", Primary: "wsl:Ubuntu"}, []string{"local", "wsl:Ubuntu"}, "wsl:Ubuntu", `"primary": "wsl:Ubuntu"`},
		{api.ModeConfig{Mode: api.ModeLocal, Distro: "Ubuntu"}, []string{"local"}, "local", `"mode": "local"`},
	}
	for _, st := range steps {
		began := time.Now()
		c, err := b.p.ChangeMode(t.Context(), st.to)
		if err != nil || c.Phase != api.PhaseDone || c.EndedAt == 0 {
			t.Fatalf("change to %+v: %+v, %v", st.to, c, err)
		}
		t.Logf("change to %+v took %v", st.to, time.Since(began))
		s := b.p.Snapshot()
		var run []string
		for _, e := range s.Environments {
			if e.State != api.EnvReady {
				t.Errorf("%s is %s", e.ID, e.State)
			}
			run = append(run, e.ID)
		}
		if !slices.Equal(run, st.run) || s.Primary != st.primary || s.Change != nil {
			t.Errorf("after the change to %+v: %v, primary %s, change %+v", st.to, run, s.Primary, s.Change)
		}
		if got := modeBytes(t, o); !strings.Contains(got, st.file) {
			t.Errorf("file %s, want %s", got, st.file)
		}
		for _, id := range st.run {
			if _, err := b.get(id, "/whoami"); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
	noOrphan(t, home(m, "Ubuntu"))
	noOrphan(t, home(m, "Debian"))
	// Unchanged is a no-op.
	before := len(pids(o.LocalHome))
	if c, err := b.p.ChangeMode(t.Context(), steps[3].to); err != nil || c.Phase != api.PhaseDone {
		t.Errorf("%+v, %v", c, err)
	}
	if len(pids(o.LocalHome)) != before {
		t.Error("an unchanged mode started something")
	}
	// The next desktop comes up in the same mode.
	b.quit()
	noOrphan(t, o.LocalHome)
	p, err := New(o)
	if err != nil || p.Snapshot().Config != steps[3].to {
		t.Errorf("read back %+v, %v", p.Snapshot().Config, err)
	}
}

// The default distro under two names is one database: it is handed over.
func TestHandOverWithinADistro(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	o := wslOptions(t, m, `{"mode":"wsl-only"}`)
	b := lay(t, o, nil)
	e := b.state("wsl:default", api.EnvReady)
	if e.Distro != "Ubuntu" || e.Name != "Ubuntu (WSL)" {
		t.Errorf("the running distro is not told: %+v", e)
	}
	if _, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeWSLOnly, Distro: "Ubuntu"}); err != nil {
		t.Fatal(err)
	}
	all := pids(home(m, "Ubuntu"))
	if len(all) != 2 || alive(all[0]) || !alive(all[1]) {
		t.Errorf("backends %v: want the first gone and the second alive", all)
	}
	// And back when the new name cannot start.
	behave(t, home(m, "Ubuntu"), "fail-as-wsl:default")
	c, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeWSLOnly})
	if api.CodeOf(err) != api.CodeModeChangeFailed || !c.RolledBack {
		t.Fatalf("%+v, %v", c, err)
	}
	if s := b.p.Snapshot(); find(s, "wsl:Ubuntu").State != api.EnvReady || len(s.Environments) != 1 {
		t.Errorf("after the way back %+v", s.Environments)
	}
	// When the way back fails, too, that is said, and soon.
	behave(t, home(m, "Ubuntu"), "fail")
	began := time.Now()
	c, err = b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeWSLOnly})
	if api.CodeOf(err) != api.CodeModeChangeFailed || c.RolledBack || !strings.Contains(api.AsError(err).Hint, "way back") {
		t.Errorf("%+v, %v", c, err)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("it took %v", d)
	}
	behave(t, home(m, "Ubuntu"), "")
	b.p.Start(t.Context(), "wsl:Ubuntu")
	b.state("wsl:Ubuntu", api.EnvReady)
}

// W6.3: whatever fails, file and runtime are as before, and the step is named.
func TestRollBack(t *testing.T) {
	t.Parallel()
	const staged = "{\n \"mode\":\"local\",\n \"distro\":\"Debian\"}" // not our own spacing: it must survive byte for byte
	for _, tc := range []struct {
		name     string
		scenario wslsim.Scenario
		from     string
		prepare  func(t *testing.T, m *wsltest.Machine, o *Options)
		to       api.ModeConfig
		step     string
		code     api.Code
		rejected bool
	}{
		{name: "no such distro", from: staged, to: api.ModeConfig{Mode: api.ModeWSLOnly, Distro: "Fedora"}, code: api.CodeDistroNotFound, rejected: true},
		{name: "utility distro", scenario: wslsim.Scenario{Default: "Ubuntu", Distros: append(wslsim.Two().Distros, wslsim.Distro{Name: "docker-desktop"})}, from: staged,
			to: api.ModeConfig{Mode: api.ModeBoth, Distro: "docker-desktop"}, code: api.CodeDistroUtility, rejected: true},
		{name: "no such mode", from: staged, to: api.ModeConfig{Mode: "cloud"}, code: api.CodeInvalid, rejected: true},
		{name: "primary that does not run", from: staged, to: api.ModeConfig{Mode: api.ModeWSLOnly, Primary: "local"}, code: api.CodeInvalid, rejected: true},
		{name: "exits", from: staged, to: api.ModeConfig{Mode: api.ModeWSLOnly, Distro: "Ubuntu"}, step: "start wsl:Ubuntu", code: api.CodeBackendExited,
			prepare: func(t *testing.T, m *wsltest.Machine, o *Options) { behave(t, home(m, "Ubuntu"), "exit") }},
		{name: "exits, nothing saved before", from: "", to: api.ModeConfig{Mode: api.ModeBoth}, step: "start wsl:default", code: api.CodeBackendExited,
			prepare: func(t *testing.T, m *wsltest.Machine, o *Options) { behave(t, home(m, "Ubuntu"), "exit") }},
		{name: "never ready", from: staged, to: api.ModeConfig{Mode: api.ModeWSLOnly, Distro: "Ubuntu"}, step: "start wsl:Ubuntu", code: api.CodeTimeout,
			prepare: func(t *testing.T, m *wsltest.Machine, o *Options) {
				behave(t, home(m, "Ubuntu"), "never")
				o.ChangeTimeout = 2 * time.Second
			}},
		{name: "start of the distro hangs", scenario: wslsim.Scenario{Default: "Ubuntu", Distros: []wslsim.Distro{{Name: "Ubuntu", StartDelayMS: -1}}}, from: staged,
			to: api.ModeConfig{Mode: api.ModeWSLOnly, Distro: "Ubuntu"}, step: "start wsl:Ubuntu", code: api.CodeTimeout,
			prepare: func(t *testing.T, m *wsltest.Machine, o *Options) { o.ChangeTimeout = time.Second }},
		{name: "staging fails", from: staged, to: api.ModeConfig{Mode: api.ModeWSLOnly, Distro: "Ubuntu"}, step: "start wsl:Ubuntu", code: api.CodeStageFailed,
			prepare: func(t *testing.T, m *wsltest.Machine, o *Options) {
				if err := os.WriteFile(home(m, "Ubuntu"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}},
		{name: "sign-in refused", from: staged, to: api.ModeConfig{Mode: api.ModeWSLOnly, Distro: "Ubuntu"}, step: "sign in to wsl:Ubuntu", code: api.CodeUnauthorized,
			prepare: func(t *testing.T, m *wsltest.Machine, o *Options) { behave(t, home(m, "Ubuntu"), "no-sign-in") }},
		{name: "symmetrical: WSL to local", from: `{"mode":"wsl-only","distro":"Ubuntu"}`, to: api.ModeConfig{Mode: api.ModeLocal, Distro: "Ubuntu"}, step: "start local", code: api.CodeBackendExited,
			prepare: func(t *testing.T, m *wsltest.Machine, o *Options) { behave(t, o.LocalHome, "exit") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := wsltest.Scenario(t, tc.scenario)
			o := wslOptions(t, m, tc.from)
			if tc.prepare != nil {
				tc.prepare(t, m, &o)
			}
			b := lay(t, o, nil)
			was := b.p.Snapshot()
			runs := b.state(was.Primary, api.EnvReady)
			c, err := b.p.ChangeMode(t.Context(), tc.to)
			e := api.AsError(err)
			if e == nil || e.Hint == "" {
				t.Fatalf("error %v, want one with a hint", err)
			}
			if tc.rejected {
				if e.Code != tc.code || c.ID != "" || b.p.Snapshot().Change != nil {
					t.Errorf("rejected with %s %q, change %+v; want %s before anything changes", e.Code, e.Message, c, tc.code)
				}
			} else if e.Code != api.CodeModeChangeFailed || c.Phase != api.PhaseChangeFailed || c.FailedStep != tc.step || !c.RolledBack || c.Error == nil || c.Error.Code != tc.code {
				t.Errorf("change %+v with error %+v (%v); want step %q, code %s", c, c.Error, err, tc.step, tc.code)
			}
			if got := modeBytes(t, o); got != tc.from {
				t.Errorf("file %q, want %q", got, tc.from)
			}
			now := b.p.Snapshot()
			if len(now.Environments) != 1 || find(now, was.Primary).PID != runs.PID || now.Primary != was.Primary || now.Config != was.Config {
				t.Errorf("runtime afterwards %+v, want the same process as before", now.Environments)
			}
			if !tc.rejected {
				if now.Change == nil || now.Change.FailedStep != tc.step {
					t.Errorf("the failed change is not shown: %+v", now.Change)
				}
				b.p.Dismiss()
				if b.p.Snapshot().Change != nil {
					t.Error("it cannot be dismissed")
				}
			}
			target := home(m, "Ubuntu")
			if tc.to.Mode == api.ModeLocal {
				target = o.LocalHome
			}
			noOrphan(t, target)
		})
	}
}

func TestCancelAndSupersede(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	o := wslOptions(t, m, "")
	behave(t, home(m, "Ubuntu"), "never")
	b := lay(t, o, nil)
	b.state("local", api.EnvReady)
	result := make(chan error, 1)
	change := func(to api.ModeConfig) {
		go func() {
			_, err := b.p.ChangeMode(t.Context(), to)
			result <- err
		}()
		b.until("the change starts the target", func(s api.Environments) bool {
			return s.Change != nil && s.Change.Phase == api.PhaseStartingTarget && find(s, "wsl:Ubuntu").State == api.EnvStarting
		})
	}
	change(api.ModeConfig{Mode: api.ModeBoth, Distro: "Ubuntu"})
	b.p.CancelChange()
	if err := <-result; api.CodeOf(err) != api.CodeModeChangeFailed || !strings.Contains(err.Error(), "cancelled") {
		t.Errorf("cancelled change: %v", err)
	}
	b.until("as before", onlyLocal)
	b.p.Dismiss()

	// The last one wins, and each caller gets its own result.
	change(api.ModeConfig{Mode: api.ModeWSLOnly, Distro: "Ubuntu"})
	c, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeBoth, Distro: "Debian"})
	if err != nil || c.Phase != api.PhaseDone {
		t.Errorf("the newer change: %+v, %v", c, err)
	}
	if err := <-result; api.CodeOf(err) != api.CodeModeChangeFailed || !strings.Contains(err.Error(), "newer") {
		t.Errorf("the older change: %v", err)
	}
	s := b.p.Snapshot()
	if s.Config.Distro != "Debian" || find(s, "wsl:Debian").State != api.EnvReady || find(s, "local").State != api.EnvReady || len(s.Environments) != 2 {
		t.Errorf("after both: %+v", s)
	}
	noOrphan(t, home(m, "Ubuntu"))
}

// Quit during a change: under a second, file as before, nothing left.
func TestQuitDuringChange(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{Default: "Ubuntu", Distros: []wslsim.Distro{{Name: "Ubuntu", StartDelayMS: -1}}})
	o := wslOptions(t, m, "")
	b := lay(t, o, nil)
	b.state("local", api.EnvReady)
	result := make(chan error, 1)
	go func() {
		_, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeWSLOnly})
		result <- err
	}()
	b.until("wsl.exe hangs", func(s api.Environments) bool { return find(s, "wsl:default").State == api.EnvStaging })
	began := time.Now()
	b.quit()
	if d := time.Since(began); d > time.Second {
		t.Errorf("quit took %v", d)
	}
	if err := <-result; err == nil {
		t.Error("the change claims success")
	}
	if got := modeBytes(t, o); got != "" {
		t.Errorf("file %q, want none", got)
	}
	noOrphan(t, o.LocalHome)
}

// W3.2: a damaged file in the distro is noticed and replaced once.
func TestDamagedBackendIsReplaced(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		spoil func(b []byte) []byte
	}{
		{"it runs, but its digest is another", func(b []byte) []byte { b[len("#!/bin/sh\n# amd64 ")+9] = 'X'; return b }},
		{"it cannot run", func(b []byte) []byte { return []byte("\x7fELF" + strings.Repeat("z", len(b)-4)) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := wsltest.Scenario(t, wslsim.Scenario{})
			o := wslOptions(t, m, `{"mode":"wsl-only"}`)
			b := lay(t, o, nil)
			e := b.state("wsl:default", api.EnvReady)
			b.p.Stop(t.Context(), e.ID)
			b.state(e.ID, api.EnvOff)
			files, err := filepath.Glob(filepath.Join(home(m, "Ubuntu"), "bin", "*", "catamaran-backend"))
			if err != nil || len(files) != 1 {
				t.Fatal(files, err)
			}
			good, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(files[0], tc.spoil(slices.Clone(good)), 0o700); err != nil {
				t.Fatal(err)
			}
			b.p.Start(t.Context(), e.ID)
			again := b.state(e.ID, api.EnvReady)
			if again.Attempt != 2 {
				t.Errorf("ready at attempt %d, want the second", again.Attempt)
			}
			if now, _ := os.ReadFile(files[0]); string(now) != string(good) {
				t.Error("the file was not replaced")
			}
		})
	}
}

// A carried file that never gives the wanted digest is copied once and then parks.
func TestWrongDigestForEver(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	o := wslOptions(t, m, `{"mode":"wsl-only"}`)
	behave(t, home(m, "Ubuntu"), "wrong-digest")
	b := lay(t, o, nil)
	e := b.state("wsl:default", api.EnvFailed)
	if e.Error.Code != api.CodeStageFailed || e.Attempt != 1 || e.Error.Hint == "" {
		t.Errorf("%+v %+v", e, e.Error)
	}
	// It is there now, so the next start copies it once more before it gives up; W4.2 treats a foreign protocol alike.
	for _, words := range []string{"wrong-digest", "other-protocol"} {
		behave(t, home(m, "Ubuntu"), words)
		b.p.Start(t.Context(), e.ID)
		if e = b.state(e.ID, api.EnvFailed); e.Error.Code != api.CodeStageFailed || e.Attempt != 2 {
			t.Errorf("%s: %+v %+v", words, e, e.Error)
		}
	}
}

// W5.7: a distro that is terminated, shut down, updated or short of memory under its backend is noticed within 2 s, explained and started again.
func TestDistroEndsUnderTheBackend(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		end  func(m *wsltest.Machine, pid int)
		says string
	}{
		{"terminated", func(m *wsltest.Machine, _ int) { m.Terminate("Ubuntu") }, "ended without saying why"},
		{"shut down", func(m *wsltest.Machine, _ int) { m.Shutdown() }, "ended without saying why"},
		{"updated in the background", func(m *wsltest.Machine, _ int) {
			// For a while after it every command fails.
			for _, on := range []string{wslsim.OnList, wslsim.OnLaunch} {
				m.SetFault(wslsim.Fault{ID: "update-" + on, On: on, Kind: wslsim.Fail, Times: 1, Text: "Server execution failed", Code: "Wsl/CallMsi/Install/0x80080005"})
			}
			m.Shutdown()
		}, "ended without saying why"},
		{"out of memory", func(_ *wsltest.Machine, pid int) { syscall.Kill(pid, syscall.SIGKILL) }, "ran out of memory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := wsltest.Scenario(t, wslsim.Scenario{})
			o := wslOptions(t, m, `{"mode":"wsl-only","distro":"Ubuntu"}`)
			b := lay(t, o, nil)
			first := b.state("wsl:Ubuntu", api.EnvReady)
			began := time.Now()
			tc.end(m, first.PID)
			e := b.state("wsl:Ubuntu", api.EnvBackoff)
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("noticed after %v", d)
			}
			if e.Error == nil || !strings.Contains(e.Error.Message, "Ubuntu") || !strings.Contains(e.Error.Message, tc.says) || e.Error.Hint == "" {
				t.Errorf("explanation %+v", e.Error)
			}
			if again := b.state("wsl:Ubuntu", api.EnvReady); again.PID == first.PID {
				t.Error("the same process?")
			}
		})
	}
}

// W6.5: wsl-only with WSL or the distro gone falls back for this launch and keeps the preference.
func TestFallBack(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		machine func(t *testing.T) *wsltest.Machine
		mode    string
		code    api.Code
	}{
		{"distro gone", func(t *testing.T) *wsltest.Machine { return wsltest.Scenario(t, wslsim.Scenario{}) }, `{"mode":"wsl-only","distro":"Fedora"}`, api.CodeDistroNotFound},
		{"no distro at all", func(t *testing.T) *wsltest.Machine { return wsltest.Empty(t, wslsim.Scenario{}) }, `{"mode":"wsl-only"}`, api.CodeWSLNoDistro},
		{"no WSL", func(t *testing.T) *wsltest.Machine { return nil }, `{"mode":"wsl-only"}`, api.CodeWSLMissing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var o Options
			if m := tc.machine(t); m != nil {
				o = wslOptions(t, m, tc.mode)
			} else {
				o = wslOptions(t, wsltest.Scenario(t, wslsim.Scenario{}), tc.mode)
				o.WSL = nil
			}
			b := lay(t, o, nil)
			b.state("local", api.EnvReady)
			s := b.p.Snapshot()
			if s.Primary != "local" || s.Config.Mode != api.ModeWSLOnly || s.Notice == nil || s.Notice.Code != tc.code {
				t.Errorf("primary %s, config %+v, notice %+v", s.Primary, s.Config, s.Notice)
			}
			if got := modeBytes(t, o); got != tc.mode {
				t.Errorf("the preference was touched: %s", got)
			}
			// "Switch to Windows for good" works though WSL is gone.
			if c, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeLocal, Distro: s.Config.Distro}); err != nil || c.Phase != api.PhaseDone {
				t.Errorf("%+v, %v", c, err)
			}
			if now := b.p.Snapshot(); now.Notice != nil || !onlyLocal(now) {
				t.Errorf("%+v", now)
			}
		})
	}
}

// W5.4: while WSL does not come up, "use this computer now" works without touching the preference.
func TestUseThisComputerNow(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	behave(t, home(m, "Ubuntu"), "never")
	const mode = `{"mode":"wsl-only","distro":"Ubuntu"}`
	o := wslOptions(t, m, mode)
	b := lay(t, o, nil)
	b.state("wsl:Ubuntu", api.EnvStarting)
	if _, err := b.p.Start(t.Context(), "local"); err != nil {
		t.Fatal(err)
	}
	s := b.until("the way out", func(s api.Environments) bool { return s.Primary == "local" && find(s, "local").State == api.EnvReady })
	if s.Notice == nil || s.Config.Mode != api.ModeWSLOnly || modeBytes(t, o) != mode {
		t.Errorf("%+v", s)
	}
	// It comes up after all.
	behave(t, home(m, "Ubuntu"), "")
	b.p.Stop(t.Context(), "wsl:Ubuntu")
	b.p.Start(t.Context(), "wsl:Ubuntu")
	b.until("WSL is primary again", func(s api.Environments) bool { return s.Primary == "wsl:Ubuntu" && s.Notice == nil })
}

// A distro that hangs at its start does not strand the user in it.
func TestAwayFromAHungDistro(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		to   api.ModeConfig
	}{
		{"to another distro", api.ModeConfig{Mode: api.ModeWSLOnly, Distro: "Debian"}},
		{"to this computer", api.ModeConfig{Mode: api.ModeLocal}},
		{"to both, with another distro", api.ModeConfig{Mode: api.ModeBoth, Distro: "Debian", Primary: "wsl:Debian"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := wsltest.Scenario(t, wslsim.Scenario{Default: "Ubuntu", Distros: []wslsim.Distro{{Name: "Ubuntu", StartDelayMS: -1}, {Name: "Debian"}}})
			o := wslOptions(t, m, `{"mode":"wsl-only"}`)
			b := lay(t, o, func(p *Pool) { p.gateBound = 300 * time.Millisecond })
			if e := b.state("wsl:default", api.EnvStaging); e.Distro != "Ubuntu" {
				t.Errorf("the distro that starts is not told: %+v", e)
			}
			if c, err := b.p.ChangeMode(t.Context(), tc.to); err != nil || c.Phase != api.PhaseDone {
				t.Fatalf("%+v, %v", c, err)
			}
			for _, e := range b.p.Snapshot().Environments {
				if e.State != api.EnvReady || e.ID == "wsl:default" {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// W5.5: parked is left when the cause is seen to be gone.
func TestRescanMends(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	o := wslOptions(t, m, `{"mode":"both","distro":"Later"}`)
	b := lay(t, o, nil)
	b.state("wsl:Later", api.EnvFailed)
	m.Edit(func(s *wslsim.Scenario) { s.Distros = append(s.Distros, wslsim.Distro{Name: "Later"}) })
	if w, err := b.p.RescanDistros(t.Context()); err != nil || len(w.Distros) != 3 {
		t.Fatalf("%+v, %v", w, err)
	}
	b.state("wsl:Later", api.EnvReady)
}

// W5.6: nothing is left in the distro after a stop, and after a kill of wsl.exe.
func TestNothingLeftInTheDistro(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	o := wslOptions(t, m, `{"mode":"wsl-only"}`)
	b := lay(t, o, nil)
	b.state("wsl:default", api.EnvReady)
	inside := m.Processes("Ubuntu")
	if len(inside) == 0 {
		t.Fatal("nothing runs in the distro")
	}
	b.quit()
	endWithin(t, 5*time.Second, inside...)
	if left := m.Processes("Ubuntu"); len(left) > 0 {
		t.Errorf("left in the distro: %v", left)
	}
	noOrphan(t, home(m, "Ubuntu"))
}

// What the distro's backend is given: its own home, the forwarded variables, nothing of the desktop's.
func TestDistroEnvironment(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	o := wslOptions(t, m, `{"mode":"wsl-only"}`)
	o.Forward = func() (map[string]string, []string) { return map[string]string{"EXAMPLE_API_KEY": "sk-forwarded"}, nil }
	b := lay(t, o, nil)
	e := b.state("wsl:default", api.EnvReady)
	body, err := b.get(e.ID, "/whoami")
	if err != nil || !strings.Contains(body, home(m, "Ubuntu")) || !strings.Contains(body, "sk-forwarded") {
		t.Errorf("%q, %v", body, err)
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", e.PID))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"sk-forwarded", o.LocalHome, o.StateDir} {
		if strings.Contains(string(environ), secret) {
			t.Errorf("the backend's environment holds %s", secret)
		}
	}
}
