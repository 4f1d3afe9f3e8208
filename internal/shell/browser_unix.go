//go:build unix

package shell

import "errors"

func openDefault(string) error { return errors.New("this system opens addresses by a program") }

// systemStarts says that programs are started by the system's shell and not by this process.
const systemStarts = false

func openSystem(string, string, []string, string) error {
	return errors.New("this system opens folders by a program")
}
