// Package home says where state lives. It creates nothing.
package home

import (
	"errors"
	"path/filepath"
)

// Dir returns the state folder: CATAMARAN_HOME where it is set (it must be
// absolute), else the system's usual place: %LOCALAPPDATA%\Catamaran,
// ~/Library/Application Support/Catamaran, or $XDG_DATA_HOME/catamaran with
// ~/.local/share/catamaran as its default. getenv and userHome come from the
// caller so that the rule can be tested for every system.
func Dir(goos string, getenv func(string) string, userHome string) (string, error) {
	if d := getenv("CATAMARAN_HOME"); d != "" {
		if !filepath.IsAbs(d) {
			return "", errors.New("CATAMARAN_HOME must be an absolute path; it is " + d)
		}
		return filepath.Clean(d), nil
	}
	if userHome == "" {
		return "", errors.New("no home directory is known; set CATAMARAN_HOME to an absolute path")
	}
	switch goos {
	case "windows":
		if d := getenv("LOCALAPPDATA"); d != "" {
			return filepath.Join(d, "Catamaran"), nil
		}
		return filepath.Join(userHome, "AppData", "Local", "Catamaran"), nil
	case "darwin":
		return filepath.Join(userHome, "Library", "Application Support", "Catamaran"), nil
	}
	if d := getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "catamaran"), nil
	}
	return filepath.Join(userHome, ".local", "share", "catamaran"), nil
}

// Desktop and Backend are the two halves of a state folder: the desktop's
// configuration, lock and logs; a backend's identity, database and logs.
func Desktop(dir string) string { return filepath.Join(dir, "desktop") }
func Backend(dir string) string { return filepath.Join(dir, "backend") }
