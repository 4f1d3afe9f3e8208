// Package hostpath holds paths of the two systems a person deals with at once,
// Windows and a WSL distro, and translates what can be translated from the text
// alone. It is pure: it touches no file system, starts nothing and never guesses
// where drives are mounted; a drive path is for the backend inside the distro.
// Whatever cannot be translated is an error that names the path and the reason.
// Every layer uses it for distro names too, so that there is one rule for them.
package hostpath

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind says what a Windows path points at.
type Kind string

const (
	// KindWSL is a path below \\wsl.localhost\<distro> or one of its other spellings.
	KindWSL Kind = "wsl"
	// KindDrive is an absolute path on a drive letter; only the distro knows where it is mounted.
	KindDrive Kind = "drive"
)

// LinuxPath is an absolute, clean path inside a distro; compared with case.
type LinuxPath string

// WinPath is a parsed absolute Windows path.
type WinPath struct {
	Kind Kind
	// Distro and Linux are set for KindWSL. Distro is spelled as in the path.
	Distro string
	Linux  LinuxPath
	// Drive, a capital letter, and Rest, with backslashes and cleaned, are set for KindDrive.
	Drive byte
	Rest  string
}

// Error names the path and why it was refused.
type Error struct{ Path, Why string }

func (e *Error) Error() string { return fmt.Sprintf("path %q: %s", e.Path, e.Why) }

func isSep(c byte) bool    { return c == '/' || c == '\\' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// servers are the host names under which Windows shows distros: wsl.localhost
// since build 21354, wsl$ always, wsl in builds 20175 to 21353 (WSL facts A5.2).
var servers = []string{"wsl.localhost", "wsl$", "wsl"}

// ParseWin parses an absolute Windows path. Refused with *Error: relative and
// drive-relative paths, device paths, network shares, a UNC path without a
// distro, one that climbs above the root, and characters no path can hold.
func ParseWin(p string) (WinPath, error) {
	refuse := func(why string) (WinPath, error) { return WinPath{}, &Error{p, why} }
	if p == "" {
		return refuse("empty")
	}
	if !utf8.ValidString(p) || strings.ContainsRune(p, 0) {
		return refuse("not text")
	}
	s := p
	if len(s) >= 4 && isSep(s[0]) && isSep(s[1]) && isSep(s[3]) {
		switch {
		case s[2] == '.':
			return refuse("device path")
		case s[2] == '?' && len(s) >= 8 && strings.EqualFold(s[4:7], "UNC") && isSep(s[7]):
			return parseUNC(p, s[8:])
		case s[2] == '?' && len(s) >= 7 && isLetter(s[4]) && s[5] == ':' && isSep(s[6]):
			return parseDrive(p, s[4:])
		case s[2] == '?':
			return refuse("device path")
		}
	}
	switch {
	case len(s) >= 2 && isSep(s[0]) && isSep(s[1]):
		return parseUNC(p, s[2:])
	case len(s) >= 2 && isLetter(s[0]) && s[1] == ':':
		if len(s) == 2 || !isSep(s[2]) {
			return refuse("drive-relative")
		}
		return parseDrive(p, s)
	}
	return refuse("not an absolute Windows path")
}

func parseDrive(p, s string) (WinPath, error) {
	rest, ok := clean(s[3:])
	if !ok {
		return WinPath{}, &Error{p, "climbs above the root of the drive"}
	}
	return WinPath{Kind: KindDrive, Drive: s[0] &^ 0x20, Rest: strings.Join(rest, `\`)}, nil
}

func parseUNC(p, s string) (WinPath, error) {
	refuse := func(why string) (WinPath, error) { return WinPath{}, &Error{p, why} }
	server, rest := cut(strings.TrimLeft(s, `/\`))
	known := false
	for _, k := range servers {
		known = known || strings.EqualFold(server, k)
	}
	if !known {
		return refuse("network path, not inside a WSL distro")
	}
	distro, rest := cut(strings.TrimLeft(rest, `/\`))
	if distro == "" {
		return refuse("no distro")
	}
	if err := CheckDistro(distro); err != nil {
		return refuse(err.Error())
	}
	elems, ok := clean(rest)
	if !ok {
		return refuse("climbs above the root of the distro")
	}
	for i, e := range elems {
		e = unescape(e)
		// A name that only appears by unescaping must not become another path.
		if e == "." || e == ".." || strings.ContainsAny(e, "/\x00") {
			return refuse("holds a name Linux cannot have")
		}
		elems[i] = e
	}
	return WinPath{Kind: KindWSL, Distro: distro, Linux: LinuxPath("/" + strings.Join(elems, "/"))}, nil
}

func cut(s string) (head, rest string) {
	if i := strings.IndexAny(s, `/\`); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// clean splits at either separator and resolves . and ..; ok is false above the root.
func clean(s string) (elems []string, ok bool) {
	for _, e := range strings.FieldsFunc(s, func(r rune) bool { return r == '/' || r == '\\' }) {
		switch e {
		case ".":
		case "..":
			if len(elems) == 0 {
				return nil, false
			}
			elems = elems[:len(elems)-1]
		default:
			elems = append(elems, e)
		}
	}
	return elems, true
}

// String is the path as Windows writes it, with \\wsl.localhost for KindWSL.
func (w WinPath) String() string {
	switch w.Kind {
	case KindWSL:
		s, err := w.Linux.Windows(w.Distro)
		if err != nil {
			return ""
		}
		return s
	case KindDrive:
		return string(w.Drive) + `:\` + w.Rest
	}
	return ""
}

// ParseLinux parses an absolute Linux path and cleans it; .. above the root is an error.
func ParseLinux(p string) (LinuxPath, error) {
	switch {
	case !strings.HasPrefix(p, "/"):
		return "", &Error{p, "not an absolute Linux path"}
	case strings.ContainsRune(p, 0):
		return "", &Error{p, "not a path"}
	}
	var elems []string
	for _, e := range strings.Split(p, "/") {
		switch e {
		case "", ".":
		case "..":
			if len(elems) == 0 {
				return "", &Error{p, "climbs above the root"}
			}
			elems = elems[:len(elems)-1]
		default:
			elems = append(elems, e)
		}
	}
	return LinuxPath("/" + strings.Join(elems, "/")), nil
}

// Windows is the path as Windows sees it in the distro, for Explorer and editors.
// Errors: *Error for a relative path, a bad distro name, or bytes that are not UTF-8.
func (l LinuxPath) Windows(distro string) (string, error) {
	c, err := ParseLinux(string(l))
	if err != nil {
		return "", err
	}
	if err := CheckDistro(distro); err != nil {
		return "", &Error{string(l), err.Error()}
	}
	if !utf8.ValidString(string(c)) {
		return "", &Error{string(l), "not UTF-8"}
	}
	elems := strings.Split(string(c), "/")
	for i := range elems {
		if unescape(elems[i]) != elems[i] {
			return "", &Error{string(l), "holds a character that Windows reads as another one"}
		}
		elems[i] = escape(elems[i])
	}
	return `\\wsl.localhost\` + distro + strings.Join(elems, `\`), nil
}

// forbidden in Windows names; WSL shows them as U+F000 + code (WSL facts A5.1).
const forbidden = "\"*:<>?\\|"

func escape(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || strings.ContainsRune(forbidden, r) {
			return 0xf000 + r
		}
		return r
	}, s)
}

func unescape(s string) string {
	return strings.Map(func(r rune) rune {
		if c := r - 0xf000; c > 0 && c < 0x80 && (c < 0x20 || strings.ContainsRune(forbidden, c)) {
			return c
		}
		return r
	}, s)
}

// SameDistro compares two distro names as WSL does: without regard to case.
func SameDistro(a, b string) bool { return strings.EqualFold(a, b) }

// CheckDistro is the one rule for distro names. It is wider than what WSL
// registers today, since other tools have registered names with blanks; what it
// refuses can be no distro's name. The error says why, without the name.
func CheckDistro(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the distro name is empty")
	case len(name) > 1024 || utf8.RuneCountInString(name) > 256:
		return fmt.Errorf("the distro name is longer than 256 characters")
	case !utf8.ValidString(name):
		return fmt.Errorf("the distro name is not text")
	case strings.ContainsAny(name, "/"+forbidden):
		return fmt.Errorf(`the distro name holds one of / \ : * ? " < > |`)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("the distro name begins or ends with a blank")
	case name == "." || name == "..":
		return fmt.Errorf("the distro name is a directory entry")
	}
	for _, r := range name {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return fmt.Errorf("the distro name holds a control character")
		}
	}
	return nil
}
