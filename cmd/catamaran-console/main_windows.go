// Command catamaran-console is catamaran.com on Windows, the app for terminals:
// shells wait for a program of the console subsystem and read its exit code, which
// they do not with catamaran.exe. It runs that one, beside it, on the console it
// was started on, and ends with its exit code: 1 when it cannot be started.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

func main() {
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "catamaran:", err)
	}
	os.Exit(code)
}

func run() (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, fmt.Errorf("find this program: %w", err)
	}
	// Ctrl-C and a closed terminal reach the app too, which knows what to do.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM)
	cmd := exec.Command(strings.TrimSuffix(self, filepath.Ext(self))+".exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "CATAMARAN_CONSOLE=1")
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("start the app: %w; install Catamaran again", err)
	}
	if err := own(cmd.Process.Pid); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return 1, fmt.Errorf("bind the app to this command: %w", err)
	}
	err = cmd.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return ended.ExitCode(), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}

// own ends the process when this one ends, however it does. What the process itself
// starts is not in the job: the app's children have jobs of their own, and a desktop
// that is to outlive the terminal has none.
func own(pid int) error {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return err
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{
		LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | windows.JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK,
	}}
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits))); err != nil {
		return err
	}
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(pid))
	if err != nil {
		return nil // it has ended already
	}
	defer windows.CloseHandle(h)
	return windows.AssignProcessToJobObject(job, h)
}
