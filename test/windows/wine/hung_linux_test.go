package wine

import (
	"bufio"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// Only what waits for a lock with its signals blocked is taken for hung.
func TestHung(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		program string
		want    bool
	}{
		"in its end": {"signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1}); say(); lock.acquire()", true},
		"for a lock": {"say(); lock.acquire()", false},
		"for input":  {"signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1}); say(); sys.stdin.read()", false},
		"not alone": {"threading.Thread(target=sys.stdin.read, daemon=True).start(); " +
			"signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1}); say(); lock.acquire()", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("python3", "-c", "import signal, sys, threading\nlock = threading.Lock(); lock.acquire()\n"+
				"def say(): print('waits', flush=True)\n"+c.program)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			})
			if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
				t.Fatalf("%q, %v", line, err)
			}
			is := func() bool { return slices.Contains(hung(), cmd.Process.Pid) }
			if !c.want {
				// It said so just before it waits.
				for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
					if is() {
						t.Fatal("it is taken for hung")
					}
				}
				return
			}
			for end := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("it is not taken for hung")
				}
			}
		})
	}
}
