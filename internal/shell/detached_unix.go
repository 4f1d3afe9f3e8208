//go:build unix

package shell

import (
	"os"
	"syscall"
)

// detached starts a program in a session of its own.
func detached(dir, path string, args []string, files []*os.File) (*os.Process, error) {
	return os.StartProcess(path, append([]string{path}, args...), &os.ProcAttr{Dir: dir, Files: files, Sys: &syscall.SysProcAttr{Setsid: true}})
}
