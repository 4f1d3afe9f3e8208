package term

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/charmbracelet/x/conpty"
	"golang.org/x/sys/windows"

	"catamaran/internal/proc"
)

const (
	// killWait bounds the end after the kill.
	killWait = 5 * time.Second
	// lastOutput is the wait for output once the shell is gone: the pseudo-console
	// shows it up to a frame later, and has no end before it is closed.
	lastOutput = 100 * time.Millisecond
)

// console is a program at a pseudo-console.
type console struct {
	pty     *conpty.ConPty
	process *proc.Process

	mu     sync.Mutex // resize and close
	closed bool
}

// openConsole starts the shell of s.
func openConsole(s start) (*console, error) {
	p, err := conpty.New(s.cols, s.rows, 0)
	if err != nil {
		return nil, fmt.Errorf("open a pseudo-console: %w", err)
	}
	shell, err := proc.LookPath(s.shell, pathOf(s.env))
	if err != nil {
		p.Close()
		return nil, err
	}
	// Suspended, so that it is in its job before it can start anything.
	pid, handle, err := p.Spawn(shell, append([]string{shell}, s.args...), &syscall.ProcAttr{
		Dir: s.dir, Env: s.env, Sys: &syscall.SysProcAttr{CreationFlags: windows.CREATE_SUSPENDED},
	})
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("start %s: %w", filepath.Base(shell), err)
	}
	process, err := proc.Adopt("terminal "+filepath.Base(shell), pid, handle)
	if err != nil {
		p.Close()
		return nil, err
	}
	return &console{pty: p, process: process}, nil
}

func pathOf(env []string) string {
	path, ok := proc.EnvValue(env, "PATH")
	if !ok {
		path = os.Getenv("PATH")
	}
	return path
}

func (c *console) read(b []byte) (int, error) {
	n, err := c.pty.Read(b)
	if err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}

// tryWrite: a pipe's write may wait, so nothing is written here.
func (c *console) tryWrite([]byte) int { return 0 }

func (c *console) write(b []byte) error {
	for len(b) > 0 {
		n, err := c.pty.Write(b)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (c *console) resize(cols, rows int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return os.ErrClosed
	}
	return c.pty.Resize(cols, rows)
}

// redraw: the pseudo-console draws whatever it has by itself.
func (c *console) redraw() {}

// foreground: what runs beside the shell is known by number only.
func (c *console) foreground() (string, bool) { return "", c.process.Members() > 1 }

// stop ends everything in the terminal; there is no gentle way from outside.
func (c *console) stop(ctx context.Context) error {
	return c.process.Stop(ctx, proc.Ladder{Kill: killWait})
}

// close ends the reading too: the pseudo-console's end closes the pipe once what it has was read.
func (c *console) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		c.pty.Close()
	}
}
