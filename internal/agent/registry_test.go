//go:build !windows

package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"catamaran/internal/api"
	"catamaran/internal/proc"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	proc.GuardMain()
	goleak.VerifyTestMain(m)
}

type noDriver struct{}

func (noDriver) Open(context.Context, OpenOptions) (Session, error) { return nil, nil }
func (noDriver) Options(context.Context, OpenOptions) (api.AgentOptions, error) {
	return api.AgentOptions{}, nil
}

func program(t *testing.T, dir, name, script string) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	bin, count := t.TempDir(), filepath.Join(t.TempDir(), "count")
	version := []string{"--version"}
	program(t, bin, "good", `echo x >> "`+count+`"; echo "good agent v1.24.3-beta.1 (linux)"`)
	program(t, bin, "old", `echo 0.9.1`)
	program(t, bin, "broken", `echo "cannot find module" >&2; exit 1`)
	presets := []Preset{
		{ID: "good", Name: "Good", Driver: "acp", Program: "good", Args: []string{"acp"}, VersionArgs: version, SignIn: "good login"},
		{ID: "old", Name: "Old", Driver: "acp", Program: "old", Args: []string{"--new"}, OldArgs: []string{"--old"}, ArgsSince: "0.10.0", VersionArgs: version},
		{ID: "broken", Name: "Broken", Driver: "acp", Program: "broken", VersionArgs: version},
		{ID: "absent", Name: "Absent", Driver: "acp", Program: "absent", VersionArgs: version, Install: "npm install -g absent"},
	}
	var captured atomic.Int32
	r, err := NewRegistry(RegistryOptions{
		Drivers: map[string]Driver{"acp": noDriver{}}, Presets: presets, DemoPath: "/demo", DemoArgs: []string{"x"},
		Env: func(context.Context, bool) ([]string, string) {
			captured.Add(1)
			return []string{"PATH=" + bin + ":relative::/usr/bin:/bin:" + bin, "A=1"}, ""
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if captured.Load() != 0 {
		t.Error("New looked for something")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := r.List(context.Background(), false); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	agents, err := r.List(context.Background(), false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range agents {
		got = append(got, fmt.Sprintf("%s %s %q", a.ID, a.State, a.Version))
	}
	want := []string{`demo found ""`, `good found "1.24.3-beta.1"`, `old found "0.9.1"`, `broken failed ""`, `absent missing ""`}
	if !slices.Equal(got, want) {
		t.Errorf("agents = %q; want %q", got, want)
	}
	if a := agents[4]; !slices.Equal(a.Searched, []string{bin, "/usr/bin", "/bin"}) || a.Install == "" {
		t.Errorf("missing agent = %+v", a)
	}
	if e := agents[3].Error; e == nil || !strings.Contains(e.Details, "cannot find module") {
		t.Errorf("broken agent's error = %+v", e)
	}
	if b, _ := os.ReadFile(count); len(b) != 2 || captured.Load() != 1 {
		t.Errorf("%d version commands and %d captures for many lists; want one each", len(b)/2, captured.Load())
	}

	for _, c := range []struct {
		id, path, args string
		code           api.Code
	}{
		{"good", filepath.Join(bin, "good"), "[acp]", ""},
		{"old", filepath.Join(bin, "old"), "[--old]", ""},
		{"broken", filepath.Join(bin, "broken"), "[]", ""},
		{"demo", "/demo", "[x]", ""},
		{"absent", "", "[]", api.CodeAgentNotFound},
		{"unheard-of", "", "[]", api.CodeAgentNotFound},
	} {
		d, config, env, err := r.Resolve(context.Background(), c.id)
		if api.CodeOf(err) != c.code || config.Path != c.path || fmt.Sprint(config.Args) != c.args {
			t.Errorf("resolve %s = %+v, %v", c.id, config, err)
		}
		if c.code == "" && (d == nil || !slices.Contains(env, "A=1")) {
			t.Errorf("resolve %s: driver %v, env %q", c.id, d, env)
		}
		if c.id == "absent" && !strings.Contains(api.AsError(err).Hint, "npm install -g absent") {
			t.Errorf("hint = %q", api.AsError(err).Hint)
		}
	}

	program(t, bin, "absent", `echo 3.0`)
	agents, err = r.List(context.Background(), true)
	if err != nil || agents[4].State != "found" || agents[4].Version != "3.0" {
		t.Errorf("after a rescan: %+v, %v", agents[4], err)
	}
}

func TestRegistryNeedsItsDrivers(t *testing.T) {
	t.Parallel()
	if _, err := NewRegistry(RegistryOptions{}); err == nil {
		t.Error("a registry without drivers was made")
	}
}

func TestPresetsAreComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{DemoID: true}
	for _, p := range Presets() {
		if seen[p.ID] || p.Name == "" || !slices.Contains([]string{"acp", "codex", "claude"}, p.Driver) || p.Program == "" || len(p.Args) == 0 && p.Driver != "claude" || len(p.VersionArgs) == 0 || p.Install == "" || p.SignIn == "" {
			t.Errorf("preset %+v", p)
		}
		seen[p.ID] = true
	}
}

func TestForeignPrograms(t *testing.T) {
	t.Parallel()
	const mountinfo = `24 30 0:22 / /sys rw - sysfs sysfs rw
90 80 0:40 / /mnt/c rw,noatime - 9p C:\134 rw,dirsync,aname=drvfs;path=C:\;uid=1000,trans=fd
91 80 0:41 / /windows/My\040Disk rw - drvfs D: rw
92 80 0:42 / /mnt/work rw - ext4 /dev/sdb rw
93 80 0:43 / /usr/lib/wsl/drivers ro - 9p none ro,aname=drivers
94 80 0:44 / /mnt/e rw - virtiofs drvfsE rw
broken line
`
	mounts := driveMounts(mountinfo, false)
	if want := []string{"/mnt/c", "/windows/My Disk", "/mnt/e"}; !slices.Equal(mounts, want) {
		t.Errorf("mounts = %q; want %q", mounts, want)
	}
	dirs := searchable("/usr/bin:/mnt/c/Program Files/nodejs:/mnt/work/bin:/windows/My Disk/x:/mnt/e:/mnt/ee", mounts)
	if want := []string{"/usr/bin", "/mnt/work/bin", "/mnt/ee"}; !slices.Equal(dirs, want) {
		t.Errorf("dirs = %q; want %q", dirs, want)
	}
	if got := searchable("/bin:/mnt/z/x:/mnt/data", driveMounts("", true)); !slices.Equal(got, []string{"/bin", "/mnt/data"}) {
		t.Errorf("in WSL without mount table: %q", got)
	}

	windows, own := t.TempDir(), t.TempDir()
	program(t, windows, "agent", "")
	if err := os.Symlink(filepath.Join(windows, "agent"), filepath.Join(own, "agent")); err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(windows)
	if err != nil {
		t.Fatal(err)
	}
	if got := lookup("agent", []string{own}, []string{real}); got != "" {
		t.Errorf("found %s, a link to a foreign program", got)
	}
	if got := lookup("agent", []string{own}, nil); got == "" {
		t.Error("found nothing")
	}
	// W9.2: a Windows program by its content, and the one to tell people of.
	portable := filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(portable, []byte("MZ\x90\x00"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := lookup("agent", []string{filepath.Dir(portable)}, nil); got != "" {
		t.Errorf("found %s, a program of Windows", got)
	}
	program(t, windows, "tool.cmd", "")
	for name, want := range map[string]string{"agent": filepath.Join(windows, "agent"), "tool": filepath.Join(windows, "tool.cmd"), "none": ""} {
		if got := foreignIn(name, own+":relative:"+windows, []string{windows}); got != want {
			t.Errorf("on the Windows side %s is %q", name, got)
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for out, want := range map[string]string{
		"1.18.33\n": "1.18.33", "codex-cli 0.169.0": "0.169.0", "2.1.330 (Claude Code)": "2.1.330", "no number": "", "v0.33.0-preview.11 x": "0.33.0-preview.11",
	} {
		if got := firstVersion(out); got != want {
			t.Errorf("firstVersion(%q) = %q; want %q", out, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{{"0.9.1", "0.33.0", true}, {"0.33.0", "0.33.0", false}, {"0.33.0-preview.11", "0.33.0", false}, {"1.0", "0.33.0", false}, {"0.33", "0.33.1", true}, {"", "1.0", false}} {
		if got := olderThan(c.a, c.b); got != c.want {
			t.Errorf("olderThan(%q, %q) = %v", c.a, c.b, got)
		}
	}
}
