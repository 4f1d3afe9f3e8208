//go:build unix

package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/home"
	"catamaran/internal/proc"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	proc.GuardMain()
	goleak.VerifyTestMain(m)
}

// place is an environment of the test's own.
type place struct {
	home, bin string
	agents    []api.Agent
	warning   string
	volume    home.Volume
	env       []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir := t.TempDir()
	p := &place{home: filepath.Join(dir, "home"), bin: filepath.Join(dir, "bin"), volume: home.Volume{Free: 50 << 30}}
	for _, d := range []string{p.home, p.bin} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.script(t, "git", `echo git version 2.39.5`)
	return p
}

func (p *place) script(t *testing.T, name, text string) string {
	t.Helper()
	return p.file(t, filepath.Join(p.bin, name), "#!/bin/sh\n"+text+"\n")
}

func (p *place) file(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

var testNow = time.UnixMilli(1_800_000_000_000)

func (p *place) run(t *testing.T, r api.DoctorRun) map[string]api.Finding {
	t.Helper()
	d, err := New(Options{
		OS: "linux", Arch: "amd64", Home: p.home, StateDir: filepath.Join(p.home, "state"),
		Env: func(context.Context, bool) ([]string, string) {
			return append([]string{"PATH=" + p.bin, "HOME=" + p.home}, p.env...), p.warning
		},
		Shell:  func() string { return "/bin/zsh" },
		Dirs:   func(env []string) []string { v, _ := proc.EnvValue(env, "PATH"); return filepath.SplitList(v) },
		Agents: func(context.Context, bool) ([]api.Agent, error) { return p.agents, nil },
		Now:    func() time.Time { return testNow },
		Volume: func(string) (home.Volume, error) { return p.volume, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	report, err := d.Run(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]api.Finding{}
	for _, f := range report.Findings {
		if _, twice := all[f.ID]; twice {
			t.Errorf("%s is there twice", f.ID)
		}
		if (f.Severity == api.SeverityWarning || f.Severity == api.SeverityError) && (f.Why == "" || f.Repair == "") {
			t.Errorf("no word of why or of a repair: %+v", f)
		}
		all[f.ID] = f
	}
	return all
}

func (p *place) agent(id, path string) {
	state := "found"
	if path == "" {
		state = "missing"
	}
	p.agents = append(p.agents, api.Agent{ID: id, Name: "Tool", State: state, Path: path, Version: "1.0", Install: "npm install -g tool", SignIn: "tool login"})
}

// W9.1: each check, well and not.
func TestChecks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		change   func(t *testing.T, p *place)
		now      time.Duration // the desktop's clock against ours
		id       string
		severity api.Severity
		title    string
		repair   string
	}{
		{"system", nil, 0, "system", api.SeverityOK, "linux/amd64", ""},
		{"home", nil, 0, "home", api.SeverityOK, "can be written", ""},
		{"home is a file", func(t *testing.T, p *place) { p.file(t, filepath.Join(p.home, "state"), "x") }, 0, "home", api.SeverityError, "cannot be written", "chown"},
		{"noexec", func(_ *testing.T, p *place) { p.volume.NoExec = true }, 0, "home", api.SeverityError, "noexec", "remount,exec"},
		{"disk", nil, 0, "disk", api.SeverityOK, "50 GB", ""},
		{"low disk", func(_ *testing.T, p *place) { p.volume.Free = 500 << 20 }, 0, "disk", api.SeverityWarning, "500 MB", "du "},
		{"full disk", func(_ *testing.T, p *place) { p.volume.Free = 1 << 20 }, 0, "disk", api.SeverityError, "1 MB", "du "},
		{"clock", nil, 4 * time.Second, "clock", api.SeverityOK, "agrees", ""},
		{"clock behind", nil, time.Hour, "clock", api.SeverityWarning, "1h0m0s behind", "hwclock"},
		{"clock ahead", nil, -6 * time.Second, "clock", api.SeverityWarning, "6s ahead of", "hwclock"},
		{"shell", nil, 0, "shell", api.SeverityOK, "/bin/zsh", ""},
		{"shell hangs", func(_ *testing.T, p *place) { p.warning = "zsh hangs" }, 0, "shell", api.SeverityWarning, "zsh hangs", "/bin/zsh -l -i -c true"},
		{"path", nil, 0, "path", api.SeverityOK, "1 folders", ""},
		{"git", nil, 0, "git", api.SeverityOK, "2.39.5", ""},
		{"old git", func(t *testing.T, p *place) { p.script(t, "git", "echo git version 2.25.1") }, 0, "git", api.SeverityWarning, "found 2.25.1, needs 2.34", "apt install git"},
		{"broken git", func(t *testing.T, p *place) { p.script(t, "git", "exit 1") }, 0, "git", api.SeverityWarning, "not found", "apt install git"},
		{"no git", func(t *testing.T, p *place) { os.Remove(filepath.Join(p.bin, "git")) }, 0, "git", api.SeverityWarning, "not found", "apt install git"},
		{"no agent", nil, 0, "agents", api.SeverityWarning, "No agent", ""},
		{"tool missing", func(_ *testing.T, p *place) { p.agent("x", "") }, 0, "agent:x", api.SeverityInfo, "Tool is not installed", "npm install -g tool"},
		{"on Windows only", func(_ *testing.T, p *place) {
			p.agent("x", "")
			p.agents[0].Foreign = "/mnt/c/npm/tool"
		}, 0, "agent:x", api.SeverityInfo, "on Windows only (/mnt/c/npm/tool)", "npm install -g tool"},
		{"native tool", func(t *testing.T, p *place) { p.agent("x", p.script(t, "x", "")) }, 0, "agent:x", api.SeverityOK, "Tool 1.0 is ", ""},
		{"tool that does not run", func(t *testing.T, p *place) {
			p.agent("x", p.script(t, "x", ""))
			p.agents[0].State, p.agents[0].Error = "failed", &api.Error{Message: "It broke."}
		}, 0, "agent:x", api.SeverityWarning, "does not run. It broke.", "--version"},
		{"not signed in", func(t *testing.T, p *place) { p.agent("gemini", p.script(t, "gemini", "")) }, 0, "agent:gemini", api.SeverityInfo, "no sign-in", "tool login"},
		{"signed in by a file", func(t *testing.T, p *place) {
			p.agent("gemini", p.script(t, "gemini", ""))
			p.file(t, filepath.Join(p.home, ".gemini", "oauth_creds.json"), `{"a":1}`)
		}, 0, "agent:gemini", api.SeverityOK, "sign-in or an API key is there", ""},
		{"signed in by a key", func(t *testing.T, p *place) {
			p.agent("gemini", p.script(t, "gemini", ""))
			p.env = []string{"GEMINI_API_KEY=k-secret"}
		}, 0, "agent:gemini", api.SeverityOK, "sign-in or an API key is there", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			if c.change != nil {
				c.change(t, p)
			}
			all := p.run(t, api.DoctorRun{Now: testNow.Add(c.now).UnixMilli()})
			f, ok := all[c.id]
			if !ok || f.Severity != c.severity || !strings.Contains(f.Title, c.title) || !strings.Contains(f.Repair, c.repair) {
				t.Errorf("%+v", f)
			}
			for _, f := range all {
				if strings.Contains(f.Title+f.Why+f.Repair, "k-secret") {
					t.Errorf("a value is told: %+v", f)
				}
			}
		})
	}
}

// W9.2: node missing, too old, other, broken, right; found the way npm lays programs out.
func TestNode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, node, engines string
		severity            api.Severity
		title               string
	}{
		{"node missing", "", ">=20", api.SeverityWarning, "needs Node.js (>=20), and node is missing"},
		{"node missing, any", "", "", api.SeverityWarning, "needs Node.js (any version), and node is missing"},
		{"node too old", "echo v18.19.1", "^20.19.0 || >=22.12.0", api.SeverityWarning, "too old for Tool: found 18.19.1, needs ^20.19.0 || >=22.12.0"},
		{"node between", "echo v21.7.0", "^20.19.0 || >=22.12.0", api.SeverityWarning, "not the right one for Tool: found 21.7.0"},
		{"node too new", "echo v24.0.0", "18 || 20", api.SeverityWarning, "not the right one for Tool: found 24.0.0"},
		{"nightly", "echo v22.0.0-nightly20240401", ">=22.0.0", api.SeverityWarning, "too old"},
		{"right", "echo v22.12.0", ">=20", api.SeverityOK, "(Node.js v22.12.0, needs >=20)"},
		{"broken node", "exit 127", ">=20", api.SeverityWarning, "does not run"},
		{"range nobody can read", "echo v22.12.0", "lts/*", api.SeverityOK, "Tool 1.0"},
		{"node that says nonsense", "echo hello", ">=20", api.SeverityOK, "Tool 1.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			pkg := filepath.Join(p.home, "lib", "node_modules", "tool")
			p.file(t, filepath.Join(pkg, "package.json"), `{"name":"tool","engines":{"node":"`+c.engines+`"}}`)
			// A nested one without a name is only about module kinds.
			p.file(t, filepath.Join(pkg, "dist", "package.json"), `{"type":"module"}`)
			cli := p.file(t, filepath.Join(pkg, "dist", "cli"), "#!/usr/bin/env -S node --no-warnings\n")
			link := filepath.Join(p.bin, "tool")
			if err := os.Symlink(cli, link); err != nil {
				t.Fatal(err)
			}
			if c.node != "" {
				p.script(t, "node", c.node)
			}
			p.agent("x", link)
			f := p.run(t, api.DoctorRun{})["agent:x"]
			if f.Severity != c.severity || !strings.Contains(f.Title, c.title) {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestNodeProgram(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, c := range []struct {
		name, text, want string
	}{
		{"a.js", "x", "a.js"}, {"b", "#!/usr/bin/node\n", "b"}, {"c", "#!/bin/sh\nexec node x\n", ""}, {"d", "\x7fELF", ""}, {"e", "", ""},
		{"f.cmd", "@ECHO off\r\n\"%_prog%\"  \"%dp0%\\node_modules\\tool\\dist\\index.js\" %*\r\n", "node_modules/tool/dist/index.js"},
		{"g.cmd", "@echo hi", ""}, {"h", "#!/usr/bin/env nodenv\n", ""},
	} {
		got, ok := nodeProgram(p.file(t, filepath.Join(p.bin, c.name), c.text))
		want := ""
		if c.want != "" {
			real, err := filepath.EvalSymlinks(p.bin)
			if err != nil {
				t.Fatal(err)
			}
			want = filepath.Join(real, c.want)
		}
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", c.name, got, ok)
		}
	}
}

func TestHangingProgramsEndTheirCheckOnly(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.script(t, "git", "exec sleep 60")
	p.env = []string{"PATH=" + p.bin + ":/usr/bin:/bin"}
	began := time.Now()
	all := p.run(t, api.DoctorRun{})
	if all["git"].Severity != api.SeverityWarning || time.Since(began) > callWait+10*time.Second {
		t.Errorf("%+v after %v", all["git"], time.Since(began))
	}
}

func TestLogEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "backend.log")
	if err := os.WriteFile(path, []byte(strings.Repeat("x", maxLog)+"\nsecret tail\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := New(Options{
		OS: runtime.GOOS, StateDir: dir, Log: path, Redact: func(s string) string { return strings.ReplaceAll(s, "secret", "-") },
		Env: func(context.Context, bool) ([]string, string) { return nil, "" }, Dirs: func([]string) []string { return nil },
		Agents: func(context.Context, bool) ([]api.Agent, error) { return nil, errors.New("no") },
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Run(t.Context(), api.DoctorRun{Log: true})
	if err != nil || len(r.Log) > maxLog+8 || !strings.HasSuffix(r.Log, "\n- tail?") {
		t.Errorf("%d bytes, %v", len(r.Log), err)
	}
	if !slices.ContainsFunc(r.Findings, func(f api.Finding) bool { return f.ID == "agents" && f.Severity == api.SeverityWarning }) {
		t.Errorf("%+v", r.Findings)
	}
}

func TestGitEnough(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]bool{
		"2.34.0": true, "2.33.9": false, "2.39.5 (Apple Git-154)": true, "2.47.0.windows.2": true, "3.0": true, "1.99.1": false, "": false, "x.y": false,
	} {
		if gitEnough(v) != want {
			t.Errorf("%q: %v", v, !want)
		}
	}
}

func TestShellQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"/a/b": "/a/b", "/a b": "'/a b'", "/it's": `'/it'\''s'`, "": "''", "$(x)": "'$(x)'", "~": "'~'"} {
		if got := ShellQuote(in); got != want {
			t.Errorf("%q: %s", in, got)
		}
	}
}

func TestVolume(t *testing.T) {
	t.Parallel()
	v, err := home.VolumeOf(t.TempDir())
	if err != nil || v.Free == 0 || v.ReadOnly {
		t.Errorf("%+v %v", v, err)
	}
	if _, err := home.VolumeOf("/no/such/folder"); err == nil {
		t.Error("a folder that is not there has a volume")
	}
}
