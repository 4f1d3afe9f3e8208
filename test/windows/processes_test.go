//go:build linux && wine

package windows

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"catamaran/internal/wsl/wslsim"
	"catamaran/test/windows/wine"
)

// said is what a program has said so far. A program of Windows that outlives the
// way into the session still writes when the way has ended.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func asTester() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: wine.User, Gid: wine.User}, Pdeathsig: syscall.SIGKILL}
}

// distro lists the processes in the simulated distros.
func (s *story) distro(ts *testscript.TestScript) []wine.Process {
	var found []wine.Process
	for _, d := range wslsim.Two().Distros {
		pids, err := wslsim.Processes(s.sim, d.Name)
		ts.Check(err)
		for _, pid := range pids {
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if err == nil {
				found = append(found, wine.ProcessOf(pid, line))
			}
		}
	}
	return found
}

func backendOfDistro(p wine.Process) bool {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.PID))
	return err == nil && strings.Contains(exe, "/.catamaran/bin/")
}

// kill9 desktop|backend|wsl kills as a crash does, and remembers what must end with it.
func (s *story) kill9(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: kill9 desktop|backend|wsl")
	}
	windows, linux := s.wine.Of(exes...), s.distro(ts)
	kill := func(ps []wine.Process, which func(wine.Process) bool) {
		n := 0
		for _, p := range ps {
			if which(p) {
				ts.Check(syscall.Kill(p.PID, syscall.SIGKILL))
				n++
			}
		}
		if n == 0 {
			ts.Fatalf("no %s runs: %v %v", args[0], windows, linux)
		}
	}
	s.victims = nil
	remember := func(ps []wine.Process, which func(wine.Process) bool) {
		for _, p := range ps {
			if which(p) {
				s.victims = append(s.victims, p.PID)
			}
		}
	}
	all := func(wine.Process) bool { return true }
	notDesktop := func(p wine.Process) bool { return !p.Is("catamaran.exe") }
	isWSL := func(p wine.Process) bool { return p.Is("wsl.exe") }
	switch args[0] {
	case "desktop":
		remember(windows, all)
		remember(linux, all)
		kill(windows, func(p wine.Process) bool { return p.Is("catamaran.exe") })
		_ = s.stdin.Close()
		<-s.ended
		s.process = nil
	case "wsl":
		remember(windows, isWSL)
		remember(linux, all)
		kill(windows, isWSL)
	case "backend":
		// What is below it, agents and their guards, is the same file; the backend is the oldest.
		oldest := func(ps []wine.Process, which func(wine.Process) bool) func(wine.Process) bool {
			first := wine.Process{Started: math.MaxUint64}
			for _, p := range ps {
				if which(p) && p.Started > 0 && p.Started < first.Started {
					first = p
				}
			}
			return func(p wine.Process) bool { return p.PID == first.PID }
		}
		if slices.ContainsFunc(linux, backendOfDistro) {
			remember(windows, isWSL)
			remember(linux, all)
			kill(linux, oldest(linux, backendOfDistro))
			return
		}
		remember(windows, notDesktop)
		kill(windows, oldest(windows, func(p wine.Process) bool { return p.Is("catamaran-backend.exe") }))
	default:
		ts.Fatalf("kill9 %s is not known", args[0])
	}
}

// gone [all]: what the last kill9 took along has ended; with all, so has everything of the product.
func (s *story) gone(ts *testscript.TestScript, neg bool, args []string) {
	began := time.Now()
	left := func() (who []string) {
		for _, pid := range s.victims {
			if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && len(line) > 0 {
				who = append(who, fmt.Sprintf("%d %q", pid, line))
			}
		}
		if len(args) > 0 {
			for _, p := range append(s.wine.Of(exes...), s.distro(ts)...) {
				who = append(who, fmt.Sprintf("%d %q", p.PID, p.Argv))
			}
		}
		return who
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		who := left()
		if len(who) == 0 {
			ts.Logf("gone after %v", time.Since(began).Round(time.Millisecond))
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("still there: %v", who)
		}
	}
}

// starts N: N desktops are started at once; one owns the state folder, all name its address.
func (s *story) starts(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(strings.Join(args, ""))
	ts.Check(err)
	var all sync.WaitGroup
	outs := make([]string, n)
	for i := range n {
		all.Go(func() {
			out, errOut, code := s.run("--no-window")
			outs[i] = fmt.Sprintf("exit %d %s%s", code, out, errOut)
		})
	}
	all.Wait()
	want := fmt.Sprintf(`"pid":%d,`, s.launch.PID)
	for _, o := range outs {
		if !strings.HasPrefix(o, "exit 0") || !strings.Contains(o, want) {
			ts.Fatalf("a further start said %s, want %s", o, want)
		}
	}
}

// folder DIR makes a folder of the tester's.
func (s *story) folder(ts *testscript.TestScript, neg bool, args []string) {
	for _, a := range args {
		dir := ts.MkAbs(a)
		ts.Check(os.MkdirAll(dir, 0o755))
		ts.Check(s.wine.Own(dir))
	}
}

// repo DIR makes a Git repository with one commit, the tester's.
func (s *story) repo(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(os.WriteFile(filepath.Join(dir, "README.md"), []byte("# Story\n"), 0o644))
	for _, a := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"-c", "user.name=Story", "-c", "user.email=story@localhost", "commit", "-q", "-m", "start"}} {
		cmd := exec.Command("git", append([]string{"-C", dir}, a...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null")
		if b, err := cmd.CombinedOutput(); err != nil {
			ts.Fatalf("git %v: %v\n%s", a, err, b)
		}
	}
	ts.Check(errors.Join(ownTree(dir), s.wine.Own(dir)))
}
