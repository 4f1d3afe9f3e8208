package wslsim

import (
	"path"
	"strings"
)

// mountTable is what wslpath knows of a distro [B37]: not /proc, the scenario.
type mountTable struct {
	distro string
	// drives maps a capital letter to its mount point.
	drives     map[byte]string
	siblingBug bool
}

func (s Scenario) mounts(d Distro) mountTable {
	t := mountTable{distro: d.Name, drives: map[byte]string{}, siblingBug: profiles[s.profileName()].siblingBug}
	root := d.AutomountRoot
	if root == "" {
		root = "/mnt"
	}
	if root == "off" {
		return t
	}
	for _, l := range s.drives() {
		t.drives[l[0]] = path.Join(root, strings.ToLower(l))
	}
	return t
}

func isDrivePath(p string) bool {
	return len(p) >= 3 && p[1] == ':' && isLetter(p[0]) && isSep(p[2])
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isSep(c byte) bool    { return c == '/' || c == '\\' }

// absolute translates a full Windows path; relative ones and what cannot be translated are refused.
func (t mountTable) absolute(p string) (string, bool) {
	if isDrivePath(p) || strings.HasPrefix(p, `\\`) || strings.HasPrefix(p, "//") {
		return t.toLinux(p, "/")
	}
	return "", false
}

// fold resolves ., .. and doubled separators of the part below a root; ok is
// false when it climbs above the root [A5.1]. A trailing separator stays.
func fold(p string) (string, bool) {
	var out []string
	parts := strings.FieldsFunc(p, func(r rune) bool { return r == '/' || r == '\\' })
	for _, e := range parts {
		switch e {
		case ".":
		case "..":
			if len(out) == 0 {
				return "", false
			}
			out = out[:len(out)-1]
		default:
			out = append(out, e)
		}
	}
	s := strings.Join(out, "/")
	if s != "" && p != "" && isSep(p[len(p)-1]) {
		s += "/"
	}
	return s, true
}

// toLinux is wslpath -u [P01 to P61]. cwd is the Linux working directory.
func (t mountTable) toLinux(p, cwd string) (string, bool) {
	p = strings.TrimSuffix(p, "\x00")
	norm := strings.ReplaceAll(p, "/", `\`)
	if strings.HasPrefix(norm, `\\?\`) && isDrivePath(norm[4:]) {
		p, norm = p[4:], norm[4:]
	}
	switch {
	case p == "":
		return ".", true // P39
	case isDrivePath(p):
		mount, ok := t.drives[p[0]&^0x20]
		if !ok {
			return "", false // P25
		}
		rest, ok := fold(p[3:])
		if !ok {
			return "", false // P26
		}
		return strings.TrimSuffix(mount, "/") + "/" + rest, true
	case len(p) == 2 && p[1] == ':':
		return p, true // P28
	case len(p) > 2 && p[1] == ':' && isLetter(p[0]):
		return "", false // C:rel
	case strings.HasPrefix(norm, `\\`):
		return t.unc(norm)
	}
	drive, rel, onDrive := t.driveOf(cwd)
	if isSep(p[0]) {
		if !onDrive {
			return "", false // P33, P34
		}
		rest, ok := fold(p[1:])
		return t.drives[drive] + "/" + rest, ok // P36, P38
	}
	return t.relative(p, cwd, rel, onDrive)
}

// relative follows P30, P31, P35: . and .. by the Linux directory, a backslash makes it Windows-relative.
func (t mountTable) relative(p, cwd, rel string, onDrive bool) (string, bool) {
	switch p {
	case ".":
		return ".", true
	case "..":
		return strings.TrimSuffix(path.Dir(cwd), "/") + "/", true
	}
	if strings.HasPrefix(p, "..") {
		return "", false
	}
	s, ok := fold(p)
	return s, ok
}

func (t mountTable) driveOf(cwd string) (drive byte, rel string, ok bool) {
	for l, m := range t.drives {
		if cwd == m || strings.HasPrefix(cwd, m+"/") {
			return l, strings.TrimPrefix(cwd[len(m):], "/"), true
		}
	}
	return 0, "", false
}

func (t mountTable) unc(norm string) (string, bool) {
	var rest string
	for _, server := range []string{`\\wsl.localhost\`, `\\wsl$\`} {
		if len(norm) >= len(server) && strings.EqualFold(norm[:len(server)], server) {
			rest = norm[len(server):]
		}
	}
	if rest == "" || len(rest) < len(t.distro) || !strings.EqualFold(rest[:len(t.distro)], t.distro) {
		return "", false
	}
	tail := rest[len(t.distro):]
	if tail != "" && tail[0] != '\\' {
		if !t.siblingBug {
			return "", false // P20
		}
		s, ok := fold(tail) // P59: a prefix without a separator check
		return unescape(s), ok
	}
	s, ok := fold(tail)
	return "/" + unescape(s), ok
}

const escaped = "\"*:<>?\\|"

// escape moves what Windows forbids in a name to U+F000 + code [A5.1, P52 to P54]; unescape is the way back [P18].
func escape(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || strings.ContainsRune(escaped, r) {
			return 0xf000 + r
		}
		return r
	}, s)
}

func unescape(s string) string {
	return strings.Map(func(r rune) rune {
		if c := r - 0xf000; r >= 0xf000 && (c < 0x20 && c > 0 || c < 0x80 && strings.ContainsRune(escaped, c)) {
			return c
		}
		return r
	}, s)
}

// toWindows is wslpath -w of an absolute, clean Linux path [P42 to P58].
func (t mountTable) toWindows(p string) string {
	back := func(s string) string {
		parts := strings.Split(s, "/")
		for i := range parts {
			parts[i] = escape(parts[i])
		}
		return strings.Join(parts, `\`)
	}
	if drive, rel, ok := t.driveOf(p); ok {
		return string(drive) + `:\` + back(rel)
	}
	return `\\wsl.localhost\` + t.distro + back(p)
}
