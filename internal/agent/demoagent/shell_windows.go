package demoagent

import (
	"os"
	"path/filepath"

	"catamaran/internal/proc"
)

// look is a harmless command for folders without Git.
const look = "dir"

// shell makes cmd.exe run the command as it is written. /s takes the outer quotes
// away and leaves what is between them alone; the code page is UTF-8 so that
// names come out as they are; /d leaves out what the registry would run first.
func shell(command string) proc.Spec {
	cmd := os.Getenv("ComSpec")
	if cmd == "" {
		cmd = filepath.Join(os.Getenv("SystemRoot"), "System32", "cmd.exe")
	}
	return proc.Spec{Path: cmd, CommandLine: `/d /s /c "chcp 65001 >nul 2>&1 & ` + command + `"`}
}
