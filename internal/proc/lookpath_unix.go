//go:build unix

package proc

import (
	"os"
	"strings"
)

const envFold = false

func hasSeparator(path string) bool { return strings.Contains(path, "/") }

func executable(path string) (string, error) {
	info, err := regular(path)
	if err != nil {
		return "", err
	}
	if info.Mode()&0o111 == 0 {
		return "", os.ErrPermission
	}
	return path, nil
}
