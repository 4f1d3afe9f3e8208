//go:build !windows

package wsl

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

func defaultExe() string { return "" }

func neutralDir() string { return "/" }

// platformRegistry is none, but for tests of the whole product a file can stand
// for one: WSLSIM_REGISTRY names it, as WSLSIM_EXIT_FILE names that of exit codes.
func platformRegistry() Registry {
	if path := os.Getenv("WSLSIM_REGISTRY"); path != "" {
		return FileRegistry(path)
	}
	return nil
}

func sameVariable(a, b string) bool { return a == b }

// exitFile receives the 32-bit exit code, which a Unix exit status cannot carry
// (a wsl.exe for tests writes it where the variable says). The file has no name,
// so nothing stays behind however this process ends.
type exitFile struct {
	f    *os.File
	path string
}

// newExitFile returns nil when there can be none; codes then are what Unix shows.
func newExitFile() *exitFile {
	f, err := os.CreateTemp("", "wsl-exit-")
	if err != nil {
		return nil
	}
	_ = os.Remove(f.Name())
	e := &exitFile{f: f}
	rc, err := f.SyscallConn()
	if err == nil {
		err = rc.Control(func(fd uintptr) { e.path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd) })
	}
	if err == nil {
		_, err = os.Stat(e.path)
	}
	if err != nil {
		f.Close()
		return nil
	}
	return e
}

func (e *exitFile) env() []string {
	if e == nil {
		return nil
	}
	return []string{"WSLSIM_EXIT_FILE=" + e.path}
}

// code is the full exit code: from the file, else from the exit status with sure
// false, since 255 may be -1.
func (e *exitFile) code(exit int) exitStatus {
	if e != nil {
		b, err := io.ReadAll(io.NewSectionReader(e.f, 0, 32))
		if err == nil {
			if n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32); err == nil {
				return exitStatus{uint32(n), true}
			}
		}
	}
	return exitStatus{uint32(exit & 0xff), false}
}

func (e *exitFile) close() {
	if e != nil {
		e.f.Close()
	}
}
