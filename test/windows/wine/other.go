//go:build !linux

package wine

import (
	"context"
	"errors"
	"io"
)

// Install says that this system is not the one.
func Install(context.Context, io.Writer) (string, error) {
	return "", errors.New("the Windows programs can only be tested on Linux on amd64")
}
