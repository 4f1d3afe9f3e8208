package wslsim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// request is what init and the relay are told about a launch.
type request struct {
	Argv []string // Argv[0] as the program shall see it
	File string   // what is searched in PATH
	Env  []string
	Dir  string
	Home string
	// WSL1: nothing gets SIGHUP when wsl.exe is killed [B30].
	WSL1 bool
	// OOM kills the program after OOMAfterMS [B40].
	OOM        bool
	OOMAfterMS int64
}

// launch is the front of a program in a distro: it talks to the relay through
// four sockets and knows nothing of the program but its exit status.
func (m *machine) launch(c command) uint32 {
	d, user, err := m.target(c)
	if err != nil {
		return m.fail(err)
	}
	for fd := range 3 {
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			return refuse("a console as standard stream")
		}
	}
	// Descriptors the caller left open are none of the distro's business.
	_ = unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
	home := d.home(m.dir, user)
	dir, bad, err := m.workDir(c, d, home)
	if err != nil {
		return m.fail(err)
	}
	if code, done := m.strike(OnLaunch, d.Name); done {
		return code
	}
	env, untranslatable := m.linuxEnv(m.dir, d, user, os.LookupEnv)
	if bad != "" {
		untranslatable = append(untranslatable, bad)
	}
	for _, p := range untranslatable { // [B21], W19
		if m.OldWarnings { // LF and UTF-8: it comes from Linux [A2.2]
			_, _ = fmt.Fprintf(os.Stderr, "<3>WSL (1230 - Relay) ERROR: CreateProcessParseCommon:863: Failed to translate %s\n", p)
			continue
		}
		m.err.print("wsl: Failed to translate '" + p + "'\r\n")
	}
	req := request{Env: env, Dir: dir, Home: home, WSL1: d.version() == 1, OOM: m.effects.hasOOM, OOMAfterMS: m.effects.oom.Milliseconds()}
	shell := d.shell()
	name := shell
	if c.login {
		name = "-" + filepath.Base(shell) // [B20]
	}
	switch c.form {
	case formExec:
		req.File, req.Argv = c.argv[0], c.argv
	case formShell:
		req.File, req.Argv = shell, []string{name, "-c", c.script}
	default:
		req.File, req.Argv = shell, []string{name}
	}
	socks, code, done := m.connect(d, req)
	if done {
		return code
	}
	if hold := max(m.HoldStdoutMS, m.effects.holdMS); hold > 0 {
		if err := startHost(hold); err != nil {
			return m.fail(err)
		}
	}
	return m.relay(socks)
}

// startHost leaves a wslhost behind that keeps our stdout open for ms milliseconds [B23].
func startHost(ms int) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	p, err := os.StartProcess(self, []string{roleHost, strconv.Itoa(ms)}, &os.ProcAttr{
		Dir: "/", Env: []string{}, Files: []*os.File{null, os.Stdout, null}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("start wslhost: %w", err)
	}
	return p.Release()
}

func hostMain(args []string) int {
	if ms, err := strconv.Atoi(strings.Join(args, "")); err == nil {
		wait(time.Duration(ms) * time.Millisecond)
	}
	return 0
}

// envInner marks the inner one of two wsl.exe processes.
const envInner = "WSLSIM_INNER"

// forward is the outer wsl.exe: it starts the inner one with the same command
// line and streams and passes its exit code; the inner one dies with it [A1.1, B24].
func forward(argv []string) uint32 {
	runtime.LockOSThread() // the death signal is tied to the thread that starts the child
	exit, err := os.CreateTemp("", "wslsim-inner-")
	if err != nil {
		return refuse("forward: " + err.Error())
	}
	defer exit.Close()
	// Without a name nothing stays behind when the outer one is killed.
	_ = os.Remove(exit.Name())
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, EnvExitFile+"=") || strings.HasPrefix(kv, EnvScenario+"=")
	})
	p, err := os.StartProcess(self, argv, &os.ProcAttr{
		Env:   append(env, envInner+"=1", fmt.Sprintf("%s=/proc/%d/fd/%d", EnvExitFile, os.Getpid(), exit.Fd()), EnvScenario+"="+scenarioDir()),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return refuse("forward: " + err.Error())
	}
	state, err := p.Wait()
	if err != nil {
		return refuse("forward: " + err.Error())
	}
	if b, err := io.ReadAll(exit); err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32); err == nil {
			return uint32(n)
		}
	}
	if state.ExitCode() < 0 {
		return 1 // killed
	}
	return uint32(state.ExitCode())
}

// connect hands the request to the distro's init, which is started when it does not run.
func (m *machine) connect(d Distro, req request) (socks [4]*os.File, code uint32, done bool) {
	var far [4]*os.File
	defer func() {
		for _, f := range far {
			if f != nil {
				f.Close()
			}
		}
	}()
	for i := range socks {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return socks, m.fail(fmt.Errorf("socketpair: %w", err)), true
		}
		socks[i], far[i] = os.NewFile(uintptr(fds[0]), "near"), os.NewFile(uintptr(fds[1]), "far")
	}
	conn, code, done := m.ensure(d)
	if done {
		return socks, code, true
	}
	defer conn.Close()
	if err := send(conn, opLaunch, req, far[:]); err != nil {
		// The distro ended between the two steps: a lost channel, exit 1 below [X14].
		return socks, 0, false
	}
	return socks, 0, false
}

// ensure returns a connection to the running distro's init; a cold start is serialised per distro.
func (m *machine) ensure(d Distro) (*net.UnixConn, uint32, bool) {
	if conn, err := dial(m.dir, d.Name); err == nil {
		return conn, 0, false
	}
	// A scenario written by hand may name distros that nobody has made folders for.
	if err := d.makeFolders(m.dir); err != nil {
		return nil, m.fail(err), true
	}
	unlock, err := LockFile(filepath.Join(d.folder(m.dir), "start.lock"))
	if err != nil {
		return nil, m.fail(err), true
	}
	defer unlock()
	if conn, err := dial(m.dir, d.Name); err == nil {
		return conn, 0, false
	}
	if code, done := m.strike(OnStart, d.Name); done {
		return nil, code, true
	}
	if d.StartDelayMS < 0 { // [B33]
		hang()
	}
	delay := d.StartDelayMS
	if !m.vmRuns() {
		delay += m.VMDelayMS
	}
	limit := d.InitTimeoutMS
	if limit == 0 {
		limit = 10_000
	}
	delay += min(d.SystemdDelayMS, limit)
	wait(time.Duration(delay) * time.Millisecond)
	if err := startInit(m.dir, d.Name); err != nil {
		return nil, m.fail(err), true
	}
	conn, err := dial(m.dir, d.Name)
	if err != nil {
		return nil, m.fail(fmt.Errorf("distro %s is gone again: %w", d.Name, err)), true
	}
	return conn, 0, false
}

// vmRuns: some distro runs, or the last one ended less than the VM's idle time ago [B34].
func (m *machine) vmRuns() bool {
	for _, d := range m.Distros {
		if Running(m.dir, d.Name) {
			return true
		}
	}
	idle := 60 * time.Second
	if m.VMIdleMS != 0 {
		idle = time.Duration(m.VMIdleMS) * time.Millisecond
	}
	st, err := os.Stat(filepath.Join(m.dir, vmStopped))
	return err == nil && time.Since(st.ModTime()) < idle
}

// vmStopped was last touched when a distro ended; a shutdown removes it with the VM.
const vmStopped = "vm.stopped"

// relay copies until the program has ended and all of its output is delivered [B25 to B28].
func (m *machine) relay(s [4]*os.File) uint32 {
	stdin, stdout, stderr := stream(0), stream(1), stream(2)
	if !m.effects.deaf {
		go func() {
			_, _ = copyPieces(&output{w: s[0], m: &machine{effects: effects{size: m.effects.size, pause: m.effects.pause}}}, stdin)
			closeWrite(s[0]) // EOF closes only the program's stdin [A3.2]
		}()
	}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = copyPieces(&output{w: stdout, m: m}, s[1]) })
	wg.Go(func() {
		_, _ = copyPieces(&output{w: stderr, m: &machine{effects: effects{size: m.effects.size, pause: m.effects.pause}}}, s[2])
	})
	var status [4]byte
	_, err := io.ReadFull(s[3], status[:])
	wg.Wait()
	if err != nil {
		return 1 // channel lost without a status [X14]
	}
	return m.exitOf(syscall.WaitStatus(uint32(status[0]) | uint32(status[1])<<8 | uint32(status[2])<<16 | uint32(status[3])<<24))
}

// exitOf maps a raw wait status [A3.5, B32, X02 to X12].
func (m *machine) exitOf(ws syscall.WaitStatus) uint32 {
	if ws.Signaled() {
		code := uint32(ws.Signal())
		if ws.CoreDump() {
			code += 128
		}
		return code
	}
	switch code := uint32(ws.ExitStatus()); code {
	case 67: // taken over
		return m.fail(&codeError{m.words().noUser, "Wsl/WSL_E_USER_NOT_FOUND"})
	case 87: // X06
		return m.fail(&codeError{"The maximum number of terminals has been reached.", "Wsl/WSL_E_TTY_LIMIT"})
	default:
		return code
	}
}

// stream wraps one of our own standard streams, non-blocking where that cannot disturb others who share it.
func stream(fd int) *os.File {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err == nil {
		if k := st.Mode & unix.S_IFMT; k == unix.S_IFIFO || k == unix.S_IFSOCK {
			_ = unix.SetNonblock(fd, true)
		}
	}
	return os.NewFile(uintptr(fd), "std")
}

func closeWrite(f *os.File) {
	if rc, err := f.SyscallConn(); err == nil {
		_ = rc.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) })
	}
}

// address is the abstract socket of a distro's init. That it can be dialled is
// what Running means: nothing on disk can be stale.
func address(dir, distro string) *net.UnixAddr {
	if abs, err := filepath.EvalSymlinks(dir); err == nil {
		dir = abs
	}
	h := sha256.Sum256([]byte(filepath.Clean(dir) + "\x00" + strings.ToLower(distro)))
	return &net.UnixAddr{Net: "unix", Name: "@wslsim-" + hex.EncodeToString(h[:16])}
}

func dial(dir, distro string) (*net.UnixConn, error) {
	return net.DialUnix("unix", nil, address(dir, distro))
}

// Operations of init.
const (
	opLaunch    = 'L'
	opTerminate = 'T'
	opProcesses = 'P'
	opPing      = 'p'
)

func send(conn *net.UnixConn, op byte, v any, files []*os.File) error {
	var oob []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		oob = unix.UnixRights(fds...)
	}
	if _, _, err := conn.WriteMsgUnix([]byte{op}, oob, nil); err != nil {
		return err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := conn.Write(b); err != nil {
		return err
	}
	return conn.CloseWrite()
}

// Running reports whether the distro runs.
func Running(dir, distro string) bool {
	conn, err := dial(dir, distro)
	if err != nil {
		return false
	}
	defer conn.Close()
	return send(conn, opPing, nil, nil) == nil
}

// Processes lists the process ids of the programs of a running distro, daemons
// included, without the simulator's own init and relays; none when it is stopped.
func Processes(dir, distro string) ([]int, error) {
	conn, err := dial(dir, distro)
	if err != nil {
		return nil, nil
	}
	defer conn.Close()
	if err := send(conn, opProcesses, nil, nil); err != nil {
		return nil, fmt.Errorf("wslsim: processes of %s: %w", distro, err)
	}
	var pids []int
	if err := json.NewDecoder(conn).Decode(&pids); err != nil {
		return nil, fmt.Errorf("wslsim: processes of %s: %w", distro, err)
	}
	return pids, nil
}

// Terminate kills every process of the distro at once and returns when they are gone [B35].
func Terminate(dir, distro string) error {
	conn, err := dial(dir, distro)
	if err != nil {
		return nil
	}
	defer conn.Close()
	if err := send(conn, opTerminate, nil, nil); err != nil {
		return nil // it ended by itself just now
	}
	_, _ = io.Copy(io.Discard, conn) // ends when init has exited
	return nil
}

// Shutdown terminates every distro of the scenario.
func Shutdown(dir string) error {
	s, err := Load(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range s.Distros {
		errs = append(errs, Terminate(dir, d.Name))
	}
	if err := os.Remove(filepath.Join(dir, vmStopped)); err != nil && !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// LockFile waits for the exclusive lock on a file, which is made when missing. The lock ends with the process at the latest.
func LockFile(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
