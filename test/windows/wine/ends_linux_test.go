//go:build wine

package wine

import (
	"errors"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// A process of a session that hangs as in its own end is ended; what waits as a living one is not.
func TestHungIsEnded(t *testing.T) {
	t.Parallel()
	s := Start(t)
	const wait = `$x = pack("i", 0); syscall(202, $x, 128, 0, 0)` // futex, FUTEX_WAIT_PRIVATE
	run := func(script string) (*exec.Cmd, <-chan error) {
		cmd := exec.Command("nsenter", "-t", strconv.Itoa(s.inner), "-m", "-p", "--", "perl", "-MPOSIX", "-e", script)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		return cmd, ended
	}
	living, still := run(wait)
	defer func() { _ = living.Process.Kill() }()
	_, ended := run(`sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGUSR1)); ` + wait)
	select {
	case err := <-ended:
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(startWait):
		t.Fatal("it is still there")
	}
	select {
	case err := <-still:
		t.Errorf("the living one ended with %v", err)
	default:
	}
}
