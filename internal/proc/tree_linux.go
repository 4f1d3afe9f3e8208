package proc

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func childAttr(own bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: own, Pdeathsig: syscall.SIGKILL}
}

// awaitExit returns true when pid has ended, leaving it unreaped; false where
// the kernel cannot do that (WSL 1 has been without waitid).
func awaitExit(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err == nil
		}
	}
}
