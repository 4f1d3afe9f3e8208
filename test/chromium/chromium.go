// Package chromium finds the browser that tests, benchmarks and pictures are made
// with; the product never imports it.
package chromium

import (
	"errors"
	"os/exec"
)

// Path is the build without a display where it is, which starts in half the time,
// or else the whole browser; an error says how to install one.
func Path() (string, error) {
	for _, name := range []string{"chromium-headless-shell", "chromium"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("chromium-headless-shell is missing; `go run ./tools/check -only tools` installs it")
}
