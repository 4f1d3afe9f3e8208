package shell

import "golang.org/x/sys/unix"

// peerUID is the user at the other end of a socket; -1 when it is not known.
func peerUID(fd int) int {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return -1
	}
	return int(cred.Uid)
}
