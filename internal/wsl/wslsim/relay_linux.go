package wslsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptors of the relay.
const (
	fdStdin = 3 + iota
	fdStdout
	fdStderr
	fdControl
	fdRequest
	fdLife
)

func nonblocking(fd int, name string) *os.File {
	syscall.CloseOnExec(fd)
	_ = unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), name)
}

// relayMain is the Linux side of one launch: it owns the pty and the three pipes
// of the program, and learns of the death of wsl.exe only from its closed socket [B30].
func relayMain() int {
	var socks [4]*os.File
	for i := range socks {
		socks[i] = nonblocking(fdStdin+i, "socket")
	}
	request := nonblocking(fdRequest, "request")
	life := nonblocking(fdLife, "life")
	body, err := io.ReadAll(request)
	if err != nil {
		return 1
	}
	var launched struct {
		WSL1, OOM  bool
		OOMAfterMS int64
	}
	if err := json.Unmarshal(body, &launched); err != nil {
		return 1
	}
	pty, tty, err := openPTY()
	if err != nil {
		return 1
	}
	var near, far [3]*os.File
	for i := range near {
		r, w, err := os.Pipe()
		if err != nil {
			return 1
		}
		near[i], far[i] = r, w
		if i == 0 {
			near[i], far[i] = w, r
		}
	}
	reqR, reqW, err := os.Pipe()
	if err != nil {
		return 1
	}
	p, err := os.StartProcess(self, []string{roleSession}, &os.ProcAttr{
		Dir: "/", Env: []string{}, Files: []*os.File{far[0], far[1], far[2], tty, reqR},
		Sys: &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}, // [B22]
	})
	if err != nil {
		return 1
	}
	for _, f := range []*os.File{far[0], far[1], far[2], tty, reqR} {
		f.Close()
	}
	go func() {
		_, _ = reqW.Write(body)
		reqW.Close()
	}()
	go func() { _, _ = io.Copy(io.Discard, pty) }() // nobody reads the terminal in the pipe case
	go feed(near[0], socks[0])

	var out sync.WaitGroup
	for i := 1; i <= 2; i++ {
		out.Go(func() { drain(socks[i], near[i]) })
	}
	go func() { // wsl.exe is gone: pty, stdin and output all break, nothing else is sent [B30, B31]
		_, _ = socks[3].Read(make([]byte, 1))
		if !launched.WSL1 {
			pty.Close()
		}
		for _, f := range []*os.File{near[0], near[1], near[2], socks[1], socks[2]} {
			f.Close()
		}
	}()
	go func() { // init is gone: so is everything in the distro
		_, _ = life.Read(make([]byte, 1))
		for _, pid := range descendants(os.Getpid()) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		os.Exit(1)
	}()

	if launched.OOM {
		time.AfterFunc(time.Duration(launched.OOMAfterMS)*time.Millisecond, func() { _ = p.Kill() })
	}
	state, err := p.Wait()
	if err != nil {
		return 1
	}
	pty.Close() // [B29]
	// All that the program wrote is in the pipes now; the copiers take that and stop [B28, B29].
	for i := 1; i <= 2; i++ {
		_ = near[i].SetReadDeadline(time.Unix(1, 0))
	}
	out.Wait()
	closeWrite(socks[1])
	closeWrite(socks[2])
	ws := uint32(state.Sys().(syscall.WaitStatus))
	_, _ = socks[3].Write([]byte{byte(ws), byte(ws >> 8), byte(ws >> 16), byte(ws >> 24)})
	return 0
}

// feed copies stdin eagerly, whether or not the program reads; what a program
// that closed its stdin does not take is dropped [A3.2, B25].
func feed(program, socket *os.File) {
	buf := make([]byte, pieceSize)
	broken := false
	for {
		n, err := socket.Read(buf)
		if n > 0 && !broken {
			_, werr := program.Write(buf[:n])
			broken = werr != nil
		}
		if err != nil {
			program.Close()
			return
		}
	}
}

// drain copies output until EOF, or until the read deadline says that the program
// has ended; then exactly what is in the pipe at that moment still goes out.
func drain(socket, pipe *os.File) {
	_, err := copyPieces(socket, pipe)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		rc, cerr := pipe.SyscallConn()
		if cerr != nil {
			return
		}
		left := 0
		_ = rc.Control(func(fd uintptr) { left, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
		_ = pipe.SetReadDeadline(time.Time{})
		_, _ = copyPieces(socket, io.LimitReader(pipe, int64(left)))
	}
	pipe.Close()
}

func openPTY() (master, slave *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil { // size without a console [A3.1]
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	if err != nil {
		unix.Close(fd)
		return nil, nil, err
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		unix.Close(fd)
		return nil, nil, err
	}
	return os.NewFile(uintptr(fd), "ptmx"), slave, nil
}

// sessionMain runs as the leader of the new session, with the terminal on
// descriptor 3, and becomes the program.
func sessionMain() int {
	syscall.CloseOnExec(3)
	b, err := io.ReadAll(os.NewFile(4, "request"))
	syscall.CloseOnExec(4)
	var req request
	if err == nil {
		err = json.Unmarshal(b, &req)
	}
	if err != nil {
		return 1
	}
	// A directory that does not exist in Linux: the program starts elsewhere [A2.2].
	if err := os.Chdir(req.Dir); err != nil && os.Chdir(req.Home) != nil {
		_ = os.Chdir("/")
	}
	// A signal that whoever started all this ignored, as nohup does, would stay ignored
	// over exec; one that is caught becomes the default.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT)
	file, err := execvp(req)
	// Only reached when it failed: exit 1, a text nobody may parse [A2.5, X12].
	fmt.Fprintf(os.Stderr, "<3>WSL (%d - ) ERROR: CreateProcessCommon:818: execvpe(%s) failed: %v\n", os.Getpid(), file, err)
	return 1
}

// execvp searches the PATH of the new environment [B20].
func execvp(req request) (string, error) {
	if strings.ContainsRune(req.File, '/') {
		return req.File, syscall.Exec(req.File, req.Argv, req.Env)
	}
	err := error(syscall.ENOENT)
	for _, kv := range req.Env {
		path, ok := strings.CutPrefix(kv, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(path) {
			if e := syscall.Exec(filepath.Join(dir, req.File), req.Argv, req.Env); !errors.Is(e, syscall.ENOENT) && !errors.Is(e, syscall.ENOTDIR) {
				err = e
			}
		}
	}
	return req.File, err
}
