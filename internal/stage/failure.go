package stage

import (
	"strings"
	"unicode"

	"catamaran/internal/api"
)

// failure turns the script's "fail <word> <text>" into an error for people.
func failure(rest string) *api.Error {
	word, text, _ := strings.Cut(rest, " ")
	text = printable(text)
	e := &api.Error{Code: api.CodeStageFailed, Details: text}
	switch word {
	case "arch":
		e.Message = "this distro's architecture is not supported: " + text
		e.Hint = "Use a distro for x86-64 or ARM64."
	case "carried":
		e.Message = "this installation carries no backend for " + text
		e.Hint = "Install Catamaran again."
	case "home":
		e.Message = "the distro's user has no home directory"
		e.Hint = "Set a default user with a home directory in /etc/wsl.conf ([user] default=name), then restart the distro."
	case "tool":
		e.Message = "the distro lacks the command " + text
		e.Hint = "Install coreutils (or busybox) in the distro."
	case "noexec":
		e.Message = "programs in the distro's home directory may not be executed"
		e.Hint = "Mount the home directory without noexec (look at /etc/fstab and `mount`), then try again."
	case "digest":
		e.Message = "the backend arrived damaged in the distro"
		e.Hint = "Try again; if it happens again check the distro's disk, or install Catamaran again."
		e.Retryable = true
	case "cut":
		e.Message = "the copy of the backend was cut off"
		e.Hint = "Try again."
		e.Retryable = true
	case "folder", "write":
		e.Message, e.Hint = diskTrouble(text)
	default:
		return unexpected("fail " + rest)
	}
	return e
}

// diskTrouble tells the kinds apart by strerror's English texts: the script runs
// these commands with LC_ALL=C.
func diskTrouble(text string) (message, hint string) {
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(strings.ToLower(text), p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("no space left", "quota exceeded"):
		return "there is no space left in the distro's home directory",
			"Free about 20 MB in the distro (`df -h ~` shows how full it is), then try again."
	case has("i/o error"): // all that busybox says about a full disk
		return "there is no space left in the distro's home directory, or its disk is damaged",
			"Look at `df -h ~` in the distro and free about 20 MB; if there is space, look at `dmesg`."
	case has("read-only file system"):
		return "the distro's home directory is read-only",
			"A WSL disk turns read-only after errors: run `wsl --shutdown`, then try again; if it stays so the disk needs a repair."
	case has("permission denied", "not permitted"):
		return "the distro's user may not write to ~/.catamaran",
			"Make ~/.catamaran belong to the distro's user: `sudo chown -R $(id -un) ~/.catamaran`."
	case has("not a directory", "file exists", "cannot create", "nonexistent directory"):
		return "~/.catamaran/bin cannot be created in the distro",
			"Something that is not a folder is in the way: look at `ls -ld ~ ~/.catamaran ~/.catamaran/bin`."
	}
	return "the backend cannot be written to ~/.catamaran/bin in the distro",
		"Look at the details for the system's own words, and at `df -h ~` in the distro."
}

// ExplainExit explains a process that ended after the negotiation and before its
// hello, from its exit code; nil when the code says nothing about staging. A shell
// that could not exec says 126 or 127. It is worth a retry that copies the file
// anew: that tells a damaged file from a home mounted noexec.
func ExplainExit(code int) *api.Error {
	if code != 126 && code != 127 {
		return nil
	}
	return &api.Error{Code: api.CodeStageFailed, Message: "the backend in the distro is damaged or may not be executed",
		Hint: "It is copied again at the next start; if that does not help, look at `mount` for a noexec home directory.", Retryable: true}
}

func unexpected(line string) *api.Error {
	return &api.Error{Code: api.CodeStageFailed, Message: "the distro answered something unexpected while the backend was put in place",
		Hint: "Try again; if it happens again export diagnostics.", Retryable: true, Details: printable(line)}
}

func printable(s string) string {
	const max = 300
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) > max {
		s = strings.ToValidUTF8(s[:max], "")
	}
	return s
}
