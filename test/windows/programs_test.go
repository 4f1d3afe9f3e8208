//go:build linux && wine

package windows

import (
	"debug/pe"
	"path/filepath"
	"testing"
)

// TestSubsystems: the app and its window open no console by being started; the
// terminals' program and the backend, which is started without a console, have one.
func TestSubsystems(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]uint16{
		"catamaran.exe": pe.IMAGE_SUBSYSTEM_WINDOWS_GUI, "catamaran-window.exe": pe.IMAGE_SUBSYSTEM_WINDOWS_GUI,
		"catamaran.com": pe.IMAGE_SUBSYSTEM_WINDOWS_CUI, "catamaran-backend.exe": pe.IMAGE_SUBSYSTEM_WINDOWS_CUI,
	} {
		f, err := pe.Open(filepath.Join(programs, name))
		if err != nil {
			t.Error(err)
			continue
		}
		h, ok := f.OptionalHeader.(*pe.OptionalHeader64)
		if !ok || h.Subsystem != want {
			t.Errorf("%s: subsystem %d, want %d", name, h.Subsystem, want)
		}
		f.Close()
	}
}
