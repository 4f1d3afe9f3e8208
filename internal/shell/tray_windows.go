package shell

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	shellNotifyIcon  = windows.NewLazySystemDLL("shell32.dll").NewProc("Shell_NotifyIconW")
	getModuleHandle  = windows.NewLazySystemDLL("kernel32.dll").NewProc("GetModuleHandleW")
	registerMessage  = user32.NewProc("RegisterWindowMessageW")
	loadImage        = user32.NewProc("LoadImageW")
	getSystemMetrics = user32.NewProc("GetSystemMetrics")
	createPopupMenu  = user32.NewProc("CreatePopupMenu")
	appendMenu       = user32.NewProc("AppendMenuW")
	destroyMenu      = user32.NewProc("DestroyMenu")
	trackPopupMenu   = user32.NewProc("TrackPopupMenuEx")
	setForeground    = user32.NewProc("SetForegroundWindow")
)

// Messages, flags and sizes of the notification area (shellapi.h, WinUser.h).
const (
	wmContextMenu   = 0x007b
	wmCommand       = 0x0111
	wmTray          = wmApp + 1
	trayClicked     = 0x0400 // NIN_SELECT
	trayKeyed       = 0x0401 // NIN_KEYSELECT
	trayNoteClicked = 0x0405 // NIN_BALLOONUSERCLICK

	notifyAdd, notifyModify, notifyDelete, notifySetVersion = 0, 1, 2, 4

	notifyMessage, notifyIcon, notifyTip, notifyInfo, notifyShowTip = 0x01, 0x02, 0x04, 0x10, 0x80

	notifyVersion4   = 4
	noteWithAppIcon  = 0x04 // NIIF_USER
	noteSilent       = 0x10 // NIIF_NOSOUND: sound is the page's to make
	noteRespectQuiet = 0x80 // NIIF_RESPECT_QUIET_TIME

	imageIcon, sharedImage        = 1, 0x8000
	smallIconWidth, smallIconHigh = 49, 50
	menuAlignBottom               = 0x20
)

// notifyIconData is NOTIFYICONDATAW of 64-bit Windows.
type notifyIconData struct {
	size             uint32
	window           windows.Handle
	id, flags        uint32
	callbackMessage  uint32
	icon             windows.Handle
	tip              [128]uint16
	state, stateMask uint32
	info             [256]uint16
	version          uint32
	infoTitle        [64]uint16
	infoFlags        uint32
	guid             windows.GUID
	balloonIcon      windows.Handle
}

func (s *System) data(flags uint32) *notifyIconData {
	d := &notifyIconData{window: s.window, id: 1, flags: flags, callbackMessage: wmTray, version: notifyVersion4}
	d.size = uint32(unsafe.Sizeof(*d))
	return d
}

func notify(what uintptr, d *notifyIconData) bool {
	r, _, _ := shellNotifyIcon.Call(what, uintptr(unsafe.Pointer(d)))
	return r != 0
}

// appIcon is the small one among this program's resources; 0 where it was built without.
func appIcon() windows.Handle {
	self, _, _ := getModuleHandle.Call(0)
	name, err := windows.UTF16PtrFromString("APP")
	if err != nil {
		return 0
	}
	w, _, _ := getSystemMetrics.Call(smallIconWidth)
	h, _, _ := getSystemMetrics.Call(smallIconHigh)
	icon, _, _ := loadImage.Call(self, uintptr(unsafe.Pointer(name)), imageIcon, w, h, sharedImage)
	return windows.Handle(icon)
}

func (s *System) addIcon() {
	if !s.o.Tray {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.data(notifyMessage | notifyIcon | notifyTip | notifyShowTip)
	d.icon = appIcon()
	copy(d.tip[:], units("Catamaran", len(d.tip)))
	if s.shown = notify(notifyAdd, d); !s.shown {
		s.o.Log.Info("there is no notification area for the icon")
		return
	}
	notify(notifySetVersion, d)
	s.o.Log.Debug("the icon is in the notification area", "icon", d.icon != 0)
}

func (s *System) removeIcon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown {
		notify(notifyDelete, s.data(0))
	}
	s.shown, s.window = false, 0
}

// units is s in UTF-16, cut so that an end mark still fits into n.
func units(s string, n int) []uint16 {
	u, err := windows.UTF16FromString(cutUnits(s, n-1))
	if err != nil { // a zero byte
		return []uint16{0}
	}
	return u
}

// CanNotify reports whether Notify shows anything now.
func (s *System) CanNotify() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown
}

// Notify shows a notification; a click on it calls clicked. There is one at a time: a
// newer one takes the place of the older.
func (s *System) Notify(title, body string, clicked func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shown {
		return nil
	}
	d := s.data(notifyInfo | notifyShowTip)
	copy(d.infoTitle[:], units(title, len(d.infoTitle)))
	copy(d.info[:], units(body, len(d.info)))
	d.infoFlags = noteWithAppIcon | noteSilent | noteRespectQuiet
	if !notify(notifyModify, d) {
		return fmt.Errorf("show a notification: the notification area refused it")
	}
	s.clicked = clicked
	return nil
}

// noteClicked is for the notification that is shown, once.
func (s *System) noteClicked() {
	s.mu.Lock()
	clicked := s.clicked
	s.clicked = nil
	s.mu.Unlock()
	if clicked == nil {
		clicked = s.o.Open
	}
	clicked()
}

// menu opens the icon's menu at the place that the system names; what is chosen comes as wmCommand.
func (s *System) menu(window windows.Handle, at uintptr) {
	menu, _, _ := createPopupMenu.Call()
	if menu == 0 {
		return
	}
	defer destroyMenu.Call(menu)
	appendMenu.Call(menu, 0, trayOpen, uintptr(unsafe.Pointer(&units("Open Catamaran", 64)[0])))
	appendMenu.Call(menu, 0, trayQuit, uintptr(unsafe.Pointer(&units("Quit", 64)[0])))
	// Without the foreground the menu would not close by a click elsewhere.
	setForeground.Call(uintptr(window))
	trackPopupMenu.Call(menu, menuAlignBottom, uintptr(int16(at)), uintptr(int16(at>>16)), uintptr(window), 0)
}

// Entries of the tray's menu, as the system's WM_COMMAND names them.
const (
	trayOpen = 1
	trayQuit = 2
)

// cutUnits shortens s to at most n UTF-16 units, as the fixed fields of Windows' structures want it.
func cutUnits(s string, n int) string {
	units := 0
	for i, r := range s {
		if units++; r > 0xffff {
			units++
		}
		if units > n {
			return s[:i]
		}
	}
	return s
}
