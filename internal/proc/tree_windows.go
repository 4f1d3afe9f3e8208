package proc

import (
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// killedExit is the exit code of what Kill ended; chosen to be nobody else's.
const killedExit = 3239

func killedCode(code int) bool { return code == killedExit }

func guardMain() {}

// tree is a job object that ends everything in it when its last handle, ours,
// is closed, by this process or by its end.
type tree struct {
	mu  sync.Mutex
	job windows.Handle // 0 once closed
}

// newTree makes the child start suspended, so that it is in the job before it
// can start anything. CREATE_NO_WINDOW keeps a console from flashing up under a
// parent without one.
func newTree(spec Spec, cmd *exec.Cmd) (*tree, error) {
	if spec.Terminal != nil {
		return nil, errors.New("a program at a terminal is package term's to start here")
	}
	job, err := newJob()
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_SUSPENDED}
	if !spec.InheritConsole {
		cmd.SysProcAttr.CreationFlags |= windows.CREATE_NO_WINDOW
	}
	return &tree{job: job}, nil
}

// newJob makes a job that ends with its last handle.
func newJob() (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, fmt.Errorf("create job: %w", err)
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info))); err != nil {
		windows.CloseHandle(job)
		return 0, fmt.Errorf("limit job: %w", err)
	}
	return job, nil
}

func (t *tree) started(cmd *exec.Cmd) (int, error) {
	pid := cmd.Process.Pid
	var err error
	if herr := cmd.Process.WithHandle(func(handle uintptr) {
		err = windows.AssignProcessToJobObject(t.job, windows.Handle(handle))
	}); herr != nil {
		err = herr
	}
	if err != nil {
		err = fmt.Errorf("assign to job: %w", err)
	} else {
		err = resume(uint32(pid))
	}
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return 0, err
	}
	return pid, nil
}

// resume lets the one thread of a process that was started suspended run.
func resume(pid uint32) error {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPTHREAD, 0)
	if err != nil {
		return fmt.Errorf("list threads: %w", err)
	}
	defer windows.CloseHandle(snapshot)
	entry := windows.ThreadEntry32{Size: uint32(unsafe.Sizeof(windows.ThreadEntry32{}))}
	resumed := false
	for err = windows.Thread32First(snapshot, &entry); err == nil; err = windows.Thread32Next(snapshot, &entry) {
		if entry.OwnerProcessID != pid {
			continue
		}
		thread, err := windows.OpenThread(windows.THREAD_SUSPEND_RESUME, false, entry.ThreadID)
		if err != nil {
			return fmt.Errorf("open thread: %w", err)
		}
		_, err = windows.ResumeThread(thread)
		windows.CloseHandle(thread)
		if err != nil {
			return fmt.Errorf("resume thread: %w", err)
		}
		resumed = true
	}
	if !resumed {
		return fmt.Errorf("resume: process %d has no thread", pid)
	}
	return nil
}

// wait returns when the child has ended and what was left in its job with it.
func (t *tree) wait(cmd *exec.Cmd) exit {
	cmd.Wait()
	t.kill()
	t.release()
	if cmd.ProcessState == nil {
		return exit{code: -1}
	}
	return exit{code: cmd.ProcessState.ExitCode()}
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
}
