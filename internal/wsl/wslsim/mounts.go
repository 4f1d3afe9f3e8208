package wslsim

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// etcDir is where a simulated distro's /proc/self/mountinfo and /etc/wsl.conf lie,
// below the home of each user. The kernel will not show a mount of type 9p that
// is none, whatever namespace it is made in, so the two files stand for what a
// program in a real distro would read; see package server.
const etcDir = ".wslsim"

// mountinfo is the mount table of the distro as its kernel would print it [A5.1].
func (s Scenario) mountinfo(d Distro) string {
	t := s.mounts(d)
	var letters []string
	for l := range t.drives {
		letters = append(letters, string(l))
	}
	sort.Strings(letters)
	esc := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`)
	var b strings.Builder
	b.WriteString("61 35 8:32 / / rw,relatime - ext4 /dev/sdc rw,discard,errors=remount-ro,data=ordered\n")
	b.WriteString("62 61 0:23 / /proc rw,nosuid,nodev,noexec,noatime - proc proc rw\n")
	for i, l := range letters {
		at, src := esc.Replace(t.drives[l[0]]), esc.Replace(l+`:\`)
		if d.version() == 1 {
			fmt.Fprintf(&b, "%d 61 0:%d / %s rw,noatime - drvfs %s rw,uid=1000,gid=1000,case=off\n", 70+i, 50+i, at, strings.TrimSuffix(src, `\134`))
			continue
		}
		fmt.Fprintf(&b, "%d 61 0:%d / %s rw,noatime - 9p %s rw,dirsync,aname=drvfs;path=%s;uid=1000;gid=1000;symlinkroot=/mnt/,mmap,access=client,msize=65536,trans=fd,rfd=8,wfd=8\n", 70+i, 50+i, at, src, src)
	}
	return b.String()
}

func wslConf(d Distro) string {
	switch d.AutomountRoot {
	case "":
		return ""
	case "off":
		return "[automount]\nenabled = false\n"
	}
	return "[automount]\nroot = " + d.AutomountRoot + "\n"
}

// installMounts writes both files for every user. A home that cannot be written
// to is what some scenarios are about; such a distro then has no drives to see.
func (s Scenario) installMounts(dir string, d Distro) {
	for _, user := range append([]string{d.user(), "root"}, d.Users...) {
		etc := filepath.Join(d.home(dir, user), etcDir)
		if os.MkdirAll(etc, 0o700) != nil {
			continue
		}
		_ = os.WriteFile(filepath.Join(etc, "mountinfo"), []byte(s.mountinfo(d)), 0o600)
		_ = os.WriteFile(filepath.Join(etc, "wsl.conf"), []byte(wslConf(d)), 0o600)
	}
}
