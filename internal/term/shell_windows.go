package term

import "catamaran/internal/proc"

// chooseShell takes PowerShell 7, Windows' own PowerShell, or the command prompt, whichever is there.
func chooseShell(_ string, env []string) (string, []string) {
	path := pathOf(env)
	for _, name := range []string{"pwsh.exe", "powershell.exe"} {
		if found, err := proc.LookPath(name, path); err == nil {
			return found, []string{"-NoLogo"}
		}
	}
	if shell, ok := proc.EnvValue(env, "COMSPEC"); ok && shell != "" {
		return shell, nil
	}
	return "cmd.exe", nil
}

func localeOf([]string) []string { return nil }
