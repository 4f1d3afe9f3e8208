package wslsim

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

const wslpathUsage = "Usage:\n    -a\n        force result to absolute path format\n    -u\n        translate from a Windows path to a WSL path (default)\n    -w\n        translate from a WSL path to a Windows path\n    -m\n        translate from a WSL path to a Windows path, with '/' instead of '\\'\n"

// wslpath is the program of that name inside a distro [A5.1, B37, B38].
//
// reason follows the path in the text of a failure [B38].
func wslpath(t mountTable, reason string, args []string, cwd string, stdout, stderr io.Writer) int {
	mode, abs := "", false
	var paths []string
	for _, a := range args {
		switch a {
		case "-u", "-w", "-m":
			if mode != "" {
				fmt.Fprint(stderr, wslpathUsage) // P65
				return 1
			}
			mode = a
		case "-a":
			abs = true
		default:
			if len(paths) == 1 { // P67
				fmt.Fprintf(stderr, "Invalid command line argument: %s\nPlease use 'wslpath --help' to get a list of supported arguments.\n", a)
				return 1
			}
			paths = append(paths, a)
		}
	}
	if len(paths) == 0 { // P66
		fmt.Fprint(stderr, "wslpath: Invalid argument\n")
		fmt.Fprint(stdout, wslpathUsage)
		return 1
	}
	p := paths[0]
	if mode == "" || mode == "-u" {
		out, ok := t.toLinux(p, cwd)
		if !ok {
			if reason != "" {
				reason = ": " + reason
			}
			fmt.Fprintf(stderr, "wslpath: %s%s\n", p, reason)
			return 1
		}
		if abs && !strings.HasPrefix(out, "/") {
			out = filepath.Join(cwd, out) // P40
		}
		fmt.Fprintln(stdout, out)
		return 0
	}
	full := p
	if !strings.HasPrefix(full, "/") {
		full = filepath.Join(cwd, full) // P63
	}
	if real, err := filepath.EvalSymlinks(full); err == nil {
		full = real
	} else if !strings.HasPrefix(p, "/") && !abs && p != "." {
		fmt.Fprintln(stdout, strings.ReplaceAll(p, "/", `\`)) // a missing path stays relative [A5.1]
		return 0
	}
	out := t.toWindows(filepath.Clean(full))
	if mode == "-m" {
		out = strings.ReplaceAll(out, `\`, "/")
	}
	fmt.Fprintln(stdout, out)
	return 0
}
