package agent

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"catamaran/internal/proc"
)

// In a WSL distro the PATH holds Windows' folders too, and a Windows agent found
// there works on the wrong files with the wrong account. Only programs of the
// distro's own count.

// foreignMounts lists the mount points of Windows drives; none outside WSL.
func foreignMounts(env []string) []string {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		raw = nil // another system: no such file, no such mounts
	}
	_, wsl := proc.EnvValue(env, "WSL_DISTRO_NAME")
	return driveMounts(string(raw), wsl)
}

var driveFolder = regexp.MustCompile(`^/mnt/[a-z]$`)

// driveMounts reads the text of /proc/self/mountinfo. The file systems are named
// drvfs in WSL 1, and 9p or virtiofs with aname=drvfs or a drive tag in WSL 2.
func driveMounts(mountinfo string, wsl bool) []string {
	var mounts []string
	for line := range strings.SplitSeq(mountinfo, "\n") {
		left, right, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		point := unescape(fields[4])
		options := strings.Join(kind[1:], " ")
		switch {
		case kind[0] == "drvfs", strings.Contains(options, "aname=drvfs"), strings.HasPrefix(kind[1], "drvfs"):
			mounts = append(mounts, point)
		case wsl && (kind[0] == "9p" || kind[0] == "virtiofs") && driveFolder.MatchString(point):
			mounts = append(mounts, point)
		}
	}
	if wsl {
		// Mounted on first use, or by another way than the ones above.
		for c := 'a'; c <= 'z'; c++ {
			mounts = append(mounts, "/mnt/"+string(c))
		}
	}
	return mounts
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	for _, e := range [][2]string{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		s = strings.ReplaceAll(s, e[0], e[1])
	}
	return s
}

func under(path string, mounts []string) bool {
	for _, m := range mounts {
		if path == m || strings.HasPrefix(path, strings.TrimSuffix(m, "/")+"/") {
			return true
		}
	}
	return false
}

// searchable splits a PATH and drops what is relative, foreign or there twice.
func searchable(path string, foreign []string) []string {
	seen := map[string]bool{}
	dirs := []string{}
	for _, dir := range filepath.SplitList(path) {
		dir = filepath.Clean(dir)
		if filepath.IsAbs(dir) && !seen[dir] && !under(dir, foreign) {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// SearchDirs are the folders of env's PATH in which agents, and what they need, are looked for.
func SearchDirs(env []string) []string {
	path, _ := proc.EnvValue(env, "PATH")
	return searchable(path, foreignMounts(env))
}

// lookupForeign finds the Windows program of that name that lookup left out, to tell people of it.
func lookupForeign(program string, env []string) string {
	path, _ := proc.EnvValue(env, "PATH")
	return foreignIn(program, path, foreignMounts(env))
}

func foreignIn(program, path string, foreign []string) string {
	for _, dir := range filepath.SplitList(path) {
		dir = filepath.Clean(dir)
		if !filepath.IsAbs(dir) || !under(dir, foreign) {
			continue
		}
		for _, ext := range []string{"", ".exe", ".cmd"} {
			if info, err := os.Stat(filepath.Join(dir, program+ext)); err == nil && info.Mode().IsRegular() {
				return filepath.Join(dir, program+ext)
			}
		}
	}
	return ""
}

// lookup finds a program, and not through a link to a foreign one.
func lookup(program string, dirs, foreign []string) string {
	for _, dir := range dirs {
		found, err := proc.LookPath(program, dir)
		if err != nil {
			continue
		}
		real, err := filepath.EvalSymlinks(found)
		if err != nil || under(real, foreign) || windowsProgram(real) {
			continue
		}
		return found
	}
	return ""
}

// windowsProgram tells a Windows program by its first bytes, wherever a drive is
// mounted: interop would run it. On Windows every program is one.
func windowsProgram(path string) bool {
	if filepath.Separator == '\\' {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [2]byte
	_, err = io.ReadFull(f, head[:])
	return err == nil && string(head[:]) == "MZ"
}

var versionNumber = regexp.MustCompile(`\d+\.\d+(?:\.\d+)*(?:[-+][0-9A-Za-z.-]+)?`)

// firstVersion finds the version in what a version command prints; "" for none.
func firstVersion(output string) string { return versionNumber.FindString(output) }

// olderThan compares the leading numbers; an unknown version counts as new.
func olderThan(version, than string) bool {
	if version == "" {
		return false
	}
	a, b := numbers(version), numbers(than)
	for i := range b {
		if i >= len(a) || a[i] < b[i] {
			return true
		}
		if a[i] > b[i] {
			return false
		}
	}
	return false
}

func numbers(version string) []int {
	version, _, _ = strings.Cut(version, "-")
	var out []int
	for p := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(p)
		if err != nil {
			break
		}
		out = append(out, n)
	}
	return out
}
