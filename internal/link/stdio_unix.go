//go:build unix

package link

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Stdio takes a backend's standard input and output for the link, once, at the
// start of main. Pipes, sockets and terminals become non-blocking, so that
// closing them ends a read or write that is under way; regular files stay as
// they are. Afterwards descriptor 0 is the null device and descriptor 1 is
// stderr: a stray print or a child that inherits them cannot touch the link.
// Where a stream cannot be had, its every Read or Write returns the reason.
func Stdio() (io.ReadCloser, io.WriteCloser) {
	in, inErr := take(0, "link-in")
	out, outErr := take(1, "link-out")
	err := divert()
	return orBroken(in, "stdin", inErr, err), orBroken(out, "stdout", outErr, err)
}

func orBroken(f *os.File, name string, errs ...error) io.ReadWriteCloser {
	if err := errors.Join(errs...); err != nil {
		if f != nil {
			f.Close()
		}
		return broken{fmt.Errorf("take %s for the link: %w", name, err)}
	}
	return f
}

// broken is a stream that could not be had.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error)  { return 0, b.err }
func (b broken) Write([]byte) (int, error) { return 0, b.err }
func (b broken) Close() error              { return nil }

// take duplicates a descriptor into a file of its own.
func take(fd int, name string) (*os.File, error) {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(own, &stat); err != nil {
		unix.Close(own)
		return nil, os.NewSyscallError("fstat", err)
	}
	switch uint32(stat.Mode) & unix.S_IFMT {
	case unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR:
		if err := unix.SetNonblock(own, true); err != nil {
			unix.Close(own)
			return nil, os.NewSyscallError("set nonblock", err)
		}
	}
	return os.NewFile(uintptr(own), name), nil
}

func divert() error {
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	defer unix.Close(null)
	if err := unix.Dup2(null, 0); err != nil {
		return os.NewSyscallError("dup2", err)
	}
	if err := unix.Dup2(2, 1); err != nil {
		// No stderr either.
		return os.NewSyscallError("dup2", unix.Dup2(null, 1))
	}
	return nil
}
