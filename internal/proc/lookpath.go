package proc

import (
	"os"
	"os/exec"
	"path/filepath"
)

// LookPath finds the executable name in pathList, a PATH value. Entries that
// are empty or relative are skipped: the current directory is never searched.
// A name with a separator is only checked. The error is an *exec.Error that
// wraps exec.ErrNotFound, or what was in the way.
func LookPath(name, pathList string) (string, error) {
	if name == "" {
		return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
	}
	if hasSeparator(name) {
		found, err := executable(name)
		if err != nil {
			return "", &exec.Error{Name: name, Err: err}
		}
		return found, nil
	}
	for _, dir := range filepath.SplitList(pathList) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if found, err := executable(filepath.Join(dir, name)); err == nil {
			return found, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}

// regular reports what keeps path from being a program as far as its kind goes.
func regular(path string) (os.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, os.ErrPermission
	}
	return info, nil
}
