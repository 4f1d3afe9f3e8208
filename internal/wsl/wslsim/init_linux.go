package wslsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const self = "/proc/self/exe"

// startInit starts the init of a distro and returns when it can be dialled. It
// gets its own session and nothing of our environment [B19].
func startInit(dir, distro string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		w.Close()
		return err
	}
	defer null.Close()
	p, err := os.StartProcess(self, []string{roleInit, dir, distro}, &os.ProcAttr{
		Dir: "/", Env: []string{}, Files: []*os.File{null, null, null, w},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	w.Close()
	if err != nil {
		return fmt.Errorf("start init: %w", err)
	}
	if err := p.Release(); err != nil {
		return err
	}
	b, err := io.ReadAll(r)
	if err == nil && string(b) != "ready" {
		err = fmt.Errorf("init of %s: %s", distro, b)
	}
	return err
}

type distroInit struct {
	relays map[int]bool
	// life is never written to; relays notice by its closing that init is gone.
	lifeR, lifeW *os.File
}

// initMain is the simulated distro: parent and subreaper of everything in it
// [B22], the process that stays while wsl.exe processes come and go [B23].
func initMain(args []string) int {
	ready := os.NewFile(3, "ready")
	if err := runInit(args, ready); err != nil {
		fmt.Fprint(ready, err)
		return 1
	}
	return 0
}

func runInit(args []string, ready *os.File) error {
	syscall.CloseOnExec(3)
	if len(args) != 2 {
		return errors.New("bad arguments")
	}
	dir, name := args[0], args[1]
	s, err := Load(dir)
	if err != nil {
		return err
	}
	d, ok := s.find(name)
	if !ok {
		return errors.New("no such distro")
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := installTools(dir, d); err != nil {
		return err
	}
	s.installMounts(dir, d)
	in := &distroInit{relays: map[int]bool{}}
	if in.lifeR, in.lifeW, err = os.Pipe(); err != nil {
		return err
	}
	l, err := net.ListenUnix("unix", address(dir, d.Name))
	if err != nil {
		return err
	}
	fmt.Fprint(ready, "ready")
	ready.Close()
	idle := 15 * time.Second // [B34]
	if s.IdleStopMS != 0 {
		idle = time.Duration(s.IdleStopMS) * time.Millisecond
	}
	last := in.loop(l, idle)
	_ = os.WriteFile(filepath.Join(dir, vmStopped), nil, 0o600)
	_ = os.Chtimes(filepath.Join(dir, vmStopped), time.Time{}, time.Now())
	l.Close()
	// Whoever asked waits for the end of its connection, and must then find the distro stopped.
	runtime.KeepAlive(last)
	return nil
}

// loop serves until the distro ends, and returns the connection that asked for that, if one did.
func (in *distroInit) loop(l *net.UnixListener, idle time.Duration) *net.UnixConn {
	conns := make(chan *net.UnixConn)
	go func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	type message struct {
		op    byte
		body  []byte
		files []*os.File
		conn  *net.UnixConn
	}
	messages := make(chan message)
	chld := make(chan os.Signal, 1)
	signal.Notify(chld, syscall.SIGCHLD)
	// Whoever started us is about to launch something.
	timer := time.NewTimer(max(idle, 10*time.Second))
	if idle < 0 {
		timer.Stop()
	}
	for {
		select {
		case c := <-conns:
			go func() {
				if op, body, files, err := receive(c); err == nil {
					messages <- message{op, body, files, c}
				} else {
					c.Close()
				}
			}()
		case m := <-messages:
			switch m.op {
			case opTerminate:
				in.killAll()
				return m.conn
			case opProcesses:
				pids := []int{}
				for _, pid := range descendants(os.Getpid()) {
					if !in.relays[pid] {
						pids = append(pids, pid)
					}
				}
				_ = json.NewEncoder(m.conn).Encode(pids)
			case opLaunch:
				timer.Stop()
				in.launch(m.body, m.files)
			}
			for _, f := range m.files {
				f.Close()
			}
			m.conn.Close()
		case <-chld:
			before := len(in.relays)
			in.reap()
			if before > 0 && len(in.relays) == 0 && idle >= 0 {
				timer.Reset(idle)
			}
		case <-timer.C:
			// Daemons do not keep a distro alive [A4]. The soft stop is a SIGTERM nobody waits for [B34].
			if len(in.relays) == 0 {
				for _, pid := range descendants(os.Getpid()) {
					_ = syscall.Kill(pid, syscall.SIGTERM)
				}
				in.killAll()
				return nil
			}
		}
	}
}

func receive(c *net.UnixConn) (op byte, body []byte, files []*os.File, err error) {
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	one, oob := make([]byte, 1), make([]byte, 256)
	n, oobn, _, _, err := c.ReadMsgUnix(one, oob)
	if err != nil || n != 1 {
		return 0, nil, nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	if cms, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil {
		for _, cm := range cms {
			fds, _ := unix.ParseUnixRights(&cm)
			for _, fd := range fds {
				unix.CloseOnExec(fd)
				files = append(files, os.NewFile(uintptr(fd), "passed"))
			}
		}
	}
	body, err = io.ReadAll(c)
	return one[0], body, files, err
}

// launch starts the relay of one launch; when it cannot, its sockets close and the front sees a lost channel.
func (in *distroInit) launch(body []byte, files []*os.File) {
	if len(files) != 4 {
		return
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return
	}
	defer r.Close()
	p, err := os.StartProcess(self, []string{roleRelay}, &os.ProcAttr{
		Dir: "/", Env: []string{},
		Files: []*os.File{null, null, null, files[0], files[1], files[2], files[3], r, in.lifeR},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		w.Close()
		return
	}
	in.relays[p.Pid] = true
	_ = p.Release()
	go func() {
		_, _ = w.Write(body)
		w.Close()
	}()
}

func (in *distroInit) reap() {
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		if pid <= 0 || err != nil {
			return
		}
		delete(in.relays, pid)
	}
}

// killAll ends every process of the distro. Whatever loses its parent becomes
// our child, so the loop ends exactly when nothing is left.
func (in *distroInit) killAll() {
	for {
		for _, pid := range descendants(os.Getpid()) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		var ws syscall.WaitStatus
		if _, err := syscall.Wait4(-1, &ws, 0, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

// descendants lists the living processes below root.
func descendants(root int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		// pid (comm) state ppid: comm may hold anything, so cut at its last bracket.
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if len(f) < 2 || f[0] == "Z" {
			continue
		}
		ppid, _ := strconv.Atoi(f[1])
		children[ppid] = append(children[ppid], pid)
	}
	var out []int
	for todo := []int{root}; len(todo) > 0; todo = todo[1:] {
		out = append(out, children[todo[0]]...)
		todo = append(todo, children[todo[0]]...)
	}
	return out
}

// installTools puts wslpath and wslinfo into the distro: scripts, since nothing in
// the environment may tell the programs where their scenario is. A shifted clock
// is a date program of its own.
func installTools(dir string, d Distro) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	tools := map[string]string{}
	for _, name := range []string{"wslpath", "wslinfo"} {
		tools[name] = "#!/bin/sh\nexec " + quote(exe) + " wslsim-" + name + " " + quote(dir) + " " + quote(d.Name) + " \"$@\"\n"
	}
	if d.ClockShiftMS != 0 {
		tools["date"] = fmt.Sprintf("#!/bin/sh\nexec /bin/date -d \"@$(($(/bin/date +%%s) + %d))\" \"$@\"\n", d.ClockShiftMS/1000)
	}
	bin := d.bin(dir)
	if err := os.MkdirAll(bin, 0o700); err != nil {
		return err
	}
	for name, text := range tools {
		tmp := filepath.Join(bin, "."+name+"."+strconv.Itoa(os.Getpid()))
		if err := os.WriteFile(tmp, []byte(text), 0o700); err != nil {
			return err
		}
		if err := os.Rename(tmp, filepath.Join(bin, name)); err != nil {
			return err
		}
	}
	return nil
}
