package host

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/proc"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	proc.GuardMain()
	goleak.VerifyTestMain(m)
}

// machine answers discovery; programs in its distros are a script of this system.
type machine struct {
	found    api.WSL
	script   string
	launched []string
}

func (m *machine) Discover(context.Context) api.WSL { return m.found }

func (m *machine) Launch(d api.Distro, argv []string, stderr io.Writer) (*proc.Process, error) {
	m.launched = append(m.launched, d.Name+": "+strings.Join(argv, " "))
	return proc.Start(proc.Spec{Name: "fake", Path: "/bin/sh", Args: []string{"-c", m.script}, Stderr: stderr})
}

func distros(state string) []api.Distro {
	return []api.Distro{{Name: "Ubuntu", Default: true, Version: 2, State: state, Selectable: true}, {Name: "docker-desktop", Version: 2, State: "Running", Utility: true}}
}

// W9.1: what the desktop finds out about WSL, each with why and a repair.
func TestWSL(t *testing.T) {
	t.Parallel()
	fail := func(code api.Code) api.WSL {
		return api.WSL{Available: true, Error: &api.Error{Code: code, Message: "M", Hint: "H"}}
	}
	running := api.WSL{Available: true, Version: "2.7.1", Distros: distros("Running")}
	for _, c := range []struct {
		name     string
		found    api.WSL
		script   string
		carried  error
		id       string
		severity api.Severity
		text     string
	}{
		{"well", running, "echo mirrored", nil, "wsl", api.SeverityOK, "2.7.1"},
		{"inbox", api.WSL{Available: true, Distros: distros("Stopped")}, "", nil, "wsl", api.SeverityWarning, "wsl.exe --update"},
		{"missing", fail(api.CodeWSLMissing), "", nil, "wsl", api.SeverityWarning, "wsl.exe --install"},
		{"not installed", fail(api.CodeWSLNotInstalled), "", nil, "wsl", api.SeverityWarning, "wsl.exe --install"},
		{"no distro", fail(api.CodeWSLNoDistro), "", nil, "wsl", api.SeverityWarning, "wsl.exe --install Ubuntu"},
		{"broken", fail(api.CodeWSLBroken), "", nil, "wsl", api.SeverityWarning, "wsl.exe --update"},
		{"hung", fail(api.CodeWSLHung), "", nil, "wsl", api.SeverityWarning, "wsl.exe --shutdown"},
		{"virtualization off", fail(api.CodeWSLVirtualization), "", nil, "virtualization", api.SeverityWarning, "firmware"},
		{"virtualization works", running, "echo nat", nil, "virtualization", api.SeverityOK, "runs in it"},
		{"virtualization unknown", api.WSL{Available: true, Distros: distros("Stopped")[:1]}, "", nil, "virtualization", api.SeverityInfo, "none runs now"},
		{"mirrored", running, "echo Mirrored", nil, "networking", api.SeverityOK, "mirrored"},
		{"no network", running, "echo none", nil, "networking", api.SeverityWarning, "networkingMode=nat"},
		{"no wslinfo", running, "echo not found >&2; exit 127", nil, "networking", api.SeverityInfo, "not known"},
		{"nonsense", running, "echo banana", nil, "networking", api.SeverityInfo, "not known"},
		{"too much", running, "head -c 100000 /dev/zero", nil, "networking", api.SeverityInfo, "not known"},
		{"nothing carried", running, "echo nat", errors.New("no manifest"), "carried", api.SeverityError, "no manifest"},
		{"distro", running, "echo nat", nil, "distro:Ubuntu", api.SeverityOK, "WSL 2, running, the default"},
		{"utility", running, "echo nat", nil, "distro:docker-desktop", api.SeverityInfo, "another program"},
		{"utility as the default", api.WSL{Available: true, Distros: []api.Distro{{Name: "docker-desktop", Default: true, Utility: true, State: "Stopped"}}}, "", nil, "distro:docker-desktop", api.SeverityWarning, "--set-default"},
		{"WSL 1", api.WSL{Available: true, Distros: []api.Distro{{Name: "Old", Version: 1, State: "Stopped", Selectable: true}}}, "", nil, "distro:Old", api.SeverityInfo, "--set-version Old 2"},
		{"installing", api.WSL{Available: true, Distros: []api.Distro{{Name: "New", Version: 2, State: "Installing", Why: "it is being installed"}}}, "", nil, "distro:New", api.SeverityWarning, "being installed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := &machine{found: c.found, script: c.script}
			all := Check(t.Context(), Options{OS: "windows", State: t.TempDir(), Backend: os.Args[0], CarriedError: c.carried, WSL: m})
			ok := false
			for _, f := range all {
				if (f.Severity == api.SeverityWarning || f.Severity == api.SeverityError) && (f.Why == "" || f.Repair == "") {
					t.Errorf("no word of why or of a repair: %+v", f)
				}
				if f.ID == c.id {
					ok = f.Severity == c.severity && strings.Contains(f.Title+" "+f.Why+" "+f.Repair, c.text)
				}
			}
			if !ok {
				t.Errorf("%+v", all)
			}
			for _, l := range m.launched {
				if l != "Ubuntu: wslinfo --networking-mode" {
					t.Errorf("started %q", l)
				}
			}
			if c.id == "virtualization" && c.severity == api.SeverityInfo && len(m.launched) > 0 {
				t.Error("a distro that was stopped was woken up")
			}
		})
	}
}

func TestDesktop(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all := Check(t.Context(), Options{OS: "linux", State: filepath.Join(file, "state"), Backend: "/no/such/backend", ForwardWarning: errors.New("bad list")})
	if len(all) != 3 || !Failed(all) {
		t.Fatalf("%+v", all)
	}
	for i, want := range []api.Severity{api.SeverityError, api.SeverityError, api.SeverityWarning} {
		if all[i].Severity != want || all[i].Why == "" || all[i].Repair == "" {
			t.Errorf("%+v", all[i])
		}
	}
	if Failed(Check(t.Context(), Options{OS: "linux", State: t.TempDir(), Backend: os.Args[0]})) {
		t.Error("what is well failed")
	}
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	got := Environments(api.Environments{Environments: []api.Environment{
		{ID: "local", Name: "L", State: api.EnvReady}, {ID: "wsl:U", Name: "U", State: api.EnvFailed, Error: &api.Error{Message: "gone", Hint: "do"}}, {ID: "wsl:V", Name: "V", State: api.EnvOff}, {ID: "wsl:W", Name: "W", State: api.EnvStarting},
	}})
	for i, want := range []api.Severity{api.SeverityOK, api.SeverityError, api.SeverityInfo, api.SeverityInfo} {
		if got[i].Severity != want {
			t.Errorf("%+v", got[i])
		}
	}
	if !strings.Contains(got[1].Title, "gone") || got[1].Repair != "catamaran env start wsl:U" {
		t.Errorf("%+v", got[1])
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"token ct1.eyJlIjoi.c2VjcmV0 end", "http://127.0.0.1:5/#code=SECRETCODE123", "Authorization: Bearer SECRET-abc.def", `"apiKey":"SECRETVALUE"`, `api_key = SECRETVALUE`, `{\"password\":\"SECRETVALUE\"}`,
		"OPENAI_API_KEY=SECRETVALUE1", "sk-SECRET0123456789ab", "ghp_SECRET0123456789abcdef", "AIzaSECRET0123456789abcdefgh", "eyJSECRETxxxx.SECRETyyyyyy.SECRETzz", "https://user:SECRETPW@host/x",
		"-----BEGIN RSA PRIVATE KEY-----\nSECRET\n-----END RSA PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nSECRET cut", "my-secret: 'SECRETVALUE'",
	} {
		if got := Patterns(s); strings.Contains(got, "SECRET") && !strings.Contains(got, "BEGIN") || strings.Contains(got, "c2VjcmV0") || !strings.Contains(got, redacted) {
			t.Errorf("%q became %q", s, got)
		}
	}
	for _, s := range []string{"ready in 50 ms", "/home/dev/token/x.go", `{"level":"INFO","msg":"hello","pid":12}`, "the sk-ip of tasks", "token expired", "vscode://file/x"} {
		if got := Patterns(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

// A cut never leaves a half of a secret: only whole lines are taken.
func TestArchive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	known := "known-thing-itself"
	put("identity", "KEY")
	put("mode.json", `{"mode":"local"}`)
	put("forward.json", `{"variables":[]}`)
	put("logs/desktop.log", strings.Repeat("x", 100)+known+strings.Repeat("y", maxLogFile-105)+"\nlast "+known+" line\n")
	put("logs/one-line.log", strings.Repeat("z", maxLogFile+10))
	put("logs/notes.txt", "not a log")
	put("backend/logs/desktop.log", "the other "+known)
	b, err := Archive(Bundle{
		Desktop: dir, LogDirs: []string{filepath.Join(dir, "logs"), filepath.Join(dir, "backend", "logs"), filepath.Join(dir, "none")}, Now: time.UnixMilli(1_800_000_000_000),
		Environments: &api.Environments{Environments: []api.Environment{{ID: "wsl:../../U", Version: "1"}}}, BackendLogs: map[string]string{"wsl:../../U": "remote " + known, "local": ""},
		Redact: func(s string) string { return strings.ReplaceAll(s, known, redacted) },
	})
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		texts[f.Name] = string(text)
		if strings.Contains(string(text), "thing") || strings.Contains(string(text), "KEY") || strings.Contains(f.Name, "/../") {
			t.Errorf("%s: %.200s", f.Name, text)
		}
	}
	for name, want := range map[string]string{
		"logs/desktop.log": "last [redacted] line\n", "logs/one-line.log": "", "logs/backend-desktop.log": "the other [redacted]", "config/mode.json": `{"mode":"local"}`,
		"logs/environment-1-wsl_.._.._U.log": "remote [redacted]",
	} {
		if got, ok := texts[name]; !ok || got != want {
			t.Errorf("%s = %.100q, %v", name, got, ok)
		}
	}
	if _, ok := texts["logs/notes.txt"]; ok || len(texts) != 10 {
		t.Errorf("%d files", len(texts))
	}
}
