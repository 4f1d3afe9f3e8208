//go:build unix

package term

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"catamaran/internal/proc"
)

const (
	// hangupGrace is how long what runs in a terminal has after the hang-up; killWait bounds the end after the kill.
	hangupGrace = 500 * time.Millisecond
	killWait    = 5 * time.Second
	// lastOutput bounds the wait for output once the shell is gone.
	lastOutput = time.Second
)

// console is a program at a pseudo-terminal.
type console struct {
	master  *os.File
	raw     syscall.RawConn
	process *proc.Process
}

// openConsole starts the shell of s.
func openConsole(s start) (*console, error) {
	ptmx, tty, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("open a pseudo-terminal: %w", err)
	}
	defer ptmx.Close()
	defer tty.Close()
	// The library leaves the descriptor blocking: a read would hold a thread, and nothing could end it.
	fd, err := unix.FcntlInt(ptmx.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return nil, fmt.Errorf("open a pseudo-terminal: %w", err)
	}
	c := &console{master: os.NewFile(uintptr(fd), "terminal")}
	if c.raw, err = c.master.SyscallConn(); err == nil {
		err = c.resize(s.cols, s.rows)
	}
	if err == nil {
		c.process, err = proc.Start(proc.Spec{
			Name: "terminal " + filepath.Base(s.shell), Path: s.shell, Args: s.args, Dir: s.dir, Env: s.env, Terminal: tty, Guard: true,
		})
	}
	if err != nil {
		c.master.Close()
		return nil, err
	}
	return c, nil
}

// read fills b with what is there, waiting for the first of it. A terminal gives
// at most a page at a time; taking all of it at once keeps what follows cheap.
func (c *console) read(b []byte) (int, error) {
	n := 0
	var failed error
	err := c.raw.Read(func(fd uintptr) bool {
		for n < len(b) {
			m, err := unix.Read(int(fd), b[n:])
			switch {
			case errors.Is(err, unix.EINTR):
				continue
			case errors.Is(err, unix.EAGAIN):
				return n > 0
			case err != nil: // EIO: nobody has the other side open any more
				failed = io.EOF
			case m == 0:
				failed = io.EOF
			}
			if failed != nil {
				return true
			}
			n += m
		}
		return true
	})
	if err == nil && n == 0 {
		err = failed
	}
	return n, err
}

// tryWrite writes what can be taken at once, perhaps nothing.
func (c *console) tryWrite(b []byte) int {
	n := 0
	_ = c.raw.Write(func(fd uintptr) bool {
		if m, err := unix.Write(int(fd), b); err == nil {
			n = m
		}
		return true
	})
	return n
}

func (c *console) write(b []byte) error {
	_, err := c.master.Write(b)
	return err
}

func (c *console) resize(cols, rows int) error {
	return c.control(func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(cols), Row: uint16(rows)})
	})
}

// redraw asks the program in the foreground to draw its screen anew.
func (c *console) redraw() {
	if group := c.foregroundGroup(); group > 0 {
		_ = unix.Kill(-group, unix.SIGWINCH)
	}
}

func (c *console) foregroundGroup() int {
	group := 0
	err := c.control(func(fd int) (err error) {
		group, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		return err
	})
	if err != nil || group <= 0 {
		return 0
	}
	return group
}

// foreground tells whether another program than the shell has the terminal, and its name.
func (c *console) foreground() (string, bool) {
	group := c.foregroundGroup()
	if group == 0 || group == c.process.PID() {
		return "", false
	}
	return programName(group), true
}

func (c *console) control(f func(fd int) error) error {
	var failed error
	if err := c.raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// stop ends everything in the terminal: a hang-up, then, verified, a kill.
func (c *console) stop(ctx context.Context) error {
	if group := c.foregroundGroup(); group > 0 && group != c.process.PID() {
		_ = unix.Kill(-group, unix.SIGHUP)
		_ = unix.Kill(-group, unix.SIGCONT)
		defer unix.Kill(-group, unix.SIGKILL) // where there is no guard
	}
	return c.process.Stop(ctx, proc.Ladder{Terminate: hangupGrace, Kill: killWait})
}

func (c *console) close() { c.master.Close() }
