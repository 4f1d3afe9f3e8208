package shell

import (
	"os"

	"golang.org/x/sys/windows"
)

var attachConsole = windows.NewLazySystemDLL("kernel32.dll").NewProc("AttachConsole")

const attachParent = ^uintptr(0) // ATTACH_PARENT_PROCESS

// replaced keeps the collector from closing handles that are still in use.
var replaced []*os.File

// AttachConsole gives a program of the window subsystem the console of the
// terminal that started it, if there is one, and makes the standard streams that
// nobody redirected the console's. Call it before anything is printed.
func AttachConsole() {
	if r, _, _ := attachConsole.Call(attachParent); r == 0 {
		return // started by a click, or everything is redirected
	}
	for _, s := range []struct {
		id   uint32
		name string
		file **os.File
	}{
		{windows.STD_INPUT_HANDLE, "CONIN$", &os.Stdin},
		{windows.STD_OUTPUT_HANDLE, "CONOUT$", &os.Stdout},
		{windows.STD_ERROR_HANDLE, "CONOUT$", &os.Stderr},
	} {
		h, err := windows.GetStdHandle(s.id)
		if err == nil && h != 0 && h != windows.InvalidHandle {
			var mode uint32
			if windows.GetConsoleMode(h, &mode) == nil {
				// The console's own, inherited: taken for a file's before this process was on the console.
				replaced = append(replaced, *s.file)
				*s.file = os.NewFile(uintptr(h), s.name)
				continue
			}
			if t, err := windows.GetFileType(h); err == nil && t != windows.FILE_TYPE_UNKNOWN {
				continue // redirected
			}
		}
		if f, err := os.OpenFile(s.name, os.O_RDWR, 0); err == nil {
			*s.file = f
			_ = windows.SetStdHandle(s.id, windows.Handle(f.Fd()))
		}
	}
}
