package wsl

import (
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/hostpath"
)

// ShellArgs is the command line, program first, that opens the distro's login
// shell in a folder: for a terminal that a person asked for. It is the one
// launch without --exec, since the shell itself is what is wanted. Errors are
// *api.Error CodeDistroInvalid and CodePathUntranslatable.
func ShellArgs(distro, dir string) ([]string, error) {
	if err := hostpath.CheckDistro(distro); err != nil {
		return nil, &api.Error{Code: api.CodeDistroInvalid, Message: "The distro cannot be opened: " + err.Error() + "."}
	}
	if !plainName.MatchString(distro) {
		return nil, &api.Error{Code: api.CodeDistroInvalid, Message: "wsl.exe cannot open a distro called \"" + distro + "\" by its name.", Hint: "Open it from the menu of Windows Terminal."}
	}
	if !strings.HasPrefix(dir, "/") || strings.ContainsAny(dir, "\"\x00") {
		return nil, &api.Error{Code: api.CodePathUntranslatable, Message: "A terminal cannot be opened in this folder: its name cannot be given to wsl.exe."}
	}
	return []string{"wsl.exe", "-d", distro, "--cd", dir}, nil
}
