package proc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A guard is this executable in a hidden role: argv is guardArg0, the program,
// its arguments. It inherits the program's environment, directory and standard
// streams, the read end of the lifeline and the write end of the status pipe,
// on which it reports in lines:
//
//	S <pid>            the program runs
//	E <errno>          the program could not be started; nothing follows
//	X <code> <signal>  the program ended; the guard ends once the tree is gone
const (
	guardArg0 = "catamaran-guard"
	// terminalArg0 is a guard whose program is at a terminal, its standard streams.
	terminalArg0 = "catamaran-guard-terminal"
	lifelineFD   = 3
	statusFD     = 4
	guardStarts  = 30 * time.Second
)

// guardReady: GuardMain was called. Without it a guard would run the program's
// main (or its tests) once more instead.
var guardReady atomic.Bool

// guard is the parent's side.
type guard struct {
	lifeline *os.File
	status   *os.File
	reader   *bufio.Reader
	theirs   []*os.File
}

// newGuard turns cmd into a guard's command.
func newGuard(cmd *exec.Cmd, terminal bool) (*guard, error) {
	if !guardReady.Load() {
		return nil, errors.New("a guarded child needs GuardMain at the start of main")
	}
	lifelineRead, lifeline, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	status, statusWrite, err := os.Pipe()
	if err != nil {
		closeAll(lifelineRead, lifeline)
		return nil, err
	}
	arg0 := guardArg0
	if terminal {
		arg0 = terminalArg0
	}
	cmd.Args = append([]string{arg0, cmd.Path}, cmd.Args[1:]...)
	// The link, not the name behind it: the file may have been replaced since.
	cmd.Path = "/proc/self/exe"
	theirs := []*os.File{lifelineRead, statusWrite}
	cmd.ExtraFiles = theirs
	// No parent-death signal: outliving the parent is what a guard is for.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return &guard{lifeline: lifeline, status: status, reader: bufio.NewReader(status), theirs: theirs}, nil
}

func (g *guard) started(cmd *exec.Cmd) (int, error) {
	closeAll(g.theirs...)
	g.theirs = nil
	g.status.SetReadDeadline(time.Now().Add(guardStarts))
	line, err := g.reader.ReadString('\n')
	g.status.SetReadDeadline(time.Time{})
	var n int
	if err == nil {
		if pid, ok := strings.CutPrefix(strings.TrimSpace(line), "S "); ok {
			if n, err = strconv.Atoi(pid); err == nil {
				return n, nil
			}
		} else if _, scan := fmt.Sscanf(line, "E %d", &n); scan == nil {
			err = syscall.Errno(n)
		} else {
			err = fmt.Errorf("the guard reports %q", line)
		}
	} else {
		err = fmt.Errorf("the guard does not report: %w", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	return 0, err
}

// wait returns when the guard has ended, which it does after the last of the tree.
func (g *guard) wait(cmd *exec.Cmd) exit {
	cmd.Wait()
	rest, _ := io.ReadAll(g.reader)
	g.release()
	var code, sig int
	if _, err := fmt.Sscanf(string(rest), "X %d %d", &code, &sig); err != nil {
		// The guard itself was killed; the program goes with it (parent-death signal).
		return exit{code: -1, signal: syscall.SIGKILL.String()}
	}
	if sig != 0 {
		return exit{code: -1, signal: syscall.Signal(sig).String()}
	}
	return exit{code: code}
}

func (g *guard) command(c byte) { g.lifeline.Write([]byte{c}) }

func (g *guard) release() {
	closeAll(g.theirs...)
	closeAll(g.lifeline, g.status)
}

func guardMain() {
	terminal := os.Args[0] == terminalArg0
	if os.Args[0] != guardArg0 && !terminal {
		guardReady.Store(true)
		return
	}
	if len(os.Args) < 2 {
		syscall.Exit(2)
	}
	// The program's parent-death signal is bound to this thread.
	runtime.LockOSThread()
	syscall.CloseOnExec(lifelineFD)
	syscall.CloseOnExec(statusFD)
	// Without it daemons are out of reach (WSL 1), the rest still works.
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	pid, err := syscall.ForkExec(os.Args[1], os.Args[1:], &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2},
		// Without a Ctty of its own the terminal is stdin.
		Sys: &syscall.SysProcAttr{Setpgid: !terminal, Setsid: terminal, Setctty: terminal, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		errno, ok := err.(syscall.Errno)
		if !ok {
			errno = syscall.EINVAL
		}
		report("E %d\n", int(errno))
		syscall.Exit(1)
	}
	// The streams are the program's: a copy here would hold back their ends.
	if null, err := syscall.Open(os.DevNull, syscall.O_RDWR|syscall.O_CLOEXEC, 0); err == nil {
		for fd := range 3 {
			unix.Dup3(null, fd, 0)
		}
	}
	w := &warden{program: pid, terminal: terminal}
	report("S %d\n", pid)

	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	go func() {
		for range signals {
			w.terminate()
		}
	}()
	go w.follow(os.NewFile(lifelineFD, "lifeline"))
	w.reap()
	// Not os.Exit: in a race build that lingers for a second.
	syscall.Exit(0)
}

func report(format string, args ...any) {
	syscall.Write(statusFD, fmt.Appendf(nil, format, args...))
}

// warden is the guard's own side.
type warden struct {
	program  int
	terminal bool // the program leads a terminal's session

	mu      sync.Mutex
	gone    bool // the program has been reaped
	killing bool
}

// follow obeys the lifeline until it ends.
func (w *warden) follow(lifeline io.Reader) {
	buf := make([]byte, 16)
	for {
		n, err := lifeline.Read(buf)
		for _, c := range buf[:n] {
			switch c {
			case guardTerminate:
				w.terminate()
			case guardKill:
				w.kill()
			}
		}
		if err != nil {
			w.kill()
			return
		}
	}
}

func (w *warden) terminate() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.gone:
	case w.terminal:
		hangUp(func(s syscall.Signal) { syscall.Kill(-w.program, s) })
	default:
		syscall.Kill(-w.program, syscall.SIGTERM)
	}
}

func (w *warden) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.killing = true
	sweep()
}

// reap returns when there are no descendants left. Killing goes on after every
// death: the children of the dead have become ours by then, so whatever was
// started behind a sweep's back is found by a later one.
func (w *warden) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return
		}
		w.mu.Lock()
		if pid == w.program {
			w.gone, w.killing = true, true
			sig := 0
			if status.Signaled() {
				sig = int(status.Signal())
			}
			report("X %d %d\n", status.ExitStatus(), sig)
		}
		if w.killing {
			sweep()
		}
		w.mu.Unlock()
	}
}

// sweep kills every descendant of this process, until a look finds no new one.
// The bound is for a tree that forks faster than it is killed: reap comes back.
func sweep() {
	done := map[int]bool{}
	for range 16 {
		fresh := false
		for _, pid := range descendants(os.Getpid()) {
			if !done[pid] {
				done[pid], fresh = true, true
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if !fresh {
			return
		}
	}
}

// descendants lists the live descendants of root, from /proc.
func descendants(root int) []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	children := map[int][]int{}
	dead := map[int]bool{}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue
		}
		parent, state, ok := parseStat(string(stat))
		if !ok {
			continue
		}
		children[parent] = append(children[parent], pid)
		dead[pid] = state == "Z" || state == "X"
	}
	var found []int
	for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
		for _, pid := range children[queue[0]] {
			queue = append(queue, pid)
			if !dead[pid] {
				found = append(found, pid)
			}
		}
	}
	return found
}

// parseStat reads parent and state from /proc/<pid>/stat. The name before them
// may hold anything, parentheses and blanks too.
func parseStat(stat string) (parent int, state string, ok bool) {
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, "", false
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) < 2 {
		return 0, "", false
	}
	parent, err := strconv.Atoi(fields[1])
	return parent, fields[0], err == nil
}
