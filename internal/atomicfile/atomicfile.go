// Package atomicfile reads and replaces small files that others may have open.
// Where the system lets them, nothing here differs from package os. On Windows a
// file that somebody reads, deletes, scans or indexes cannot be replaced, and one
// that is being replaced cannot be opened, for a moment; calls here outlast that
// moment and give the system's error when it has become too long.
package atomicfile

import (
	"os"
	"time"
)

// patience is how long a small file may be in use before that is an error.
const patience = 2 * time.Second

// Rename is os.Rename.
func Rename(from, to string) error { return RenameWithin(patience, from, to) }

// RenameWithin is Rename with a patience of its caller's, for a file or a folder.
func RenameWithin(patience time.Duration, from, to string) error {
	return outlast(patience, func() error { return os.Rename(from, to) })
}

// ReadFile is os.ReadFile.
func ReadFile(path string) (b []byte, err error) {
	err = outlast(patience, func() error {
		b, err = os.ReadFile(path)
		return err
	})
	return b, err
}

// Open is os.Open.
func Open(path string) (f *os.File, err error) {
	err = outlast(patience, func() error {
		f, err = os.Open(path)
		return err
	})
	return f, err
}

func outlast(patience time.Duration, do func() error) error {
	end := time.Now().Add(patience)
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := do()
		if err == nil || !inUse(err) || time.Now().After(end) {
			return err
		}
		time.Sleep(pause)
	}
}
