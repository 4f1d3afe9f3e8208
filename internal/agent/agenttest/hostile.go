//go:build unix

package agenttest

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/api"
)

// patience is for machines that do much else; 60 MiB take a second or two by themselves.
const patience = 5 * time.Minute

// Hostile tells the stories of agents that do not behave, alike for every driver: own
// returns the target that is the test program in a role.
func Hostile(t *testing.T, own func(t *testing.T, role string) Target) {
	for role, size := range map[string]int{Huge: HugeBytes, Flood: FloodBytes} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			target := own(t, role)
			target.Timeout = patience
			s := Open(t, target, api.PermissionSupervised)
			if stop, err := s.Prompt("go"); err != nil || stop != agent.StopEndTurn {
				t.Fatalf("prompt = %q, %v (%+v)", stop, err, api.AsError(err))
			}
			if n := len(s.Text(agent.KindMessage)); n != size {
				t.Errorf("%d bytes of text; want %d", n, size)
			}
		})
	}
	for name, end := range map[string]func(s *Story){
		"a child that ignores everything goes with the session": func(s *Story) { s.Close(s.Session) },
		"a child that ignores everything goes with a killed agent": func(s *Story) {
			p, err := os.FindProcess(s.Session.Info().PID)
			if err == nil {
				err = p.Kill()
			}
			if err != nil {
				s.T.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := own(t, Leaves)
			target.Timeout = patience
			fifo := filepath.Join(t.TempDir(), "fifo")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			target.Config.Env = append(target.Config.Env, leaveVar+"="+fifo)
			s := Open(t, target, api.PermissionSupervised)
			ended := s.Start("go")
			opened, gone := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(gone)
				f, err := os.Open(fifo) // waits for the child
				close(opened)
				if err == nil {
					_, _ = io.Copy(io.Discard, f) // ends when nobody holds it any more
					_ = f.Close()
				}
			}()
			for what, c := range map[string]chan struct{}{"start": opened} {
				select {
				case <-c:
				case <-s.Ctx.Done():
					t.Fatalf("the child did not %s", what)
				}
			}
			end(s)
			select {
			case <-gone:
			case <-s.Ctx.Done():
				t.Error("the child is still there")
			}
			_, _ = ended() // however it went
		})
	}
}
