package file

import (
	"path"
	"strings"
	"unicode/utf8"

	"catamaran/internal/api"
)

// maxPath bounds a path in bytes.
const maxPath = 4096

// clean checks a relative path as the page sends it and returns it without "."
// and doubled slashes; "" and "." are the folder itself, returned as ".". On a
// goos of windows names that mean something else there are refused too. Errors
// are *api.Error: CodePathOutside for what points elsewhere by its form,
// CodeInvalid for what is no name.
func clean(goos, p string) (string, error) {
	switch {
	case len(p) > maxPath:
		return "", invalidName("The path is too long.")
	case !utf8.ValidString(p) || strings.ContainsRune(p, 0):
		return "", invalidName("This is not a path.")
	case strings.HasPrefix(p, "/"):
		return "", outside()
	}
	for elem := range strings.SplitSeq(p, "/") {
		if elem == ".." {
			return "", outside()
		}
		if goos == "windows" {
			if err := windowsName(elem); err != nil {
				return "", err
			}
		}
	}
	return path.Clean(p), nil
}

func invalidName(message string) error { return &api.Error{Code: api.CodeInvalid, Message: message} }

func outside() error {
	return &api.Error{Code: api.CodePathOutside, Message: "This path leads out of the project.", Hint: "Only what is inside the project's folder is shown. Open it in an editor instead."}
}

// windowsName refuses one element of a path that Windows would take for
// something else than a file of that name: another separator, a drive, a
// stream of a file, a device (also with any ending), a name whose end Windows
// drops. Source: "Naming Files, Paths, and Namespaces" of the Windows documentation.
func windowsName(elem string) error {
	if elem == "" || elem == "." {
		return nil
	}
	if strings.ContainsRune(elem, '\\') {
		return outside()
	}
	if i := strings.IndexAny(elem, `<>:"|?*`); i >= 0 {
		return invalidName("A name on Windows cannot hold " + elem[i:i+1] + ".")
	}
	for _, r := range elem {
		if r < 0x20 {
			return invalidName("A name on Windows cannot hold control characters.")
		}
	}
	if last := elem[len(elem)-1]; last == '.' || last == ' ' {
		return invalidName("A name on Windows cannot end with a full stop or a space.")
	}
	if reserved(elem) {
		return invalidName("This is the name of a device on Windows, not of a file.")
	}
	return nil
}

// reserved reports whether Windows takes the name for a device: CON, NUL.txt, "COM1 .log", COM¹.
func reserved(elem string) bool {
	base, _, _ := strings.Cut(elem, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	digit, ok := strings.CutPrefix(base, "COM")
	if !ok {
		digit, ok = strings.CutPrefix(base, "LPT")
	}
	if !ok {
		return false
	}
	switch digit {
	case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
		return true
	}
	return false
}
