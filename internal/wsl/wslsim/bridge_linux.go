package wslsim

import (
	"bufio"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// bridge starts the Linux build of wsl.exe for the Windows one.
type bridge struct {
	dir, token string

	mu    sync.Mutex
	calls map[string]*bridged
}

// bridged is one call that waits for its streams, or runs.
type bridged struct {
	streams [3]net.Conn
	all     chan struct{} // closed when the three are there
}

func bridgeFront([]string) (int, bool) { return 0, false }

// bridgeMain is `wslsim wslsim-bridge DIR`: it prints where it listens and
// serves the scenario DIR until its standard input ends.
func bridgeMain(dir string) int {
	dir, err := filepath.Abs(dir)
	if err == nil {
		_, err = Load(dir)
	}
	var l net.Listener
	if err == nil {
		l, err = net.Listen("tcp4", "127.0.0.1:0")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "WSLSIM: bridge:", err)
		return exitRefused
	}
	b := &bridge{dir: dir, token: rand.Text(), calls: map[string]*bridged{}}
	line, _ := json.Marshal(BridgeAddress{Address: l.Addr().String(), Token: b.token})
	fmt.Printf("%s\n", line)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(c)
		}
	}()
	_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
	return 0
}

// serve takes one connection: the beginning of a call, or one of its streams.
func (b *bridge) serve(c net.Conn) {
	var first bridgeHello
	if err := readLine(c, &first, bridgeWait); err != nil || subtle.ConstantTimeCompare([]byte(first.Token), []byte(b.token)) != 1 {
		c.Close()
		return
	}
	if first.Call == "" {
		defer c.Close()
		if err := b.call(c, first); err != nil {
			_ = writeLine(c, bridgeAnswer{Error: err.Error()})
		}
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	call := b.calls[first.Call]
	if call == nil || first.Stream < 0 || first.Stream > 2 || call.streams[first.Stream] != nil {
		c.Close()
		return
	}
	call.streams[first.Stream] = c
	if call.streams[0] != nil && call.streams[1] != nil && call.streams[2] != nil {
		close(call.all)
	}
}

func (b *bridge) call(control net.Conn, req bridgeHello) error {
	if s, err := Load(b.dir); err != nil {
		return err
	} else if s.HoldStdoutMS > 0 {
		return errors.New("a wslhost that holds the output is not simulated across the bridge")
	}
	id := rand.Text()
	call := &bridged{all: make(chan struct{})}
	b.mu.Lock()
	b.calls[id] = call
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.calls, id)
		for _, s := range call.streams {
			if s != nil {
				s.Close()
			}
		}
		b.mu.Unlock()
	}()
	if err := writeLine(control, bridgeAnswer{Call: id}); err != nil {
		return err
	}
	select {
	case <-call.all:
	case <-time.After(bridgeWait):
		return errors.New("the streams of the call did not come")
	}
	return b.run(control, call, req)
}

// run is the call: the Linux wsl.exe has the connections themselves as its
// streams, and is killed when the Windows one has gone.
func (b *bridge) run(control net.Conn, call *bridged, req bridgeHello) error {
	exit, err := os.CreateTemp("", "wslsim-exit-")
	if err != nil {
		return err
	}
	defer exit.Close()
	defer os.Remove(exit.Name())
	env := []string{EnvScenario + "=" + b.dir, EnvRaw + "=" + req.Raw, EnvExitFile + "=" + exit.Name(), envWindowsDir + "=" + req.Dir, envWindowsPath + "=" + req.Path}
	if report := os.Getenv(EnvReport); report != "" {
		env = append(env, EnvReport+"="+report)
	}
	for name, value := range req.Env {
		env = append(env, name+"="+value)
	}
	var files []*os.File
	for i, s := range call.streams {
		f, err := s.(*net.TCPConn).File()
		if err != nil {
			return fmt.Errorf("stream %d: %w", i, err)
		}
		defer f.Close()
		files = append(files, f)
	}
	p, err := os.StartProcess(self, []string{"wsl.exe"}, &os.ProcAttr{Dir: "/", Env: env, Files: files, Sys: &syscall.SysProcAttr{Setsid: true}})
	for i, f := range files {
		f.Close()
		call.streams[i].Close() // the child's copy is the last one
	}
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_, _ = control.Read(make([]byte, 1)) // nothing comes but the end
		select {
		case <-ended:
		default:
			_ = p.Kill()
		}
	}()
	state, err := p.Wait()
	close(ended)
	if err != nil {
		return err
	}
	code := uint32(1) // killed
	text, err := io.ReadAll(exit)
	if n, perr := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32); err == nil && perr == nil {
		code = uint32(n)
	} else if state.ExitCode() >= 0 {
		code = uint32(state.ExitCode())
	}
	return writeLine(control, bridgeAnswer{Exit: &code})
}
