//go:build unix

package term

import (
	"path/filepath"

	"catamaran/internal/proc"
)

// chooseShell takes the login shell, else SHELL, else sh. The environment is a
// login environment already, so the shell is only interactive, which it is by
// itself at a terminal.
func chooseShell(login string, env []string) (string, []string) {
	if login == "" {
		login, _ = proc.EnvValue(env, "SHELL")
	}
	switch filepath.Base(login) {
	case "nologin", "false", "true":
		login = ""
	}
	if !filepath.IsAbs(login) {
		login = "/bin/sh"
	}
	return login, nil
}

// localeOf is what lets programs print more than ASCII where nothing says so.
func localeOf(env []string) []string {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if has(env, name) {
			return nil
		}
	}
	return []string{"LANG=C.UTF-8"}
}
