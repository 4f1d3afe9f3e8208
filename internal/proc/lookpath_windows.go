package proc

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const envFold = true

func hasSeparator(path string) bool { return strings.ContainsAny(path, `:\/`) }

// executable adds the extensions of PATHEXT where path has none of them.
func executable(path string) (string, error) {
	list := os.Getenv("PATHEXT")
	if list == "" {
		list = ".COM;.EXE;.BAT;.CMD"
	}
	exts := strings.Split(strings.ToLower(list), ";")
	if slices.Contains(exts, strings.ToLower(filepath.Ext(path))) {
		if _, err := regular(path); err == nil {
			return path, nil
		}
	}
	for _, ext := range exts {
		if !strings.HasPrefix(ext, ".") {
			continue
		}
		if _, err := regular(path + ext); err == nil {
			return path + ext, nil
		}
	}
	return "", os.ErrNotExist
}
