package file

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"catamaran/internal/api"
)

// readWait bounds a read of a file that may never answer.
const readWait = 10 * time.Second

// escapes is how os.Root says that a path leads out of it; it has no error value for that.
const escapes = "path escapes from parent"

// opened is an open regular file or folder inside a root.
type opened struct {
	*os.File
	info fs.FileInfo
}

// open opens what a checked path names in dir. Links are followed as long as
// they stay inside. Errors are *api.Error.
func open(dir, path string) (opened, error) {
	o, err := openIn(dir, path)
	if err != nil {
		return o, openError(path, err)
	}
	return o, nil
}

func openIn(dir, path string) (opened, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return opened{}, err
	}
	defer root.Close()
	return openAt(root, dir, path)
}

func openAt(root *os.Root, dir, path string) (opened, error) {
	name := filepath.FromSlash(path)
	info, err := root.Stat(name)
	if err != nil && strings.Contains(err.Error(), escapes) {
		// os.Root refuses every absolute link, also one that leads to the inside.
		if name, err = insideLink(dir, name); err != nil {
			return opened{}, err
		}
		info, err = root.Stat(name)
	}
	if err != nil {
		return opened{}, err
	}
	// Before it is opened: opening a pipe waits, opening a device may do things.
	if err := plain(info); err != nil {
		return opened{}, err
	}
	f, err := root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return opened{}, err
	}
	// And after: it may be another one by now.
	info, err = f.Stat()
	if err == nil {
		err = plain(info)
	}
	if err != nil {
		f.Close()
		return opened{}, err
	}
	_ = f.SetReadDeadline(time.Now().Add(readWait)) // ordinary files have none and answer at once
	return opened{f, info}, nil
}

// insideLink finds the name below dir of what a path with absolute links leads
// to. The result is opened below the root like any other: a link that changes
// in between leads nowhere new.
func insideLink(dir, name string) (string, error) {
	top, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(filepath.Join(top, name))
	if err != nil {
		return "", outside()
	}
	rel, err := filepath.Rel(top, real)
	if err != nil || !filepath.IsLocal(rel) {
		return "", outside()
	}
	return rel, nil
}

func plain(info fs.FileInfo) error {
	if info.Mode().IsRegular() || info.IsDir() {
		return nil
	}
	return &api.Error{Code: api.CodeInvalid, Message: "This is a device, a pipe or a socket, not a file.", Hint: "Only ordinary files are shown."}
}

// checked cleans a path of the system the backend runs on.
func checked(path string) (string, error) { return clean(runtime.GOOS, path) }
