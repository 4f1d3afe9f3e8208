package worktree

// PowerShell takes a script as one argument, with its own quoting left alone.
func shell(script string) (string, []string) {
	return "powershell.exe", []string{"-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-Command", script}
}
