package home

import "fmt"

// Volume is the file system that holds a folder.
type Volume struct {
	Free uint64 // bytes that this user may still use
	// ReadOnly and NoExec are how it is mounted; never set on Windows.
	ReadOnly, NoExec bool
}

// VolumeOf asks the system about the file system of path, which must exist.
func VolumeOf(path string) (Volume, error) {
	v, err := volumeOf(path)
	if err != nil {
		return Volume{}, fmt.Errorf("ask for the volume of %s: %w", path, err)
	}
	return v, nil
}
