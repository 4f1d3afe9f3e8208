// Command catamaran-console is catamaran.com on Windows, the app for terminals:
// shells wait for a program of the console subsystem and read its exit code, which
// they do not with catamaran.exe. It runs that one, beside it, on the console it
// was started on, and ends with its exit code: 1 when it cannot be started.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"catamaran/internal/proc"
)

func main() {
	code, err := run()
	if err != nil {
		fmt.Fprintf(os.Stderr, "catamaran: the app cannot be started: %v\nInstall Catamaran again.\n", err)
		code = 1
	}
	os.Exit(code)
}

func run() (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	return proc.HandOver(strings.TrimSuffix(self, filepath.Ext(self))+".exe", os.Args[1:], []string{"CATAMARAN_CONSOLE=1"})
}
