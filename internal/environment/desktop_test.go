//go:build linux

package environment

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/proc"
	"catamaran/internal/stage"
	"catamaran/internal/wsl"
	"catamaran/internal/wsl/wslsim"
	"catamaran/internal/wsl/wsltest"

	"golang.org/x/sys/unix"
)

// deskScript is what a fake desktop is told on stdin.
type deskScript struct {
	StateDir, LocalBackend, LocalHome, LogDir, WSLExe, Carried string
	// To is the change it makes; nil: it only runs. DieAt is the failpoint at which it dies by SIGKILL.
	To      *api.ModeConfig
	DieAt   string
	Timeout time.Duration
	// Backend is the native backend; "" means this test binary.
	Backend string
}

// fakeDesktop runs a pool in a process of its own, so that it can be killed.
func fakeDesktop() int {
	var s deskScript
	if err := json.NewDecoder(os.Stdin).Decode(&s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	carried, err := stage.Load(s.Carried)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	p, err := New(Options{StateDir: s.StateDir, LocalBackend: s.LocalBackend, LocalHome: s.LocalHome, LogDir: s.LogDir,
		WSL: wsl.New(wsl.Options{Exe: s.WSLExe}), Carried: carried, ChangeTimeout: s.Timeout})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	p.files.failpoint = func(point string) {
		if point == s.DieAt {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go p.Run(ctx)
	ready := make(chan struct{})
	go p.Watch(ctx, func(e api.Environments) {
		for _, x := range e.Environments {
			if x.State != api.EnvReady {
				return
			}
		}
		select {
		case <-ready:
		default:
			close(ready)
			fmt.Println("ready")
		}
	})
	<-ready
	if s.To == nil {
		select {}
	}
	c, err := p.ChangeMode(ctx, *s.To)
	fmt.Println("change", c.Phase, err)
	return 0
}

// desktop starts a fake desktop and returns it with its output.
func desktop(t *testing.T, o Options, m *wsltest.Machine, carriedDir string, s deskScript) *proc.Process {
	t.Helper()
	s.StateDir, s.LocalBackend, s.LocalHome, s.LogDir, s.WSLExe, s.Carried = o.StateDir, o.LocalBackend, o.LocalHome, o.LogDir, m.Exe, carriedDir
	if s.Backend != "" {
		s.LocalBackend = s.Backend
	}
	if s.Timeout == 0 {
		s.Timeout = 20 * time.Second
	}
	p, err := proc.Start(proc.Spec{Name: "fake desktop", Path: o.LocalBackend, Args: []string{"desktop"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.Background(), proc.Ladder{}); err != nil {
			t.Error(err)
		}
	})
	if err := json.NewEncoder(p.Stdin()).Encode(s); err != nil {
		t.Fatal(err)
	}
	return p
}

// W6.3: kill -9 of the desktop at any instant of a change ends, at the next
// start, with the last confirmed configuration, byte for byte.
func TestKillDuringChange(t *testing.T) {
	t.Parallel()
	const before = "{\"mode\": \"local\",   \"distro\":\"Debian\"}\n"
	for _, tc := range []struct {
		point     string
		fails     bool // the target never gets ready, so that the way back is taken
		confirmed bool // the change was confirmed before the kill
	}{
		{point: "write " + pendingFile},
		{point: "written " + pendingFile},
		{point: "rename " + pendingFile},
		{point: "renamed " + pendingFile},
		{point: "write " + modeFile},
		{point: "written " + modeFile},
		{point: "rename " + modeFile},
		{point: "renamed " + modeFile},
		{point: "confirm"},
		{point: "confirm.removed", confirmed: true},
		{point: "rollback", fails: true},
		{point: "rollback.restored", fails: true},
	} {
		for _, existed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, file there %v", tc.point, existed), func(t *testing.T) {
				t.Parallel()
				m := wsltest.Scenario(t, wslsim.Scenario{})
				was, wasMode := "", api.ModeConfig{Mode: api.ModeLocal}
				if existed {
					was, wasMode.Distro = before, "Debian"
				}
				o := wslOptions(t, m, was)
				if tc.fails {
					behave(t, home(m, "Ubuntu"), "fail")
				}
				to := api.ModeConfig{Mode: api.ModeBoth, Distro: "Ubuntu"}
				p := desktop(t, o, m, writeCarried(t), deskScript{To: &to, DieAt: tc.point})
				out, err := io.ReadAll(p.Stdout())
				if err != nil {
					t.Fatal(err)
				}
				<-p.Done()
				if p.Signal() != "killed" {
					t.Fatalf("the desktop did not die at %q: exit %d, %s %s", tc.point, p.ExitCode(), out, p.StderrTail())
				}
				next, err := New(o)
				if err != nil {
					t.Fatal(err)
				}
				want := wasMode
				if tc.confirmed {
					want = to
				}
				if got := next.Snapshot(); got.Config != want || got.Notice != nil {
					t.Errorf("config %+v (notice %+v), want %+v", got.Config, got.Notice, want)
				}
				if got := modeBytes(t, o); !tc.confirmed && got != was {
					t.Errorf("file %q, want %q", got, was)
				}
				endsSoon(t, o.LocalHome)
				endsSoon(t, home(m, "Ubuntu"))
			})
		}
	}
}

// endsSoon fails when a backend outlives its desktop by more than 5 s (W4.4).
func endsSoon(t *testing.T, home string) {
	t.Helper()
	endWithin(t, 5*time.Second, pids(home)...)
}

// endWithin fails when one of the processes, which are not our children, is still there after d.
func endWithin(t *testing.T, d time.Duration, pids ...int) {
	t.Helper()
	deadline := time.Now().Add(d)
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // gone
		}
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := 0, unix.EINTR
		for err == unix.EINTR {
			n, err = unix.Poll(fds, int(max(0, time.Until(deadline)).Milliseconds()))
		}
		unix.Close(fd)
		if n == 0 || err != nil {
			t.Errorf("process %d is still there after %v (%v)", pid, d, err)
		}
	}
}

// kill -9 of the desktop leaves no backend, native or in a distro, even one that ignores everything.
func TestKillOfTheDesktop(t *testing.T) {
	t.Parallel()
	for _, behaviour := range []string{"", "deaf"} {
		t.Run("behaviour "+behaviour, func(t *testing.T) {
			t.Parallel()
			m := wsltest.Scenario(t, wslsim.Scenario{})
			o := wslOptions(t, m, `{"mode":"both"}`)
			behave(t, o.LocalHome, behaviour)
			p := desktop(t, o, m, writeCarried(t), deskScript{})
			b := make([]byte, len("ready"))
			if _, err := io.ReadFull(p.Stdout(), b); err != nil || string(b) != "ready" {
				t.Fatalf("%q %v %s", b, err, p.StderrTail())
			}
			if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			<-p.Done()
			endsSoon(t, o.LocalHome)
			endsSoon(t, home(m, "Ubuntu"))
		})
	}
}
