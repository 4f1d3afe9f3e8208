//go:build unix

package shell

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

func lockFile(f *os.File, wait bool) (bool, error) {
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		default:
			return false, &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
	}
}

// maxSocketPath is what fits into a socket address on every Unix (104 with the zero on macOS).
const maxSocketPath = 103

// controlPath is the endpoint's socket: in the state folder, or, where that
// path is too long for a socket, in a private folder of the temporary one.
func controlPath(dir string) (string, error) {
	p := filepath.Join(dir, "control.sock")
	if len(p) <= maxSocketPath {
		return p, nil
	}
	private := filepath.Join(os.TempDir(), fmt.Sprintf("catamaran-%d", os.Getuid()))
	if err := os.Mkdir(private, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(private)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm() != 0o700 || !ok || int(st.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s is not a private folder of this user", private)
	}
	sum := sha256.Sum256([]byte(dir))
	return filepath.Join(private, hex.EncodeToString(sum[:8])+".sock"), nil
}

// listenControl must be called by the owner of the state folder: what lies in
// the socket's place is a dead desktop's.
func listenControl(dir string) (net.Listener, error) {
	path, err := controlPath(dir)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		ln.Close()
		return nil, err
	}
	return sameUser{ln}, nil
}

func dialControl(ctx context.Context, dir string) (net.Conn, error) {
	path, err := controlPath(dir)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}

// sameUser drops connections of other users, should the permissions of the folder ever be opened.
type sameUser struct{ net.Listener }

func (l sameUser) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		raw, err := c.(*net.UnixConn).SyscallConn()
		uid := -1
		if err == nil {
			raw.Control(func(fd uintptr) { uid = peerUID(int(fd)) })
		}
		if uid == os.Getuid() || uid == 0 {
			return c, nil
		}
		c.Close()
	}
}
