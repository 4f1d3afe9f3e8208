package shell

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// systemStarts: a program started by the system's shell is not in our job and outlives us.
const systemStarts = true

// openDefault asks the system for the handler of an address.
func openDefault(url string) error { return openSystem("open", url, nil, "") }

// openSystem is the shell's own way to open, explore or start something.
func openSystem(verb, file string, args []string, dir string) error {
	texts := []string{verb, file, "", dir}
	if len(args) > 0 {
		texts[2] = windows.ComposeCommandLine(args)
	}
	var pointers [4]*uint16
	for i, s := range texts {
		if s == "" {
			continue
		}
		p, err := windows.UTF16PtrFromString(s)
		if err != nil {
			return err
		}
		pointers[i] = p
	}
	if err := windows.ShellExecute(0, pointers[0], pointers[1], pointers[2], pointers[3], windows.SW_SHOWNORMAL); err != nil {
		return fmt.Errorf("open by the system: %w", err)
	}
	return nil
}
