package shell

import (
	"fmt"
	"os"
)

// StartDetached starts a program in dir that outlives this one, with nothing on its
// standard streams. It is for the app itself: what puts an update in place, and
// the new version. Whoever starts it has no other hold on it than the process.
// Windows does not move a folder that is some process's own: dir must not be the
// app's where that is to be replaced.
func StartDetached(dir, path string, args ...string) (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	p, err := detached(dir, path, args, []*os.File{null, null, null})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return p, nil
}
