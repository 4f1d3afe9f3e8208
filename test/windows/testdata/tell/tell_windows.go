package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

func tell(args []string) int {
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
