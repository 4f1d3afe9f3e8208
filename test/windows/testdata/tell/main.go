// Command tell sends a message to a program's window, as Windows itself would:
// tell CLASS MESSAGE WPARAM [LPARAM] prints the answer. It stands for the system in stories.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

func main() {
	if len(os.Args) == 4 {
		os.Args = append(os.Args, "0")
	}
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: tell CLASS MESSAGE WPARAM [LPARAM]")
		os.Exit(2)
	}
	user32 := windows.NewLazySystemDLL("user32.dll")
	class, err := windows.UTF16PtrFromString(os.Args[1])
	message, merr := strconv.ParseUint(os.Args[2], 0, 32)
	param, perr := strconv.ParseUint(os.Args[3], 0, 32)
	second, serr := strconv.ParseUint(os.Args[4], 0, 32)
	if err != nil || merr != nil || perr != nil || serr != nil {
		fmt.Fprintln(os.Stderr, err, merr, perr, serr)
		os.Exit(2)
	}
	// A program that has just been started may not have its window yet.
	var window uintptr
	for deadline := time.Now().Add(time.Minute); window == 0 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		window, _, _ = user32.NewProc("FindWindowW").Call(uintptr(unsafe.Pointer(class)), 0)
	}
	if window == 0 {
		fmt.Fprintln(os.Stderr, "no window of that class")
		os.Exit(1)
	}
	answer, _, _ := user32.NewProc("SendMessageW").Call(window, uintptr(message), uintptr(param), uintptr(second))
	fmt.Println("answer", answer)
}
