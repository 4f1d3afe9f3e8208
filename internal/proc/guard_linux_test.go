package proc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	// stubborn prints its name and pid and can only be killed.
	roles["stubborn"] = func(args []string) {
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
		fmt.Printf("%s %d\n", args[0], os.Getpid())
		forever()
	}
	// daemonise leaves a stubborn process in a session of its own and exits.
	roles["daemonise"] = func(args []string) {
		spawn(&syscall.SysProcAttr{Setsid: true}, "stubborn", args[0])
	}
	// tree has a stubborn child, a daemon and a grandchild, and is stubborn itself.
	roles["tree"] = func(args []string) {
		spawn(nil, "stubborn", "child")
		spawn(&syscall.SysProcAttr{Setsid: true}, "daemonise", "daemon")
		spawn(&syscall.SysProcAttr{Setpgid: true}, "nested", "grandchild")
		if len(args) > 0 {
			fmt.Println("leaving", os.Getpid())
			return
		}
		roles["stubborn"]([]string{"program"})
	}
	roles["nested"] = func(args []string) {
		spawn(&syscall.SysProcAttr{Setsid: true}, "stubborn", args[0])
		forever()
	}
	// parent starts role args[0], guarded or not, and passes its lines on.
	roles["parent"] = func(args []string) {
		spec := role(args[0])
		spec.Guard = args[1] == "guarded"
		p, err := Start(spec)
		if err != nil {
			fmt.Println("error", err)
			return
		}
		out := bufio.NewReader(p.Stdout())
		for {
			line, err := out.ReadString('\n')
			if err != nil {
				select {}
			}
			fmt.Print(line)
		}
	}
	// heir starts a stubborn daemon of its own with this process's stdout, and exits.
	roles["heir"] = func([]string) {
		spawn(&syscall.SysProcAttr{Setsid: true}, "holder")
		fmt.Print("done")
	}
	roles["holder"] = func([]string) {
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
		<-time.After(12 * time.Second)
	}
}

// forever is no select {}: at a terminal the runtime would take that for a deadlock.
func forever() { time.Sleep(time.Hour) }

// spawn starts a role outside the package's care, as foreign programs do.
func spawn(attr *syscall.SysProcAttr, name string, args ...string) {
	spec := role(name, args...)
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = os.Stdout, os.Stderr, attr
	if err := cmd.Start(); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

// watch opens pidfds for "name pid" lines.
func watch(t *testing.T, said []string) map[string]int {
	t.Helper()
	fds := map[string]int{}
	for _, line := range said {
		name, text, _ := strings.Cut(line, " ")
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%q", line)
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		t.Cleanup(func() {
			unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
			unix.Close(fd)
		})
		fds[name] = fd
	}
	return fds
}

// ended reports whether a process ends within d.
func ended(fd int, d time.Duration) bool {
	end := time.Now().Add(d)
	for {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, max(0, int(time.Until(end).Milliseconds())))
		if err == nil || !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}

func allEnded(t *testing.T, fds map[string]int, within time.Duration) {
	t.Helper()
	end := time.Now().Add(within)
	for name, fd := range fds {
		if !ended(fd, time.Until(end)) {
			t.Errorf("%s is still there after %v", name, within)
		}
	}
}

func TestGuardOutlivesKilledParent(t *testing.T) {
	t.Parallel()
	p := startRole(t, role("parent", "tree", "guarded"))
	fds := watch(t, lines(t, bufio.NewReader(p.Stdout()), 4))
	for name, fd := range fds {
		if ended(fd, 0) {
			t.Fatalf("%s ended early", name)
		}
	}
	syscall.Kill(p.PID(), syscall.SIGKILL) // the parent alone, not its group
	allEnded(t, fds, 2*time.Second)
}

func TestParentDeathEndsPlainChild(t *testing.T) {
	t.Parallel()
	p := startRole(t, role("parent", "deaf", "plain"))
	fds := watch(t, lines(t, bufio.NewReader(p.Stdout()), 1))
	syscall.Kill(p.PID(), syscall.SIGKILL)
	allEnded(t, fds, 2*time.Second)
}

func init() {
	roles["deaf"] = func([]string) { roles["stubborn"]([]string{"deaf"}) }
}

func TestGuardedTreeEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		end  func(t *testing.T, p *Process)
	}{
		{"on stop", nil, func(t *testing.T, p *Process) {
			err := p.Stop(context.Background(), Ladder{Terminate: 100 * time.Millisecond, Kill: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
		}},
		{"on kill", nil, func(t *testing.T, p *Process) { p.Kill(); waitDone(t, p, 2*time.Second) }},
		{"with the program", []string{"leave"}, func(t *testing.T, p *Process) { waitDone(t, p, 10*time.Second) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			spec := role("tree", c.args...)
			spec.Guard = true
			p := startRole(t, spec)
			if c.args != nil {
				// Its processes may be gone before they have said their numbers.
				c.end(t, p)
				return
			}
			fds := watch(t, lines(t, bufio.NewReader(p.Stdout()), 4))
			c.end(t, p)
			// Verified by then, not only under way.
			allEnded(t, fds, 0)
		})
	}
}

func TestGuardKilledTakesProgramAlong(t *testing.T) {
	t.Parallel()
	spec := role("deaf")
	spec.Guard = true
	p := startRole(t, spec)
	fds := watch(t, lines(t, bufio.NewReader(p.Stdout()), 1))
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	guardPID, _, ok := parseStat(string(stat))
	if !ok || guardPID == os.Getpid() {
		t.Fatalf("parent %d", guardPID)
	}
	syscall.Kill(guardPID, syscall.SIGKILL)
	waitDone(t, p, 5*time.Second)
	allEnded(t, fds, 2*time.Second)
	if p.ExitCode() != -1 || p.Signal() != "killed" {
		t.Errorf("exit %d, signal %q", p.ExitCode(), p.Signal())
	}
}

func TestSignalIsTold(t *testing.T) {
	t.Parallel()
	guarded(t, func(t *testing.T, guard bool) {
		spec := role("cat")
		spec.Guard = guard
		p := startRole(t, spec)
		syscall.Kill(p.PID(), syscall.SIGTERM)
		waitDone(t, p, 10*time.Second)
		if p.ExitCode() != -1 || p.Signal() != "terminated" {
			t.Errorf("exit %d, signal %q", p.ExitCode(), p.Signal())
		}
	})
}

func TestGroupEndsWithItsLeader(t *testing.T) {
	t.Parallel()
	p := startRole(t, role("leader"))
	fds := watch(t, lines(t, bufio.NewReader(p.Stdout()), 1))
	if ended(fds["member"], 0) {
		t.Fatal("the member ended early")
	}
	p.Stdin().Close()
	waitDone(t, p, 10*time.Second)
	allEnded(t, fds, 2*time.Second)
}

func init() {
	roles["leader"] = func([]string) {
		spawn(nil, "stubborn", "member")
		io.Copy(io.Discard, os.Stdin)
	}
}

// A process in another session holds stdout and stderr; nothing waits for it.
func TestRunDoesNotWaitForHolders(t *testing.T) {
	t.Parallel()
	began := time.Now()
	r, err := Run(deadline(t, 15*time.Second), role("heir"), nil, 100)
	if err != nil || string(r.Stdout) != "done" {
		t.Fatalf("%q, %v", r.Stdout, err)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestRunDeadlineWithHolder(t *testing.T) {
	t.Parallel()
	began := time.Now()
	_, err := Run(deadline(t, time.Second), role("holders"), nil, 100)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("took %v", took)
	}
}

func init() {
	roles["holders"] = func([]string) {
		spawn(&syscall.SysProcAttr{Setsid: true}, "holder")
		<-time.After(time.Hour) // select {} would be a deadlock, which ends the program
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		parent   int
		state    string
		ok       bool
	}{
		{"plain", "12 (cat) S 7 12 12 0", 7, "S", true},
		{"blanks and parentheses", "12 (a) b (c) R 9 1", 9, "R", true},
		{"zombie", "12 (x) Z 1 1", 1, "Z", true},
		{"cut", "12 (x", 0, "", false},
		{"short", "12 (x) S", 0, "", false},
		{"empty", "", 0, "", false},
	} {
		parent, state, ok := parseStat(c.in)
		if ok != c.ok || ok && (parent != c.parent || state != c.state) {
			t.Errorf("%s: %d %q %v", c.name, parent, state, ok)
		}
	}
}
