package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/proc"
)

// The oldest Git whose commands and options we rely on (A4.1).
const gitMajor, gitMinor = 2, 34

// CheckGit asks the git that env's PATH leads to for its version; nil is this process's environment.
func CheckGit(ctx context.Context, env []string, goos string) api.Finding {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	f := api.Finding{ID: "git", Severity: api.SeverityWarning, Why: "Without it projects have no checkpoints and no diffs."}
	f.Repair, f.Command = gitInstall(goos)
	res, err := proc.Run(ctx, proc.Spec{Name: "git", Path: "git", Args: []string{"--version"}, Env: env}, nil, 4<<10)
	if err != nil || res.ExitCode != 0 {
		f.Title = "Git was not found."
		return f
	}
	version := strings.TrimPrefix(strings.TrimSpace(proc.Text(res.Stdout)), "git version ")
	if !gitEnough(version) {
		f.Title = fmt.Sprintf("Git is too old: found %.60s, needs %d.%d or newer.", version, gitMajor, gitMinor)
		return f
	}
	return api.Finding{ID: "git", Severity: api.SeverityOK, Title: fmt.Sprintf("Git is %.60s.", version)}
}

func gitInstall(goos string) (repair string, command bool) {
	switch goos {
	case "windows":
		return "winget install --id Git.Git -e", true
	case "darwin":
		return "xcode-select --install", true
	}
	return "Install git " + fmt.Sprintf("%d.%d", gitMajor, gitMinor) + " or newer with your package manager, on Debian and Ubuntu: sudo apt install git", false
}

// gitEnough reads "2.39.5", "2.39.5 (Apple Git-154)", "2.47.0.windows.2".
func gitEnough(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	minorText, _, _ := strings.Cut(parts[1], " ")
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(minorText)
	if err1 != nil || err2 != nil {
		return false
	}
	return major > gitMajor || major == gitMajor && minor >= gitMinor
}
