package wsl_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/wsl"
	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
)

func registered(m *wsltest.Machine, timeout time.Duration) *wsl.Client {
	return wsl.New(wsl.Options{Exe: m.Exe, ListTimeout: timeout, RetryAfter: time.Millisecond, Registry: wsl.FileRegistry(m.Registry())})
}

// The registry is what Windows has; here it is the simulator's own store (W1.1, B6).
func TestDiscoverByRegistry(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{Default: "my distro", Distros: []wslsim.Distro{
		{Name: "Ubuntu"}, {Name: "my distro"}, {Name: "日本"}, {Name: "One", Version: 1}, {Name: "Half", State: "Exporting"}, {Name: "podman-machine"}}})
	c := registered(m, time.Minute)
	w := c.Discover(t.Context())
	if w.Error != nil || w.Version != "2.7.7.0" || w.Default != "my distro" || len(w.Distros) != 6 {
		t.Fatalf("%+v", w)
	}
	got := map[string]api.Distro{}
	for _, d := range w.Distros {
		got[d.Name] = d
		if d.ID == "" {
			t.Errorf("%s has no id", d.Name)
		}
	}
	if got["Half"].Selectable || got["Half"].State != "Exporting" || got["podman-machine"].Selectable || got["One"].Version != 1 || !got["日本"].Selectable {
		t.Errorf("%+v", got)
	}
	// Names that -d cannot take go by id (W1.5).
	for _, name := range []string{"", "My Distro", "日本"} {
		d, err := c.Resolve(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Launch(d, []string{"printenv", "WSL_DISTRO_NAME"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if out := string(finish(t, p)); out != d.Name+"\n" || name == "" && d.Name != "my distro" {
			t.Errorf("%q started %q, wanted %q", name, out, d.Name)
		}
		<-p.Done()
	}
	// It runs now: the list tells, the registry never does.
	for _, d := range c.Discover(t.Context()).Distros {
		if d.Name == "日本" && d.State != "Running" || d.Name == "Ubuntu" && d.State != "Stopped" {
			t.Errorf("%+v", d)
		}
	}
}

func TestBrokenRegistry(t *testing.T) { // B40: values missing or of another type, dangling default, State 6 for ever
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{Default: "Gone", Distros: []wslsim.Distro{
		{Name: "Good"}, {Name: "NoName", Registry: map[string]any{"DistributionName": nil}}, {Name: "Number", Registry: map[string]any{"DistributionName": 7}},
		{Name: "Text", Registry: map[string]any{"State": "installed", "Flags": "x"}}, {Name: "Six", Registry: map[string]any{"State": 6}}}})
	c := registered(m, time.Minute)
	w := c.Discover(t.Context())
	if w.Error != nil || w.Default != "" || len(w.Distros) != 3 {
		t.Fatalf("%+v", w)
	}
	for _, d := range w.Distros {
		if d.Selectable != (d.Name == "Good") {
			t.Errorf("%+v", d)
		}
	}
	_, err := c.Resolve(t.Context(), "")
	want(t, err, api.CodeDistroNotFound)
	_, err = c.Resolve(t.Context(), "Six")
	want(t, err, api.CodeDistroBusy)
	// A store that cannot be read leaves the list.
	if err := os.WriteFile(m.Registry(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if w := c.Discover(t.Context()); len(w.Distros) != 5 {
		t.Errorf("%+v", w)
	}
	if err := os.Remove(m.Registry()); err != nil {
		t.Fatal(err)
	}
	if w := c.Discover(t.Context()); len(w.Distros) != 5 || w.Version != "2.7.7.0" {
		t.Errorf("%+v", w)
	}
}

// A failure that a second try is known to cure is tried a second time, once (A8).
func TestUnexpectedOnce(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	f := wslsim.Fault{ID: "x", On: wslsim.OnList, Kind: wslsim.Fail, Text: wslsim.TextUnexpected, Code: wslsim.CodeUnexpected, Times: 1}
	m.SetFault(f)
	if w := client(m).Discover(t.Context()); w.Error != nil || len(w.Distros) != 2 {
		t.Errorf("%+v", w)
	}
	f.Times = 2
	m.SetFault(f)
	if e := want(t, client(m).Discover(t.Context()).Error, api.CodeWSLBroken); !e.Retryable {
		t.Error("not retryable")
	}
	f.Times, f.Text, f.Code = 1, wslsim.TextRPC, wslsim.CodeRPC
	m.SetFault(f) // another failure: told at once
	want(t, client(m).Discover(t.Context()).Error, api.CodeWSLBroken)
	// Waiting for the second try ends with the caller.
	f.Times, f.Text, f.Code = 1, wslsim.TextUnexpected, wslsim.CodeUnexpected
	m.SetFault(f)
	slow := wsl.New(wsl.Options{Exe: m.Exe, ListTimeout: time.Minute, RetryAfter: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := slow.Resolve(ctx, "")
	if api.CodeOf(err) != api.CodeCancelled {
		t.Error(err)
	}
}

// What machines were seen to do to a list, and what discovery makes of it (W1.2, W1.3, B40).
func TestDiscoverUnderFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		profile string
		knobs   wslsim.Knobs
		fault   wslsim.Fault
		distros int
		code    api.Code
	}{
		"inbox":               {profile: "inbox-10", distros: 2},
		"early store":         {profile: "store-0.6x", knobs: wslsim.Knobs{VersionExit: 128}, distros: 2},
		"newest":              {profile: "store-2.9", distros: 2},
		"forwarder":           {knobs: wslsim.Knobs{Forwarder: true}, distros: 2},
		"translated states":   {knobs: wslsim.Knobs{StateWords: map[string]string{"Stopped": "停止"}}, distros: 2},
		"stub, other exit":    {profile: "stub-absent", knobs: wslsim.Knobs{StubExit: 1}, code: api.CodeWSLNotInstalled},
		"slow, then success":  {fault: wslsim.Fault{Kind: wslsim.Delay, DelayMS: 100}, distros: 2},
		"half a unit":         {profile: "inbox-10", fault: wslsim.Fault{Kind: wslsim.HalfUnit}, distros: 2},
		"cut in the last row": {fault: wslsim.Fault{Kind: wslsim.Cut, Bytes: 90}, distros: 1},
		"cut in the header":   {fault: wslsim.Fault{Kind: wslsim.Cut, Bytes: 10}, code: api.CodeWSLNoDistro},
		"noise on stderr":     {fault: wslsim.Fault{Kind: wslsim.Noise, Text: "Failed to translate 'R:'", When: wslsim.During}, distros: 2},
		"pieces":              {fault: wslsim.Fault{Kind: wslsim.Pieces, Bytes: 7, DelayMS: 1}, distros: 2},
		"RPC unavailable":     {fault: wslsim.Fault{Kind: wslsim.Fail, Text: wslsim.TextRPC, Code: wslsim.CodeRPC}, code: api.CodeWSLBroken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := wsltest.Scenario(t, wslsim.Scenario{Profile: c.profile, Knobs: c.knobs})
			if c.fault.Kind != "" {
				c.fault.ID, c.fault.On = "x", wslsim.OnList
				m.SetFault(c.fault)
			}
			w := client(m).Discover(t.Context())
			if len(w.Distros) != c.distros || c.code == "" && w.Error != nil {
				t.Fatalf("%+v", w)
			}
			if c.code != "" {
				want(t, w.Error, c.code)
			}
		})
	}
}

// What changed between the list and the start is told as such (B40).
func TestGoneBeforeStart(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	m.SetFault(wslsim.Fault{ID: "x", On: wslsim.OnList, Distro: "Ubuntu", Kind: wslsim.Unregister, Times: 1})
	c := client(m)
	d, err := c.Resolve(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	p := launch(t, c, d.Name, "true")
	want(t, c.ExitError(p, finish(t, p)), api.CodeDistroNotFound)
}

// A launch survives what streams were seen to do; a death is told, not invented (B40).
func TestLaunchUnderFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault wslsim.Fault
		out   string
		code  api.Code
	}{
		"E_UNEXPECTED":  {wslsim.Fault{Kind: wslsim.Fail, Text: wslsim.TextUnexpected, Code: wslsim.CodeUnexpected}, "", api.CodeWSLBroken},
		"cut":           {wslsim.Fault{Kind: wslsim.Cut, Bytes: 3}, "out", api.CodeBackendExited},
		"out of memory": {wslsim.Fault{Kind: wslsim.OOM}, "", api.CodeBackendExited},
		"stdout held":   {wslsim.Fault{Kind: wslsim.Held, DelayMS: 60_000}, "out of it\n", api.CodeBackendExited},
		"noise":         {wslsim.Fault{Kind: wslsim.Noise, Text: "x", When: wslsim.After}, "out of it\n", api.CodeBackendExited},
		"pieces":        {wslsim.Fault{Kind: wslsim.Pieces, Bytes: 1, DelayMS: 1}, "out of it\n", api.CodeBackendExited},
		"help":          {wslsim.Fault{Kind: wslsim.Output, Text: wslsim.TextHelp, Exit: 1}, wslsim.TextHelp, api.CodeBackendExited},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := wsltest.Scenario(t, wslsim.Scenario{})
			c.fault.ID, c.fault.On = "x", wslsim.OnLaunch
			m.SetFault(c.fault)
			cl := client(m)
			script := "echo out of it; exit 3"
			if c.fault.Kind == wslsim.OOM {
				script = "exec sleep 300"
			}
			p := launch(t, cl, "Ubuntu", "sh", "-c", script)
			out := finish(t, p)
			e := want(t, cl.ExitError(p, out), c.code)
			if c.code == api.CodeBackendExited && string(out) != c.out || !e.Retryable {
				t.Errorf("%q, %+v", out, e)
			}
		})
	}
}

// An update of WSL behind our back ends everything, and makes it fail for a while (W5.7, B35).
func TestBackgroundUpdate(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	c := client(m)
	p := launch(t, c, "Ubuntu", "sh", "-c", "echo ready; cat")
	buf := make([]byte, 6)
	if _, err := p.Stdout().Read(buf); err != nil {
		t.Fatal(err)
	}
	m.BackgroundUpdate(time.Hour, "Server execution failed ", "Wsl/CallMsi/Install/0x80080005")
	if e := want(t, c.ExitError(p, finish(t, p)), api.CodeBackendExited); !e.Retryable {
		t.Error("not retryable")
	}
	_, err := c.Resolve(t.Context(), "")
	if e := want(t, err, api.CodeWSLBroken); !e.Retryable {
		t.Error("not retryable")
	}
	m.BackgroundUpdate(0, "", "")
	if _, err := c.Resolve(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(m.Dir, "update.json")); err != nil {
		t.Error(err)
	}
}

// The service knows of a conversion before the registry does; such a distro cannot be chosen (W1.4).
func TestBusyByTheListAlone(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{Default: "A", Distros: []wslsim.Distro{{Name: "A", State: "Converting", Registry: map[string]any{"State": 1}}}})
	c := registered(m, time.Minute)
	if w := c.Discover(t.Context()); len(w.Distros) != 1 || w.Distros[0].Selectable || w.Distros[0].State != "Converting" {
		t.Errorf("%+v", w)
	}
	_, err := c.Resolve(t.Context(), "A")
	want(t, err, api.CodeDistroBusy)
}
