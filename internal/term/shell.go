package term

import (
	"path/filepath"
	"slices"
	"strings"

	"catamaran/internal/build"
	"catamaran/internal/proc"
)

// shellName is a shell's file name, for people.
func shellName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), ".exe")
}

// theirs are variables of the terminal that the desktop was started in; in ours they would be lies.
var theirs = []string{
	"TERM", "COLORTERM", "COLUMNS", "LINES", "WINDOWID", "TERMCAP", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TERM_SESSION_ID", "VTE_VERSION",
	"TMUX", "TMUX_PANE", "STY", "WT_SESSION", "WT_PROFILE_ID", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "OLDPWD", "SHLVL", "_",
}

// terminalEnv makes a terminal's environment of a login environment.
func terminalEnv(env []string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains(theirs, name) || strings.HasPrefix(name, "VSCODE_")
	})
	env = append(env, "TERM=xterm-256color", "COLORTERM=truecolor", "TERM_PROGRAM=catamaran", "TERM_PROGRAM_VERSION="+build.Version)
	return append(env, localeOf(env)...)
}

// has reports whether a variable is set to something.
func has(env []string, name string) bool {
	v, ok := proc.EnvValue(env, name)
	return ok && v != ""
}
