package hostpath

import (
	"net/url"
	"regexp"
	"strings"
)

// PickerStart is the Windows folder a native folder dialog opens on for a
// distro's environment. typed is what the person has so far: "", "~", "~/x", an
// absolute Linux path or a Windows path; home is the distro user's real home.
// Errors: *Error for a path that belongs to another distro or cannot be shown.
func PickerStart(typed, distro, home string) (string, error) {
	p := strings.TrimSpace(typed)
	if LooksWindows(p) {
		w, err := ParseWin(p)
		if err != nil {
			return "", err
		}
		if w.Kind == KindWSL && !SameDistro(w.Distro, distro) {
			return "", &Error{p, "it belongs to the distro " + w.Distro}
		}
		return w.String(), nil
	}
	switch {
	case p == "", p == "~":
		p = home
	case strings.HasPrefix(p, "~/"):
		p = home + p[1:]
	}
	l, err := ParseLinux(p)
	if err != nil {
		return "", err
	}
	return l.Windows(distro)
}

// editorSchemes are the editors of the Windows side that open a WSL folder by link.
var editorSchemes = map[string]bool{"vscode": true, "vscode-insiders": true, "vscodium": true, "cursor": true, "windsurf": true}

// linkable are distro names that a remote authority can hold as they are.
var linkable = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// EditorLink is the link that opens the path in an editor installed on Windows:
// vscode://vscode-remote/wsl+<distro>/path. scheme is the editor's. Errors: *Error
// for an unknown editor, or a distro or path that the link cannot carry.
func (l LinuxPath) EditorLink(scheme, distro string) (string, error) {
	c, err := ParseLinux(string(l))
	switch {
	case err != nil:
		return "", err
	case !editorSchemes[scheme]:
		return "", &Error{string(l), "no editor is known by the scheme " + scheme}
	case !linkable.MatchString(distro):
		return "", &Error{string(l), "an editor's link cannot name the distro " + distro}
	}
	elems := strings.Split(string(c), "/")
	for i := range elems {
		// A colon would begin a line number.
		elems[i] = strings.ReplaceAll(url.PathEscape(elems[i]), ":", "%3A")
	}
	return scheme + "://vscode-remote/wsl+" + distro + strings.Join(elems, "/"), nil
}
