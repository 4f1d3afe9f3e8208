package wine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// hungWait is how long a process hangs before it is ended: far longer than a
	// thread ever waits for a lock that somebody gives back, far shorter than any
	// deadline of the product.
	hungWait = time.Second
	hungLook = 500 * time.Millisecond
)

// watch is the one look at the machine's processes for all sessions.
var watch struct {
	mu       sync.Mutex
	sessions map[string]*Session // by namespace
	stop     chan struct{}
	stopped  chan struct{}
}

// watchEnds does in Wine's place what Windows does by itself, until unwatchEnds. A
// program that ends itself has its other threads killed wherever they are, and in
// Wine 10 that may be inside ntdll's Unix half with its lock of the address space
// held. The last thread then waits for that lock for ever while it leaves
// NtTerminateProcess, and every handle of the program stays open with it. Such a
// process has been told its exit code already, so ending it from outside changes
// nothing else.
func (s *Session) watchEnds() {
	watch.mu.Lock()
	defer watch.mu.Unlock()
	if watch.sessions == nil {
		watch.sessions, watch.stop, watch.stopped = map[string]*Session{}, make(chan struct{}), make(chan struct{})
		go endHung(watch.stop, watch.stopped)
	}
	watch.sessions[s.ns] = s
}

func (s *Session) unwatchEnds() {
	watch.mu.Lock()
	delete(watch.sessions, s.ns)
	var last chan struct{}
	if watch.sessions != nil && len(watch.sessions) == 0 {
		close(watch.stop)
		watch.sessions, last = nil, watch.stopped
	}
	watch.mu.Unlock()
	if last != nil {
		<-last
	}
}

func endHung(stop <-chan struct{}, stopped chan<- struct{}) {
	defer close(stopped)
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
			first, known := since[pid]
			if !known {
				first = time.Now()
			}
			hang[pid] = first
			if time.Since(first) >= hungWait {
				end(pid)
			}
		}
		since = hang
	}
}

// end ends a process that is some session's.
func end(pid int) {
	ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		return
	}
	watch.mu.Lock()
	defer watch.mu.Unlock()
	s := watch.sessions[ns]
	if s == nil {
		return
	}
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	s.t.Logf("limit exit: process %d hung in its own end and was ended: %.200q", pid, line)
	_ = syscall.Kill(pid, syscall.SIGKILL)
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
