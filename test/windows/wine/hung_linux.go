package wine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// hungWait is how long a process hangs before it is ended: far longer than a
	// thread ever waits for a lock that somebody gives back, far shorter than any
	// deadline of the product.
	hungWait = time.Second
	hungLook = 250 * time.Millisecond
)

// endHung does in Wine's place what Windows does by itself. A program that ends
// itself has its other threads killed wherever they are, and in Wine 10 that may
// be inside ntdll's Unix half with its lock of the address space held. The last
// thread then waits for that lock for ever while it leaves NtTerminateProcess,
// and every handle of the program stays open with it. Such a process has been
// told its exit code already, so ending it from outside changes nothing else.
func (s *Session) endHung(stop <-chan struct{}) {
	since := map[int]time.Time{}
	tick := time.NewTicker(hungLook)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		hang := map[int]time.Time{}
		for _, pid := range hung() {
			if ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid)); err != nil || ns != s.ns {
				continue
			}
			first, known := since[pid]
			if !known {
				first = time.Now()
			}
			if time.Since(first) < hungWait {
				hang[pid] = first
				continue
			}
			line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			s.t.Logf("limit exit: process %d hung in its own end and was ended: %.200q", pid, line)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		since = hang
	}
}

// hung lists the processes with one thread left that waits for a lock with the
// signals blocked that Wine blocks for no longer than a call of its server. A
// program of Windows that lives has more threads, and waits at a pipe to the server.
func hung() []int {
	all, _ := filepath.Glob("/proc/[0-9]*/wchan")
	var found []int
	for _, path := range all {
		dir := filepath.Dir(path)
		// The kernel's function: futex_do_wait, futex_wait_queue.
		if at, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(at), "futex_") {
			continue
		}
		threads, blocked, err := threadsOf(dir)
		if err != nil || threads != 1 || blocked&(1<<(syscall.SIGUSR1-1)) == 0 {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

// threadsOf reads how many threads a process has, and which signals its first one blocks.
func threadsOf(dir string) (threads int, blocked uint64, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(b)) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name {
		case "Threads":
			threads, err = strconv.Atoi(strings.TrimSpace(value))
		case "SigBlk":
			blocked, err = strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return threads, blocked, nil
}
