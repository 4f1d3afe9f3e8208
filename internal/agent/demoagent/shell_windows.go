package demoagent

// look is a harmless command for folders without Git.
const look = "dir"

// shell uses PowerShell: its command line follows the rules by which arguments
// are quoted, which cmd.exe's does not.
func shell(command string) (string, []string) {
	return "powershell.exe", []string{"-NoLogo", "-NoProfile", "-NonInteractive", "-Command", command}
}
