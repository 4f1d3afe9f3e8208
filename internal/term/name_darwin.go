package term

import "golang.org/x/sys/unix"

// programName is the name of a process, "" where it is gone.
func programName(pid int) string {
	k, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return ""
	}
	return cleanTitle(unix.ByteSliceToString(k.Proc.P_comm[:]))
}
