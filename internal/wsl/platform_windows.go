package wsl

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// defaultExe is System32's wsl.exe; a 32-bit process sees it only under Sysnative.
func defaultExe() string {
	sys, err := windows.GetSystemDirectory()
	if err != nil {
		sys = `C:\Windows\System32`
	}
	if os.Getenv("PROCESSOR_ARCHITEW6432") != "" {
		if win, err := windows.GetWindowsDirectory(); err == nil {
			sys = filepath.Join(win, "Sysnative")
		}
	}
	return filepath.Join(sys, "wsl.exe")
}

// neutralDir is local and never a distro's share, in which wsl.exe cannot start.
func neutralDir() string {
	sys, err := windows.GetSystemDirectory()
	if err != nil {
		return ""
	}
	return sys
}

// exitFile is not needed: exit codes are 32 bits wide here.
type exitFile struct{}

func newExitFile() *exitFile               { return nil }
func (*exitFile) env() []string            { return nil }
func (*exitFile) code(exit int) exitStatus { return exitStatus{uint32(exit), true} }
func (*exitFile) close()                   {}
func sameVariable(a, b string) bool        { return strings.EqualFold(a, b) }
func platformRegistry() Registry           { return lxss{} }

// lxss is HKCU\Software\Microsoft\Windows\CurrentVersion\Lxss.
type lxss struct{}

const lxssPath = `Software\Microsoft\Windows\CurrentVersion\Lxss`

func (lxss) Distros() (string, []RegistryEntry, error) {
	root, err := registry.OpenKey(registry.CURRENT_USER, lxssPath, registry.READ)
	if errors.Is(err, registry.ErrNotExist) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	defer root.Close()
	def, _, err := root.GetStringValue("DefaultDistribution")
	if err != nil {
		def = ""
	}
	names, err := root.ReadSubKeyNames(-1)
	if err != nil {
		return "", nil, err
	}
	var out []RegistryEntry
	for _, n := range names {
		k, err := registry.OpenKey(root, n, registry.QUERY_VALUE)
		if err != nil {
			continue // removed in the meantime
		}
		e := RegistryEntry{Key: n}
		// A value that is missing or of another type stays zero, which is no installed distro.
		e.Name, _, _ = k.GetStringValue("DistributionName")
		if v, _, err := k.GetIntegerValue("State"); err == nil {
			e.State = uint32(v)
		}
		if v, _, err := k.GetIntegerValue("Flags"); err == nil {
			e.Flags = uint32(v)
		}
		k.Close()
		out = append(out, e)
	}
	return def, out, nil
}

func (lxss) Version() string {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, lxssPath+`\Msi`, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return ""
	}
	defer k.Close()
	v, _, err := k.GetStringValue("Version")
	if err != nil {
		return ""
	}
	return v
}
