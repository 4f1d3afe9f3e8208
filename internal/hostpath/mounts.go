package hostpath

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Mounts is what a distro's own mount table says about Windows drives. Where
// they are mounted is the distro's choice; /mnt is never assumed.
type Mounts struct {
	// visible are the mounts that no later one hides, in the order of the table.
	visible []mount
}

type mount struct {
	point string
	// windows says that the file system comes from Windows; drive is 0 when the table does not name it.
	windows bool
	drive   byte
	// below is the mounted folder of the drive, its elements.
	below []string
}

// maxMounts bounds how many lines of a table are kept.
const maxMounts = 20_000

// ParseMounts reads the text of /proc/self/mountinfo. Lines it cannot read are
// skipped: they can only hide a drive, never invent one.
func ParseMounts(mountinfo string) Mounts {
	var m Mounts
	for line := range strings.SplitSeq(mountinfo, "\n") {
		e, ok := parseMount(line)
		if !ok || len(m.visible) >= maxMounts {
			continue
		}
		// A mount hides what was mounted at or below its point before.
		keep := m.visible[:0]
		for _, old := range m.visible {
			if !inside(old.point, e.point) {
				keep = append(keep, old)
			}
		}
		m.visible = append(keep, e)
	}
	return m
}

// parseMount reads "36 35 0:45 root point options [tags] - type source super".
func parseMount(line string) (mount, bool) {
	f := strings.Split(line, " ")
	sep := -1
	for i := 6; i < len(f); i++ {
		if f[i] == "-" {
			sep = i
			break
		}
	}
	if sep < 0 || len(f) < sep+4 {
		return mount{}, false
	}
	root, point := unoctal(f[3]), unoctal(f[4])
	if !strings.HasPrefix(point, "/") || path.Clean(point) != point || strings.ContainsRune(point, 0) {
		return mount{}, false
	}
	m := mount{point: point}
	source := ""
	switch kind := f[sep+1]; kind {
	case "drvfs":
		m.windows, source = true, unoctal(f[sep+2])
	case "9p":
		source = unoctal(f[sep+2])
		for _, o := range strings.FieldsFunc(unoctal(f[sep+3]), func(r rune) bool { return r == ',' || r == ';' }) {
			if o == "aname=drvfs" {
				m.windows = true
			}
			if p, ok := strings.CutPrefix(o, "path="); ok && !drivePath(source) {
				source = p
			}
		}
		m.windows = m.windows || drivePath(source)
	case "virtiofs": // a setting of newer versions; its source does not name the drive
		m.windows = true
		return m, true
	}
	if !m.windows || !drivePath(source) {
		return m, true
	}
	if len(source) == 2 {
		source += `\`
	}
	w, err := ParseWin(source)
	if err != nil {
		return m, true
	}
	below, ok := clean(w.Rest)
	if !ok {
		return m, true
	}
	// A bind mount of a folder of the drive shows that folder as the root.
	for _, e := range strings.Split(root, "/") {
		switch e {
		case "":
		case ".", "..":
			return m, true
		default:
			below = append(below, e)
		}
	}
	m.drive, m.below = w.Drive, below
	return m, true
}

func drivePath(s string) bool {
	return len(s) >= 2 && isLetter(s[0]) && s[1] == ':' && (len(s) == 2 || isSep(s[2]))
}

// unoctal undoes the kernel's \ooo.
func unoctal(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// inside reports whether p is at or below the point.
func inside(p, point string) bool {
	return p == point || point == "/" || strings.HasPrefix(p, point+"/")
}

// covering is the mount that a path lies on.
func (m Mounts) covering(p string) (mount, bool) {
	best, found := mount{}, false
	for _, e := range m.visible {
		if inside(p, e.point) && (!found || len(e.point) >= len(best.point)) {
			best, found = e, true
		}
	}
	return best, found
}

// OnWindows reports whether a path lies on a file system that comes from Windows.
func (m Mounts) OnWindows(p LinuxPath) bool {
	e, ok := m.covering(string(p))
	return ok && e.windows
}

// Drives reports whether any Windows file system is mounted.
func (m Mounts) Drives() bool {
	for _, e := range m.visible {
		if e.windows {
			return true
		}
	}
	return false
}

// Translate finds where a path of a Windows drive is in the distro. Errors:
// *Error when no mount shows it, or when another file system hides it.
func (m Mounts) Translate(w WinPath) (LinuxPath, error) {
	refuse := func(why string) (LinuxPath, error) { return "", &Error{w.String(), why} }
	if w.Kind != KindDrive {
		return refuse("not a path of a Windows drive")
	}
	elems, ok := clean(w.Rest)
	if !ok {
		return refuse("climbs above the root of the drive")
	}
	best := -1
	for i, e := range m.visible {
		if e.drive == w.Drive && startsWith(elems, e.below) && (best < 0 || len(e.below) > len(m.visible[best].below)) {
			best = i
		}
	}
	if best < 0 {
		if !m.Drives() {
			return refuse("no Windows drive is mounted in this distro")
		}
		return refuse(fmt.Sprintf("drive %c: is not mounted in this distro", w.Drive))
	}
	found := m.visible[best]
	p := path.Join("/", found.point, strings.Join(elems[len(found.below):], "/"))
	if over, _ := m.covering(p); over.point != found.point {
		return refuse("another file system is mounted over it at " + over.point)
	}
	return LinuxPath(p), nil
}

// startsWith compares names as Windows does, without regard to case.
func startsWith(elems, prefix []string) bool {
	if len(elems) < len(prefix) {
		return false
	}
	for i, e := range prefix {
		if !strings.EqualFold(elems[i], e) {
			return false
		}
	}
	return true
}

// AutomountOff reports whether the text of /etc/wsl.conf turns the mounting of
// drives off. Without a word about it they are mounted.
func AutomountOff(wslConf string) bool {
	section, off := "", false
	for line := range strings.SplitSeq(wslConf, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			section = strings.ToLower(strings.TrimSpace(line[1 : len(line)-1]))
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section != "automount" || !strings.EqualFold(strings.TrimSpace(key), "enabled") {
			continue
		}
		value, _, _ = strings.Cut(value, "#")
		off = strings.EqualFold(strings.Trim(strings.TrimSpace(value), `"`), "false")
	}
	return off
}

// LooksWindows reports whether a person who typed p meant a Windows path: a drive
// letter, a UNC path, or one of the spellings of a distro's share with slashes.
func LooksWindows(p string) bool {
	if strings.HasPrefix(p, `\\`) {
		return true
	}
	if strings.HasPrefix(p, "//") {
		server, _ := cut(strings.TrimLeft(p, "/"))
		for _, s := range servers[:2] {
			if strings.EqualFold(server, s) {
				return true
			}
		}
		return server == "?" || server == "."
	}
	return drivePath(p) || len(p) >= 2 && isLetter(p[0]) && p[1] == ':' && strings.Contains(p, `\`)
}
