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
	all []mount
	// on finds what is mounted at a path of another mount; root is the index of "/", -1 without one.
	on   map[place]int
	root int
}

type place struct {
	parent int
	point  string
}

type mount struct {
	id, parent int
	point      string
	// windows says that the file system comes from Windows; drive is 0 when the table does not name it.
	windows bool
	drive   byte
	// below is the mounted folder of the drive, its elements.
	below []string
}

// maxMounts bounds how many lines of a table are kept.
const maxMounts = 10_000

// ParseMounts reads the text of /proc/self/mountinfo. Lines it cannot read are
// skipped. The order of the lines means nothing: in a real distro "/" is not the
// first one. Without a root nothing is mounted.
func ParseMounts(mountinfo string) Mounts {
	m := Mounts{on: map[place]int{}, root: -1}
	ids := map[int]bool{}
	for line := range strings.SplitSeq(mountinfo, "\n") {
		if e, ok := parseMount(line); ok && len(m.all) < maxMounts && !ids[e.id] {
			m.on[place{e.parent, e.point}] = len(m.all)
			m.all = append(m.all, e)
			ids[e.id] = true
		}
	}
	for i, e := range m.all {
		if e.point == "/" && (!ids[e.parent] || e.parent == e.id) {
			m.root = i
		}
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
	id, ierr := strconv.Atoi(f[0])
	parent, perr := strconv.Atoi(f[1])
	if ierr != nil || perr != nil {
		return mount{}, false
	}
	m := mount{id: id, parent: parent, point: point}
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

// covering is the index of the mount that a clean path lies on, as the kernel
// finds it: from the root, each element may be where another mount begins, and
// mounts at one point lie on each other. -1 without a root.
func (m Mounts) covering(p string) int {
	cur := m.root
	if cur < 0 {
		return -1
	}
	at := "/"
	for rest := strings.TrimPrefix(p, "/"); ; {
		for range m.all { // no more than there are, even if the table has a circle
			next, ok := m.on[place{m.all[cur].id, at}]
			if !ok || next == cur {
				break
			}
			cur = next
		}
		if rest == "" {
			return cur
		}
		var elem string
		elem, rest, _ = strings.Cut(rest, "/")
		at = path.Join(at, elem)
	}
}

// OnWindows reports whether a path lies on a file system that comes from Windows.
func (m Mounts) OnWindows(p LinuxPath) bool {
	i := m.covering(string(p))
	return i >= 0 && m.all[i].windows
}

// Drives reports whether any Windows file system is mounted.
func (m Mounts) Drives() bool {
	for i, e := range m.all {
		if e.windows && m.covering(e.point) == i {
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
	for i, e := range m.all {
		if e.drive == w.Drive && startsWith(elems, e.below) && (best < 0 || len(e.below) > len(m.all[best].below)) && m.covering(e.point) == i {
			best = i
		}
	}
	if best < 0 {
		if !m.Drives() {
			return refuse("no Windows drive is mounted in this distro")
		}
		return refuse(fmt.Sprintf("drive %c: is not mounted in this distro", w.Drive))
	}
	found := m.all[best]
	p := path.Join("/", found.point, strings.Join(elems[len(found.below):], "/"))
	if over := m.covering(p); over != best {
		return refuse("another file system is mounted over it at " + m.all[over].point)
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
