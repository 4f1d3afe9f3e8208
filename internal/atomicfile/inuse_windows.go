package atomicfile

import (
	"errors"

	"golang.org/x/sys/windows"
)

// inUse tells of what passes: MoveFileEx says "access denied" of a target that is open.
func inUse(err error) bool {
	return errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED)
}
