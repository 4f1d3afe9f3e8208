package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// ctrlC is the person at the program's terminal.
func ctrlC(program string, args []string) error {
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NO_WINDOW}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer late.Stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("it wrote no line: %w", err)
	}
	fmt.Print(line)
	kernel32 := windows.NewLazySystemDLL("kernel32.dll")
	kernel32.NewProc("FreeConsole").Call()
	if r, _, err := kernel32.NewProc("AttachConsole").Call(uintptr(cmd.Process.Pid)); r == 0 {
		return fmt.Errorf("reach its console: %w", err)
	}
	kernel32.NewProc("SetConsoleCtrlHandler").Call(0, 1) // this program goes on
	if err := windows.GenerateConsoleCtrlEvent(windows.CTRL_C_EVENT, 0); err != nil {
		return err
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	fmt.Println("exit", cmd.ProcessState.ExitCode())
	return nil
}

func tell(args []string) int {
	if len(args) > 1 && args[0] == "--ctrl-c" {
		if err := ctrlC(args[1], args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	if len(args) == 3 {
		args = append(args, "0")
	}
	if len(args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: tell CLASS MESSAGE WPARAM [LPARAM]")
		return 2
	}
	user32 := windows.NewLazySystemDLL("user32.dll")
	class, err := windows.UTF16PtrFromString(args[0])
	message, merr := strconv.ParseUint(args[1], 0, 32)
	first, ferr := strconv.ParseUint(args[2], 0, 32)
	second, serr := strconv.ParseUint(args[3], 0, 32)
	if err != nil || merr != nil || ferr != nil || serr != nil {
		fmt.Fprintln(os.Stderr, err, merr, ferr, serr)
		return 2
	}
	// A program that has just been started may not have its window yet.
	var window uintptr
	for deadline := time.Now().Add(time.Minute); window == 0 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		window, _, _ = user32.NewProc("FindWindowW").Call(uintptr(unsafe.Pointer(class)), 0)
	}
	if window == 0 {
		fmt.Fprintln(os.Stderr, "no window of that class")
		return 1
	}
	answer, _, _ := user32.NewProc("SendMessageW").Call(window, uintptr(message), uintptr(first), uintptr(second))
	fmt.Println("answer", answer)
	return 0
}
