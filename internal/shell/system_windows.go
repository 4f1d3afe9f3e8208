package shell

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	user32           = windows.NewLazySystemDLL("user32.dll")
	registerClassEx  = user32.NewProc("RegisterClassExW")
	unregisterClass  = user32.NewProc("UnregisterClassW")
	createWindowEx   = user32.NewProc("CreateWindowExW")
	destroyWindow    = user32.NewProc("DestroyWindow")
	defWindowProc    = user32.NewProc("DefWindowProcW")
	getMessage       = user32.NewProc("GetMessageW")
	translateMessage = user32.NewProc("TranslateMessage")
	dispatchMessage  = user32.NewProc("DispatchMessageW")
	postMessage      = user32.NewProc("PostMessageW")
	postQuitMessage  = user32.NewProc("PostQuitMessage")
)

// Messages and their parameters (WinUser.h).
const (
	wmDestroy         = 0x0002
	wmClose           = 0x0010
	wmQueryEndSession = 0x0011
	wmEndSession      = 0x0016
	wmPowerBroadcast  = 0x0218
	wmApp             = 0x8000
	powerSuspend      = 4    // PBT_APMSUSPEND
	powerResumed      = 0x12 // PBT_APMRESUMEAUTOMATIC
)

// systemClass names the window, so that installers and tests find it.
const systemClass = "CatamaranSystem"

// wndClassEx is WNDCLASSEXW, message is MSG (WinUser.h).
type wndClassEx struct {
	size, style                        uint32
	wndProc                            uintptr
	classExtra, windowExtra            int32
	instance, icon, cursor, background windows.Handle
	menuName, className                *uint16
	iconSmall                          windows.Handle
}

type message struct {
	window         windows.Handle
	message        uint32
	wParam, lParam uintptr
	time           uint32
	x, y           int32
	private        uint32
}

// System is the app's part in what the system shows and says: one window that
// nobody sees, because the system asks windows, not programs, and only top-level
// ones, and the icon in the notification area that belongs to it.
type System struct {
	o SystemOptions

	mu     sync.Mutex
	window windows.Handle // 0 before and after
	shown  bool           // the icon is in the notification area
	// clicked belongs to the notification that was shown last.
	clicked func()
}

// NewSystem prepares; it shows nothing.
func NewSystem(o SystemOptions) *System { return &System{o: o} }

// Run listens, and shows the icon, until ctx ends.
func (s *System) Run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Explorer tells this when it has been started anew; icons are gone then.
	taskbar, err := windows.UTF16PtrFromString("TaskbarCreated")
	if err != nil {
		return err
	}
	taskbarCreated, _, _ := registerMessage.Call(uintptr(unsafe.Pointer(taskbar)))
	callback := windows.NewCallback(func(window windows.Handle, msg uint32, wParam, lParam uintptr) uintptr {
		if r, ok := s.answer(window, msg, wParam, lParam); ok {
			return r
		}
		if uintptr(msg) == taskbarCreated && taskbarCreated != 0 {
			s.addIcon()
			return 0
		}
		r, _, _ := defWindowProc.Call(uintptr(window), uintptr(msg), wParam, lParam)
		return r
	})
	name, err := windows.UTF16PtrFromString(systemClass)
	if err != nil {
		return err
	}
	class := wndClassEx{wndProc: callback, className: name}
	class.size = uint32(unsafe.Sizeof(class))
	if r, _, err := registerClassEx.Call(uintptr(unsafe.Pointer(&class))); r == 0 {
		return fmt.Errorf("register the system's window: %w", err)
	}
	defer unregisterClass.Call(uintptr(unsafe.Pointer(name)), 0)
	title, err := windows.UTF16PtrFromString("Catamaran")
	if err != nil {
		return err
	}
	window, _, err := createWindowEx.Call(0, uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(title)), 0, 0, 0, 0, 0, 0, 0, 0, 0)
	if window == 0 {
		return fmt.Errorf("make the system's window: %w", err)
	}
	s.mu.Lock()
	s.window = windows.Handle(window)
	s.mu.Unlock()
	s.addIcon()
	stop := context.AfterFunc(ctx, func() { postMessage.Call(window, wmApp, 0, 0) })
	defer stop()
	var m message
	for {
		r, _, err := getMessage.Call(uintptr(unsafe.Pointer(&m)), 0, 0, 0)
		switch int32(r) {
		case 0:
			return nil
		case -1:
			return fmt.Errorf("wait for the system's messages: %w", err)
		}
		translateMessage.Call(uintptr(unsafe.Pointer(&m)))
		dispatchMessage.Call(uintptr(unsafe.Pointer(&m)))
	}
}

// answer is what the window does with a message; false for what it leaves to the system.
func (s *System) answer(window windows.Handle, msg uint32, wParam, lParam uintptr) (uintptr, bool) {
	switch msg {
	case wmQueryEndSession:
		return 1, true // nothing here stands in the way
	case wmEndSession:
		if wParam != 0 {
			s.o.On(SystemEnding)
		}
	case wmClose:
		s.o.On(SystemEnding)
	case wmPowerBroadcast:
		switch wParam {
		case powerSuspend:
			s.o.On(SystemSuspends)
		case powerResumed:
			s.o.On(SystemResumed)
		}
		return 1, true
	case wmTray:
		switch lParam & 0xffff {
		case trayClicked, trayKeyed:
			s.o.Open()
		case trayNoteClicked:
			s.noteClicked()
		case wmContextMenu:
			s.menu(window, wParam)
		}
	case wmCommand:
		switch wParam & 0xffff {
		case trayOpen:
			s.o.Open()
		case trayQuit:
			s.o.Quit()
		}
	case wmApp:
		s.removeIcon()
		destroyWindow.Call(uintptr(window))
	case wmDestroy:
		postQuitMessage.Call(0)
	default:
		return 0, false
	}
	return 0, true
}
