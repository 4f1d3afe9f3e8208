package shell

import (
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// detached starts a program without a console and in a process group of its own.
func detached(dir, path string, args []string, files []*os.File) (*os.Process, error) {
	return os.StartProcess(path, append([]string{path}, args...), &os.ProcAttr{Dir: dir, Files: files, Sys: &syscall.SysProcAttr{
		HideWindow: true, CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.DETACHED_PROCESS,
	}})
}
