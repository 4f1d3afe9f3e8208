//go:build !windows

package demoagent

import "catamaran/internal/proc"

// look is a harmless command for folders without Git.
const look = "ls -l"

func shell(command string) proc.Spec {
	return proc.Spec{Path: "/bin/sh", Args: []string{"-c", command}}
}
