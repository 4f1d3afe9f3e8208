package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"

	"golang.org/x/sys/windows"
)

// killedExit is the exit code of what Kill ended; chosen to be nobody else's.
const killedExit = 3239

func killedCode(code int) bool { return code == killedExit }

func guardMain() {}

// systemError makes what starting a program ends with recognisable: os/exec looks
// for extensions first, and a missing folder has an error of its own here.
func systemError(err error) error {
	var at *exec.Error
	switch {
	case errors.As(err, &at) && errors.Is(err, exec.ErrNotFound):
		return os.ErrNotExist
	case errors.Is(err, windows.ERROR_DIRECTORY):
		return fmt.Errorf("%w: %w", os.ErrNotExist, err)
	}
	return err
}

// tree is a job object that ends everything in it when its last handle, ours,
// is closed, by this process or by its end.
type tree struct {
	flags       uint32 // of the child's creation
	commandLine string // verbatim, "" for the quoted arguments

	mu      sync.Mutex
	job     windows.Handle // 0 once closed
	process windows.Handle // the child, 0 before its start and after its end
	pid     int
}

// newTree prepares; CREATE_NO_WINDOW keeps a console from flashing up under a
// parent without one.
func newTree(spec Spec, _ *exec.Cmd) (*tree, error) {
	if spec.Terminal != nil {
		return nil, errors.New("a program at a terminal is package term's to start here")
	}
	job, err := newJob()
	if err != nil {
		return nil, err
	}
	t := &tree{job: job, commandLine: spec.CommandLine}
	if !spec.InheritConsole {
		t.flags |= windows.CREATE_NO_WINDOW
	}
	return t, nil
}

// newJob makes a job that ends with its last handle.
func newJob() (windows.Handle, error) { return newJobWith(windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE) }

func (t *tree) start(cmd *exec.Cmd) (err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.process, t.pid, err = create(cmd, t.commandLine, t.flags, t.job)
	return err
}

func (t *tree) started(*exec.Cmd) (int, error) { return t.pid, nil }

// wait returns when the child has ended and what was left in its job with it.
func (t *tree) wait(*exec.Cmd) exit {
	code := uint32(0)
	_, err := windows.WaitForSingleObject(t.process, windows.INFINITE)
	if err == nil {
		err = windows.GetExitCodeProcess(t.process, &code)
	}
	t.kill()
	t.release()
	if err != nil {
		return exit{code: -1}
	}
	return exit{code: int(code)}
}

// terminate: there is no gentle signal for a program without a window or console.
func (t *tree) terminate() bool { return false }

func (t *tree) kill() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.job != 0 {
		windows.TerminateJobObject(t.job, killedExit)
	}
}

func (t *tree) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.job != 0 {
		windows.CloseHandle(t.job)
		t.job = 0
	}
	if t.process != 0 {
		windows.CloseHandle(t.process)
		t.process = 0
	}
}
