//go:build unix

package link_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"catamaran/internal/link/linktest"
)

// A socketpair is one descriptor for both directions on each side.
func TestOverSocketpair(t *testing.T) {
	t.Parallel()
	linktest.Run(t, linktest.Config{Start: func(t *testing.T) linktest.End {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		var ends [2]*os.File
		for i, fd := range fds {
			unix.CloseOnExec(fd)
			if err := unix.SetNonblock(fd, true); err != nil {
				t.Fatal(err)
			}
			ends[i] = os.NewFile(uintptr(fd), "socket")
		}
		return local(t, ends[0], ends[1], ends[1], ends[0])
	}})
}
