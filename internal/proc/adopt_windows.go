package proc

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Adopt takes a child over that somebody else created suspended, at a
// pseudo-console, which os/exec cannot: into a job of its own, and lets it run.
// It takes the handle over too, whatever it returns; on an error the child is
// gone. There are no pipes.
func Adopt(name string, pid int, handle uintptr) (*Process, error) {
	h := windows.Handle(handle)
	job, err := newJob()
	if err == nil {
		if err = windows.AssignProcessToJobObject(job, h); err != nil {
			err = fmt.Errorf("assign to job: %w", err)
		} else {
			err = resume(uint32(pid))
		}
	}
	if err != nil {
		windows.TerminateProcess(h, killedExit)
		windows.CloseHandle(h)
		if job != 0 {
			windows.CloseHandle(job)
		}
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{name: name, pid: pid, tail: &tail{limit: defaultStderrTail}, tree: &tree{job: job}, stdin: &stdinPipe{}, stdout: &stdoutPipe{}, done: make(chan struct{})}
	go func() {
		defer windows.CloseHandle(h)
		p.exit = exit{code: -1}
		if _, err := windows.WaitForSingleObject(h, windows.INFINITE); err == nil {
			var code uint32
			if windows.GetExitCodeProcess(h, &code) == nil {
				p.exit.code = int(int32(code))
			}
		}
		p.tree.kill()
		p.tree.release()
		close(p.done)
	}()
	return p, nil
}

// Members returns how many processes live in the child's job, itself included; 0 once it is gone.
func (p *Process) Members() int {
	p.tree.mu.Lock()
	defer p.tree.mu.Unlock()
	if p.tree.job == 0 {
		return 0
	}
	// JOBOBJECT_BASIC_ACCOUNTING_INFORMATION (winnt.h).
	var info struct {
		userTime, kernelTime, periodUser, periodKernel int64
		pageFaults, total, active, terminated          uint32
	}
	const basicAccounting = 1
	if err := windows.QueryInformationJobObject(p.tree.job, basicAccounting, uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)), nil); err != nil {
		return 0
	}
	return int(info.active)
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
