//go:build !windows

package demoagent

// look is a harmless command for folders without Git.
const look = "ls -l"

func shell(command string) (string, []string) { return "/bin/sh", []string{"-c", command} }
