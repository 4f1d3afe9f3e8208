//go:build unix

package proc

import (
	"errors"
	"os/exec"
	"sync"
	"syscall"
)

// tree is what is signalled together with a child: its process group, its
// guard, or the child alone where it keeps the console.
type tree struct {
	guard *guard // nil without one
	own   bool   // the child leads a group of its own
	// terminal: the child is the leader of a terminal's session.
	terminal bool

	mu   sync.Mutex
	pid  int
	gone bool // reaped: the number may be somebody else's
}

func newTree(spec Spec, cmd *exec.Cmd) (*tree, error) {
	t := &tree{own: !spec.InheritConsole, terminal: spec.Terminal != nil}
	if spec.Guard {
		g, err := newGuard(cmd, t.terminal)
		if err != nil {
			return nil, err
		}
		t.guard = g
	}
	if t.guard == nil {
		cmd.SysProcAttr = childAttr(t.own && !spec.NewSession && !t.terminal)
		// A session leader leads a group of the same number, too.
		cmd.SysProcAttr.Setsid = spec.NewSession || t.terminal
		cmd.SysProcAttr.Setctty = t.terminal // of Ctty 0, the child's stdin
	}
	return t, nil
}

func (t *tree) start(cmd *exec.Cmd) error { return cmd.Start() }

func (t *tree) started(cmd *exec.Cmd) (int, error) {
	if t.guard != nil {
		return t.guard.started(cmd)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pid = cmd.Process.Pid
	return t.pid, nil
}

// wait returns when the child is reaped and its group has been killed.
func (t *tree) wait(cmd *exec.Cmd) exit {
	if t.guard != nil {
		return t.guard.wait(cmd)
	}
	// The zombie keeps its number, and with it the group's, until cmd.Wait.
	waited := !awaitExit(t.pid)
	if waited {
		cmd.Wait()
	}
	t.mu.Lock()
	if t.own {
		syscall.Kill(-t.pid, syscall.SIGKILL)
	}
	t.gone = true
	t.mu.Unlock()
	if !waited {
		cmd.Wait()
	}
	if cmd.ProcessState == nil {
		return exit{code: -1} // reaped by somebody else: how it ended is unknown
	}
	return exitOf(cmd.ProcessState.Sys().(syscall.WaitStatus))
}

func exitOf(status syscall.WaitStatus) exit {
	if status.Signaled() {
		return exit{code: -1, signal: status.Signal().String()}
	}
	return exit{code: status.ExitStatus()}
}

func (t *tree) terminate() bool {
	if t.guard != nil {
		t.guard.command(guardTerminate)
		return true
	}
	if t.terminal {
		hangUp(t.signal)
		return true
	}
	t.signal(syscall.SIGTERM)
	return true
}

// hangUp is what a terminal's end does to its shell. An interactive shell heeds
// no SIGTERM, and a stopped one nothing before it goes on.
func hangUp(signal func(syscall.Signal)) {
	signal(syscall.SIGHUP)
	signal(syscall.SIGCONT)
}

func (t *tree) kill() {
	if t.guard != nil {
		t.guard.command(guardKill)
		return
	}
	t.signal(syscall.SIGKILL)
}

func (t *tree) signal(sig syscall.Signal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone || t.pid == 0 {
		return
	}
	if !t.own {
		syscall.Kill(t.pid, sig)
		return
	}
	if err := syscall.Kill(-t.pid, sig); errors.Is(err, syscall.EPERM) {
		// One member that may not be signalled must not save the child.
		syscall.Kill(t.pid, sig)
	}
}

func (t *tree) release() {
	if t.guard != nil {
		t.guard.release()
	}
}

// killedCode reports whether an exit code may stem from Kill.
func killedCode(int) bool { return false }

func systemError(err error) error { return err }
