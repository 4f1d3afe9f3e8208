package shell

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// openDefault asks the system: a browser started by the shell is not in our job and outlives us.
func openDefault(url string) error {
	verb, err := windows.UTF16PtrFromString("open")
	if err != nil {
		return err
	}
	file, err := windows.UTF16PtrFromString(url)
	if err != nil {
		return err
	}
	if err := windows.ShellExecute(0, verb, file, nil, nil, windows.SW_SHOWNORMAL); err != nil {
		return fmt.Errorf("open the default browser: %w", err)
	}
	return nil
}
