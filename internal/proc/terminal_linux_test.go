package proc

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	// session tells whether its streams are a terminal of its own session, then waits for a hang-up.
	roles["session"] = func([]string) {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGHUP)
		group, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
		sid, _ := unix.Getsid(0)
		tty, terr := os.OpenFile("/dev/tty", os.O_RDWR, 0)
		if terr == nil {
			tty.Close()
		}
		fmt.Printf("%v %v %v %v\n", err, terr, sid == os.Getpid(), group == os.Getpid())
		<-c
		fmt.Println("hung up")
	}
	roles["terminal-parent"] = func([]string) {
		master, tty, err := openTerminal()
		if err != nil {
			fmt.Println("error", err)
			return
		}
		spec := role("tree")
		spec.Guard, spec.Terminal = true, tty
		if _, err := Start(spec); err != nil {
			fmt.Println("error", err)
		}
		for out := bufio.NewScanner(master); out.Scan(); {
			fmt.Println(out.Text())
		}
	}
}

func openTerminal() (master, tty *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	return master, tty, err
}

func TestTerminalIsTheChildsOwn(t *testing.T) {
	t.Parallel()
	guarded(t, func(t *testing.T, guard bool) {
		master, tty, err := openTerminal()
		if err != nil {
			t.Fatal(err)
		}
		defer master.Close()
		spec := role("session")
		spec.Guard, spec.Terminal = guard, tty
		p := startRole(t, spec)
		tty.Close()
		out := bufio.NewReader(master)
		if got := lines(t, out, 1)[0]; got != "<nil> <nil> true true" {
			t.Fatalf("%q", got)
		}
		if err := p.Stop(t.Context(), Ladder{Terminate: 20 * time.Second}); err != nil {
			t.Fatal(err)
		}
		if got := lines(t, out, 1)[0]; got != "hung up" || p.ExitCode() != 0 {
			t.Errorf("%q, exit %d", got, p.ExitCode())
		}
	})
}

func TestKilledParentTakesTerminalsAlong(t *testing.T) {
	t.Parallel()
	p := startRole(t, role("terminal-parent"))
	fds := watch(t, lines(t, bufio.NewReader(p.Stdout()), 4))
	syscall.Kill(p.PID(), syscall.SIGKILL)
	allEnded(t, fds, 10*time.Second)
}
