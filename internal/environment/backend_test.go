//go:build linux

package environment

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/proc"
	"catamaran/internal/stage"
	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"
)

// These tests run the real catamaran-backend, natively and in the simulated distro.

var built struct {
	once sync.Once
	dir  string
	err  error
}

// buildBackend builds catamaran-backend once per run, as the desktop carries it: static and not race-built.
func buildBackend(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		built.dir, built.err = os.MkdirTemp("", "catamaran-backend-test-")
		if built.err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		var r proc.Result
		r, built.err = proc.Run(ctx, proc.Spec{Name: "go build", Path: "go", Dir: filepath.Join("..", ".."),
			Args: []string{"build", "-race=false", "-o", filepath.Join(built.dir, "catamaran-backend"), "./cmd/catamaran-backend"},
			Env:  append(os.Environ(), "CGO_ENABLED=0")}, nil, 1<<20)
		if built.err == nil && r.ExitCode != 0 {
			built.err = fmt.Errorf("exit %d: %s", r.ExitCode, r.Stderr)
		}
	})
	if built.err != nil {
		t.Fatal("build catamaran-backend: ", built.err)
	}
	return filepath.Join(built.dir, "catamaran-backend")
}

func realOptions(t testing.TB, m *wsltest.Machine, mode string) (Options, string) {
	t.Helper()
	exe := buildBackend(t)
	o := wslOptions(t, m, mode)
	o.LocalBackend = exe
	dir := t.TempDir()
	for _, arch := range []string{"amd64", "arm64"} { // the machine's own is the one that counts
		if err := os.Symlink(exe, filepath.Join(dir, stage.FilePrefix+arch)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := stage.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	o.Carried = c
	return o, dir
}

func TestRealBackendThereAndBack(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	o, _ := realOptions(t, m, "")
	b := lay(t, o, nil)
	local := b.state("local", api.EnvReady)
	began := time.Now()
	if _, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeBoth, Distro: "Ubuntu"}); err != nil {
		t.Fatal(err, api.AsError(err).Details)
	}
	t.Logf("cold change to both: %v", time.Since(began))
	distro := find(b.p.Snapshot(), "wsl:Ubuntu")
	if distro.EnvironmentID == "" || distro.EnvironmentID == local.EnvironmentID || distro.OS != "linux" {
		t.Errorf("environments %+v and %+v", local, distro)
	}
	if ls := listeners(t, distro.PID); len(ls) != 0 {
		t.Errorf("the backend in the distro listens: %v", ls)
	}
	token, err := b.p.Token(t.Context(), "wsl:Ubuntu")
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.p.live("wsl:Ubuntu")
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.renewed = c.renewed.Add(-renewPause)
	c.mu.Unlock()
	b.p.Refused("wsl:Ubuntu", token)
	if renewed, err := b.p.Token(t.Context(), "wsl:Ubuntu"); err != nil || renewed == token {
		t.Errorf("renewed token: same %v, %v", renewed == token, err)
	}
	began = time.Now()
	if _, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeLocal, Distro: "Ubuntu"}); err != nil {
		t.Fatal(err)
	}
	t.Logf("back to local, the distro's backend ended: %v", time.Since(began))
	if alive(distro.PID) {
		t.Error("the distro's backend is still alive")
	}
	began = time.Now()
	if _, err := b.p.ChangeMode(t.Context(), api.ModeConfig{Mode: api.ModeWSLOnly, Distro: "Ubuntu"}); err != nil {
		t.Fatal(err)
	}
	t.Logf("warm change to wsl-only, the local backend ended: %v", time.Since(began))
	again := find(b.p.Snapshot(), "wsl:Ubuntu")
	if again.EnvironmentID != distro.EnvironmentID || alive(local.PID) {
		t.Errorf("after the way back %+v; local alive: %v", again, alive(local.PID))
	}
	files, err := filepath.Glob(filepath.Join(home(m, "Ubuntu"), "*"))
	if err != nil || len(files) == 0 {
		t.Errorf("%v %v", files, err)
	}
	for _, dir := range []string{o.LogDir, o.StateDir} {
		if err := grep(dir, token); err != nil {
			t.Error(err)
		}
	}
	began = time.Now()
	b.quit()
	if d := time.Since(began); d > time.Second {
		t.Errorf("quit took %v", d)
	}
}

// kill -9 of the desktop: no backend after 5 s, and the next desktop gets the same environment without a person's help.
func TestRealBackendAfterAKill(t *testing.T) {
	t.Parallel()
	m := wsltest.Scenario(t, wslsim.Scenario{})
	o, dir := realOptions(t, m, `{"mode":"both","distro":"Ubuntu"}`)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	desk := o
	desk.LocalBackend = exe // the program that plays the desktop
	p := desktop(t, desk, m, dir, deskScript{Backend: o.LocalBackend})
	b := make([]byte, len("ready"))
	if _, err := io.ReadFull(p.Stdout(), b); err != nil || string(b) != "ready" {
		t.Fatalf("%q %v %s", b, err, p.StderrTail())
	}
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	next := lay(t, o, nil)
	next.state("local", api.EnvReady)
	next.state("wsl:Ubuntu", api.EnvReady)
}

func grep(dir, secret string) error {
	return filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if err == nil && strings.Contains(string(b), secret) {
			return fmt.Errorf("%s holds a token", p)
		}
		return err
	})
}

// listeners names the listening sockets of a process.
func listeners(t *testing.T, pid int) []string {
	t.Helper()
	inodes := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		t.Fatalf("descriptors of %d: %v, %v", pid, fds, err)
	}
	for _, fd := range fds {
		if l, err := os.Readlink(fd); err == nil && strings.HasPrefix(l, "socket:[") {
			inodes[strings.TrimSuffix(strings.TrimPrefix(l, "socket:["), "]")] = true
		}
	}
	var found []string
	for file, column := range map[string][2]int{"tcp": {3, 9}, "tcp6": {3, 9}, "unix": {3, 6}} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, file))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) <= column[1] || !inodes[f[column[1]]] {
				continue
			}
			if file == "unix" && f[3] == "00010000" || file != "unix" && f[3] == "0A" {
				found = append(found, file+" "+line)
			}
		}
	}
	return found
}
