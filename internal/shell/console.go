//go:build !windows

package shell

// AttachConsole does nothing where a program has the terminal that it was started in.
func AttachConsole() {}
