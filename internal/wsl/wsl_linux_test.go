package wsl_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"catamaran/internal/api"
	"catamaran/internal/proc"
	"catamaran/internal/wsl"
	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
)

func TestMain(m *testing.M) {
	proc.GuardMain()
	goleak.VerifyTestMain(m)
}

func client(m *wsltest.Machine) *wsl.Client {
	return wsl.New(wsl.Options{Exe: m.Exe, ListTimeout: time.Minute, RetryAfter: time.Millisecond})
}

func want(t *testing.T, err error, code api.Code) *api.Error {
	t.Helper()
	e := api.AsError(err)
	if e == nil || e.Code != code || e.Message == "" || e.Hint == "" {
		t.Fatalf("got %+v (%v), want %s with a message and a hint", e, err, code)
	}
	return e
}

func TestNewWithoutWSL(t *testing.T) {
	t.Parallel()
	c := wsl.New(wsl.Options{})
	if c != nil {
		t.Fatal("a client without wsl.exe")
	}
	if w := c.Discover(t.Context()); w.Available || w.Error != nil || w.Distros == nil {
		t.Errorf("got %+v", w)
	}
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	for _, locale := range []string{"", "de-DE", "ja-JP"} {
		m := wsltest.Scenario(t, wslsim.Scenario{Locale: locale, Default: "Ubuntu", Distros: []wslsim.Distro{
			{Name: "Debian"}, {Name: "Ubuntu"}, {Name: "docker-desktop"}, {Name: "my distro", Version: 1}, {Name: "Half", State: "Installing"}}})
		w := client(m).Discover(t.Context())
		if !w.Available || w.Error != nil || w.Default != "Ubuntu" || w.Version != "2.7.7.0" || w.Checked == 0 || len(w.Distros) != 5 {
			t.Fatalf("%s: %+v", locale, w)
		}
		got := map[string]api.Distro{}
		for _, d := range w.Distros {
			got[d.Name] = d
		}
		if d := got["Ubuntu"]; !d.Default || !d.Selectable || d.State != "Stopped" || d.Version != 2 || w.Distros[0].Name != "Ubuntu" {
			t.Errorf("%+v", d)
		}
		if d := got["docker-desktop"]; d.Selectable || !d.Utility || d.Why == "" {
			t.Errorf("%+v", d)
		}
		if d := got["my distro"]; !d.Selectable || d.Version != 1 {
			t.Errorf("%+v", d)
		}
		if d := got["Half"]; d.Selectable || d.State != "Installing" || !strings.Contains(d.Why, "Installing") {
			t.Errorf("%+v", d)
		}
	}
}

// W1.2: six different answers, each with its own text and remedy, none of them an empty success.
func TestSixWaysOfNoWSL(t *testing.T) {
	t.Parallel()
	fault := func(f wslsim.Fault) *wsltest.Machine {
		m := wsltest.Scenario(t, wslsim.Scenario{})
		f.ID, f.On = "x", wslsim.OnList
		m.SetFault(f)
		return m
	}
	gone := wsltest.Scenario(t, wslsim.Scenario{})
	if err := os.Remove(gone.Exe); err != nil {
		t.Fatal(err)
	}
	short := func(m *wsltest.Machine) *wsl.Client {
		return wsl.New(wsl.Options{Exe: m.Exe, ListTimeout: 300 * time.Millisecond})
	}
	texts := map[string]bool{}
	for name, c := range map[string]struct {
		client *wsl.Client
		code   api.Code
	}{
		"no stub":             {client(gone), api.CodeWSLMissing},
		"stub without WSL":    {client(wsltest.Scenario(t, wslsim.Scenario{Profile: "stub-absent"})), api.CodeWSLNotInstalled},
		"WSL without distro":  {client(wsltest.Empty(t, wslsim.Scenario{Locale: "zh-CN"})), api.CodeWSLNoDistro},
		"virtualization off":  {client(fault(wslsim.Fault{Kind: wslsim.Fail, Text: "x", Code: "Wsl/Service/CreateInstance/CreateVm/HCS/HCS_E_HYPERV_NOT_INSTALLED"})), api.CodeWSLVirtualization},
		"WSL broken":          {client(fault(wslsim.Fault{Kind: wslsim.Fail, Text: "x", Code: "Wsl/Service/E_UNEXPECTED"})), api.CodeWSLBroken},
		"wsl.exe hangs":       {short(fault(wslsim.Fault{Kind: wslsim.Hang})), api.CodeWSLHung},
		"empty, with success": {client(fault(wslsim.Fault{Kind: wslsim.Output})), api.CodeWSLBroken},
		"help text, exit 1":   {client(fault(wslsim.Fault{Kind: wslsim.Output, Text: "Copyright\r\r\n", Exit: 1})), api.CodeWSLNoDistro},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.client.Discover(t.Context())
			if w.Error == nil {
				t.Fatalf("no error: %+v", w)
			}
			e := want(t, w.Error, c.code)
			_, err := c.client.Resolve(t.Context(), "")
			want(t, err, c.code)
			_, err = c.client.Resolve(t.Context(), "Ubuntu")
			want(t, err, c.code)
			texts[e.Message] = true
		})
	}
	if len(texts) < 6 {
		t.Errorf("only %d texts: %v", len(texts), texts)
	}
}

// A hung list leaves the registry's distros, and resolving goes on.
func TestRegistryBesideHungList(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	m.SetFault(wslsim.Fault{ID: "x", On: wslsim.OnList, Kind: wslsim.Hang})
	const guid = "{00000000-0000-0000-0000-0000000000aa}"
	options := wsl.Options{Exe: m.Exe, ListTimeout: 300 * time.Millisecond, Registry: registry{guid, []wsl.RegistryEntry{{Key: guid, Name: "Ubuntu", State: 1, Flags: 15}, {Key: "DiskMounts"}}}}
	c := wsl.New(options)
	w := c.Discover(t.Context())
	want(t, w.Error, api.CodeWSLHung)
	if len(w.Distros) != 1 || w.Default != "Ubuntu" || w.Distros[0].State != "Unknown" || w.Distros[0].ID != guid || w.Version != "9.9" {
		t.Fatalf("%+v", w)
	}
	if d, err := c.Resolve(t.Context(), "UBUNTU"); err != nil || d.Name != "Ubuntu" {
		t.Fatal(d, err)
	}
	m.ClearFault("x")
	options.ListTimeout = time.Minute
	if w := wsl.New(options).Discover(t.Context()); w.Error != nil || w.Distros[0].State != "Stopped" || len(w.Distros) != 1 {
		t.Fatalf("%+v", w)
	}
}

// Distros that stayed registered after WSL was removed cannot be chosen.
func TestRegistryBesideStub(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{Profile: "stub-absent"})
	const guid = "{00000000-0000-0000-0000-0000000000aa}"
	c := wsl.New(wsl.Options{Exe: m.Exe, ListTimeout: time.Minute, Registry: registry{guid, []wsl.RegistryEntry{{Key: guid, Name: "Ubuntu", State: 1, Flags: 15}}}})
	_, err := c.Resolve(t.Context(), "Ubuntu")
	want(t, err, api.CodeWSLNotInstalled)
}

type registry struct {
	def     string
	entries []wsl.RegistryEntry
}

func (r registry) Distros() (string, []wsl.RegistryEntry, error) { return r.def, r.entries, nil }
func (r registry) Version() string                               { return "9.9" }

func TestResolve(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{Default: "docker-desktop", Distros: []wslsim.Distro{
		{Name: "Ubuntu"}, {Name: "docker-desktop"}, {Name: "Half", State: "Converting"}}})
	c := client(m)
	if d, err := c.Resolve(t.Context(), "uBuNtU"); err != nil || d.Name != "Ubuntu" {
		t.Errorf("%+v, %v", d, err)
	}
	for name, code := range map[string]api.Code{
		"": api.CodeDistroUtility, "Nope": api.CodeDistroNotFound, "Half": api.CodeDistroBusy, "Docker-Desktop": api.CodeDistroUtility,
		"a/b": api.CodeDistroInvalid, " ": api.CodeDistroInvalid, "Ubuntu\n": api.CodeDistroInvalid, "default": api.CodeDistroNotFound,
	} {
		_, err := c.Resolve(t.Context(), name)
		want(t, err, code)
	}
	m.Edit(func(s *wslsim.Scenario) { s.Default = "" })
	_, err := c.Resolve(t.Context(), "")
	want(t, err, api.CodeDistroNotFound)
	m.Edit(func(s *wslsim.Scenario) { s.Default = "Ubuntu" }) // re-checked on demand
	if d, err := c.Resolve(t.Context(), ""); err != nil || d.Name != "Ubuntu" {
		t.Errorf("%+v, %v", d, err)
	}
}

// launch starts argv in Ubuntu and cleans up.
func launch(t *testing.T, c *wsl.Client, distro string, argv ...string) *proc.Process {
	t.Helper()
	p, err := c.Launch(api.Distro{Name: distro}, argv, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.Background(), proc.Ladder{Kill: 10 * time.Second}); err != nil {
			t.Error(err)
		}
		p.Stdout().Close()
	})
	return p
}

func finish(t *testing.T, p *proc.Process) []byte {
	t.Helper()
	b, err := io.ReadAll(p.Stdout())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLaunch(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	p := launch(t, client(m), "Ubuntu", "sh", "-c", `pwd; printf '%s|' "$@"; env; cat`, "x", `a "b" \`, "", "$HOME")
	if _, err := p.Stdin().Write([]byte("stdin")); err != nil {
		t.Fatal(err)
	}
	p.Stdin().Close()
	out := string(finish(t, p))
	if !strings.HasPrefix(out, m.Home("Ubuntu")+"\n"+`a "b" \||$HOME|`) || !strings.HasSuffix(out, "stdin") {
		t.Errorf("got %q", out)
	}
	if strings.Contains(out, "WSLSIM") || strings.Contains(out, "CATAMARAN") || strings.Contains(out, "WSL_UTF8") {
		t.Errorf("a variable leaked: %q", out)
	}
}

func TestExitError(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{Default: "Ubuntu", Distros: []wslsim.Distro{{Name: "Ubuntu"}, {Name: "Sick"}, {Name: "Busy", State: "Exporting"}, {Name: "Novirt"}, {Name: "Nokernel"}}})
	m.SetFault(wslsim.Fault{ID: "virt", On: wslsim.OnStart, Distro: "Novirt", Kind: wslsim.Fail, Text: "x", Code: "Wsl/Service/CreateInstance/CreateVm/0x80370102"})
	m.SetFault(wslsim.Fault{ID: "kernel", On: wslsim.OnStart, Distro: "Nokernel", Kind: wslsim.Output, Text: "The WSL 2 kernel file is not found.\r\n", Exit: 0xfffffe44})
	m.SetFault(wslsim.Fault{ID: "sick", On: wslsim.OnStart, Distro: "Sick", Kind: wslsim.Fail, Text: "Schwerwiegender Fehler ", Code: "Wsl/Service/CreateInstance/E_UNEXPECTED"})
	c := client(m)
	for name, x := range map[string]struct {
		distro string
		argv   []string
		code   api.Code
		text   string
	}{
		"not installed":        {"Nope", []string{"true"}, api.CodeDistroNotFound, `"Nope"`},
		"busy":                 {"Busy", []string{"true"}, api.CodeDistroBusy, "E_ILLEGAL_STATE_CHANGE"},
		"start fails":          {"Sick", []string{"true"}, api.CodeWSLBroken, "E_UNEXPECTED"},
		"virtualization off":   {"Novirt", []string{"true"}, api.CodeWSLVirtualization, "0x80370102"},
		"no kernel":            {"Nokernel", []string{"true"}, api.CodeWSLBroken, "kernel"},
		"exit code":            {"Ubuntu", []string{"sh", "-c", "echo why >&2; exit 7"}, api.CodeBackendExited, "exit code 7"},
		"a Linux 50":           {"Ubuntu", []string{"sh", "-c", "echo text; exit 50"}, api.CodeBackendExited, "exit code 50"},
		"a Linux 255":          {"Ubuntu", []string{"sh", "-c", "exit 255"}, api.CodeBackendExited, "exit code 255"},
		"look-alike, exit 255": {"Ubuntu", []string{"sh", "-c", "echo Error code: Wsl/Service/E_UNEXPECTED; exit 255"}, api.CodeBackendExited, "exit code 255"},
		"look-alike, exit 1":   {"Ubuntu", []string{"sh", "-c", "echo x: Wsl/Service/WSL_E_DISTRO_NOT_FOUND; exit 1"}, api.CodeBackendExited, "exit code 1"},
		"no such program":      {"Ubuntu", []string{"/no/such/program"}, api.CodeBackendExited, "exit code 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := launch(t, c, x.distro, x.argv...)
			e := want(t, c.ExitError(p, finish(t, p)), x.code)
			if !strings.Contains(e.Message, x.text) {
				t.Errorf("message %q", e.Message)
			}
			if name == "exit code" && !strings.Contains(e.Details, "why") {
				t.Errorf("details %q", e.Details)
			}
		})
	}
}

// A cold start that never ends is the caller's to give up; doing so leaves nothing behind.
func TestStartThatHangs(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{Default: "Slow", Distros: []wslsim.Distro{{Name: "Slow", StartDelayMS: -1}}})
	c := client(m)
	p := launch(t, c, "Slow", "true")
	if err := p.Stop(t.Context(), proc.Ladder{CloseStdin: 50 * time.Millisecond, Kill: 10 * time.Second}); err != nil {
		t.Fatal(err)
	}
	want(t, c.ExitError(p, finish(t, p)), api.CodeBackendExited)
	if m.Running("Slow") {
		t.Error("it runs")
	}
}

// A wsl.exe that leaves no 32-bit code (another simulator, a wrapper) still works: 255 is
// its own failure when the output bears it out.
func TestExitErrorWithoutExitFile(t *testing.T) {
	t.Parallel()
	exe := filepath.Join(t.TempDir(), "fake")
	if err := os.WriteFile(exe, []byte("#!/bin/sh\necho 'no'; test \"$2\" = A && echo 'Error code: Wsl/Service/WSL_E_DISTRO_NOT_FOUND'; exit 255\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := wsl.New(wsl.Options{Exe: exe})
	for distro, code := range map[string]api.Code{"A": api.CodeDistroNotFound, "B": api.CodeBackendExited} {
		p := launch(t, c, distro, "true")
		want(t, c.ExitError(p, finish(t, p)), code)
	}
}

func TestTerminateAndShutdown(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	c := client(m)
	for _, end := range []func() error{
		func() error { return c.Terminate(t.Context(), api.Distro{Name: "Ubuntu"}) },
		func() error { return c.Shutdown(t.Context()) },
	} {
		p := launch(t, c, "Ubuntu", "sh", "-c", "echo ready; cat")
		if s, err := bufio.NewReader(p.Stdout()).ReadString('\n'); s != "ready\n" {
			t.Fatal(s, err)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		out := finish(t, p)
		if e := want(t, c.ExitError(p, out), api.CodeBackendExited); !e.Retryable {
			t.Error("not retryable")
		}
		if m.Running("Ubuntu") {
			t.Error("still running")
		}
	}
	want(t, c.Terminate(t.Context(), api.Distro{Name: "Nope"}), api.CodeDistroNotFound)
	want(t, c.Terminate(t.Context(), api.Distro{Name: "a b"}), api.CodeDistroInvalid)
}

func TestKilledFront(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	c := client(m)
	p := launch(t, c, "Ubuntu", "sh", "-c", "echo ready; cat")
	if s, err := bufio.NewReader(p.Stdout()).ReadString('\n'); s != "ready\n" {
		t.Fatal(s, err)
	}
	p.Kill()
	e := want(t, c.ExitError(p, finish(t, p)), api.CodeBackendExited)
	if !strings.Contains(e.Message, "killed") {
		t.Errorf("message %q", e.Message)
	}
}

func TestCancelledCall(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	m.SetFault(wslsim.Fault{ID: "x", On: wslsim.OnList, Kind: wslsim.Hang})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := client(m).Resolve(ctx, "")
	if api.CodeOf(err) != api.CodeCancelled || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
