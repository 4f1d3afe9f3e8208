package hostpath

import (
	"errors"
	"strings"
	"testing"
)

const (
	root9p = "61 35 8:32 / / rw,relatime - ext4 /dev/sdc rw,discard\n62 61 0:23 / /proc rw - proc proc rw\n"
	driveC = `70 61 0:50 / /mnt/c rw,noatime - 9p C:\134 rw,dirsync,aname=drvfs;path=C:\134;uid=1000;gid=1000;symlinkroot=/mnt/,mmap,trans=fd,rfd=8,wfd=8` + "\n"
	driveD = `71 61 0:51 / /mnt/d rw,noatime shared:4 master:2 - 9p drvfs rw,aname=drvfs;path=D:\134;uid=1000` + "\n"
)

func TestMountsTranslate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ table, in, want, why string }{
		"drive":               {root9p + driveC, `C:\Users\me\x y`, "/mnt/c/Users/me/x y", ""},
		"root of the drive":   {root9p + driveC, `c:\`, "/mnt/c", ""},
		"dots":                {root9p + driveC, `C:/a/../b/.`, "/mnt/c/b", ""},
		"long form":           {root9p + driveC, `\\?\C:\a`, "/mnt/c/a", ""},
		"named by its option": {root9p + driveC + driveD, `D:\x`, "/mnt/d/x", ""},
		"WSL 1":               {root9p + "70 61 0:50 / /mnt/c rw - drvfs C: rw,case=off\n", `C:\x`, "/mnt/c/x", ""},
		"other root":          {root9p + `70 61 0:50 / /win\040drives/c rw - 9p C:\134 rw,aname=drvfs`, `C:\x`, "/win drives/c/x", ""},
		"mounted at /":        {root9p + `70 61 0:50 / /c rw - 9p C:\134 rw`, `C:\x`, "/c/x", ""},
		"folder of a drive":   {root9p + `70 61 0:50 / /code rw - drvfs E:\134Code rw`, `e:\code\shop`, "/code/shop", ""},
		"outside the folder":  {root9p + `70 61 0:50 / /code rw - drvfs E:\134Code rw`, `E:\Codec`, "", "drive E: is not mounted in this distro"},
		"bind mount":          {root9p + driveC + `90 61 0:50 /Users/me /home/me/win rw - 9p C:\134 rw,aname=drvfs`, `C:\users\ME\x`, "/home/me/win/x", ""},
		"not mounted":         {root9p + driveC, `Z:\x`, "", "drive Z: is not mounted in this distro"},
		"automount off":       {root9p, `C:\x`, "", "no Windows drive is mounted in this distro"},
		"no table":            {"", `C:\x`, "", "no Windows drive is mounted in this distro"},
		"hidden below":        {root9p + driveC + "80 70 0:60 / /mnt/c/work rw - tmpfs tmpfs rw\n", `C:\work\x`, "", "another file system is mounted over it at /mnt/c/work"},
		"beside the hidden":   {root9p + driveC + "80 70 0:60 / /mnt/c/work rw - tmpfs tmpfs rw\n", `C:\works\x`, "/mnt/c/works/x", ""},
		"hidden above":        {root9p + driveC + "80 61 0:60 / /mnt rw - tmpfs tmpfs rw\n", `C:\x`, "", "no Windows drive is mounted in this distro"},
		"a 9p of its own":     {root9p + "70 61 0:50 / /mnt/c rw - 9p share rw,trans=virtio\n", `C:\x`, "", "no Windows drive is mounted in this distro"},
		"no drive named":      {root9p + "70 61 0:50 / /mnt/c rw - virtiofs drvfs rw\n", `C:\x`, "", "drive C: is not mounted in this distro"},
		"of a distro":         {root9p + driveC, `\\wsl.localhost\D\x`, "", "not a path of a Windows drive"},
		"broken lines":        {"x\n\n1 2 3\n" + strings.Repeat("- ", 20) + "\n" + root9p + driveC, `C:\x`, "/mnt/c/x", ""},
		"no root":             {driveC, `C:\x`, "", "no Windows drive is mounted in this distro"},
		"root comes later":    {"66 61 0:32 / /mnt/wsl rw shared:1 - tmpfs none rw\n" + driveC + root9p, `C:\x`, "/mnt/c/x", ""},
		"mounted anew":        {root9p + driveC + "80 70 0:60 / /mnt/c rw - tmpfs tmpfs rw\n" + `81 80 0:61 / /mnt/c rw - 9p C:\134 rw,aname=drvfs`, `C:\x`, "/mnt/c/x", ""},
		"covered as a whole":  {root9p + driveC + "80 70 0:60 / /mnt/c rw - tmpfs tmpfs rw\n", `C:\x`, "", "no Windows drive is mounted in this distro"},
		"hidden, and anew":    {root9p + driveC + "80 61 0:60 / /mnt rw - tmpfs tmpfs rw\n" + `81 80 0:61 / /mnt/c rw - 9p C:\134 rw,aname=drvfs`, `C:\x`, "/mnt/c/x", ""},
		"a circle":            {"61 61 0:1 / / rw - ext4 x rw\n62 63 0:2 / / rw - ext4 x rw\n63 62 0:2 / / rw - ext4 x rw\n" + driveC, `C:\x`, "/mnt/c/x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := ParseWin(c.in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParseMounts(c.table).Translate(w)
			var e *Error
			if string(got) != c.want || (c.why != "") != (errors.As(err, &e) && e.Why == c.why && e.Path != "") {
				t.Errorf("got %q, %v; want %q, %q", got, err, c.want, c.why)
			}
		})
	}
}

func TestOnWindows(t *testing.T) {
	t.Parallel()
	m := ParseMounts(root9p + driveC + "80 70 0:60 / /mnt/c/work rw - tmpfs tmpfs rw\n")
	for p, want := range map[LinuxPath]bool{"/mnt/c": true, "/mnt/c/x": true, "/mnt/cx": false, "/home": false, "/mnt/c/work/x": false} {
		if m.OnWindows(p) != want {
			t.Errorf("%s: %v", p, !want)
		}
	}
}

func TestAutomountOff(t *testing.T) {
	t.Parallel()
	for conf, want := range map[string]bool{
		"": false, "[automount]\nenabled=false\n": true, "[AutoMount]\r\n enabled = False # no\r\n": true, "[automount]\nenabled=true": false,
		"[interop]\nenabled=false\n": false, "enabled=false": false, "[automount]\nenabled=\"false\"": true, "[automount]\nenabled=false\nenabled=true\n": false,
	} {
		if AutomountOff(conf) != want {
			t.Errorf("%q: %v", conf, !want)
		}
	}
}

func TestLooksWindows(t *testing.T) {
	t.Parallel()
	for p, want := range map[string]bool{
		`C:\x`: true, `c:/x`: true, `C:`: true, `C:x\y`: true, `\\server\x`: true, `\\wsl$\U\x`: true, `//wsl.localhost/U/x`: true, `//WSL$/U`: true, `//?/C:/x`: true,
		"/home/u": false, "~": false, "//home/u": false, "a:b": false, "": false, "x": false, "/c:/x": false,
	} {
		if LooksWindows(p) != want {
			t.Errorf("%q: %v", p, !want)
		}
	}
}

// Whatever the table says: an answer is a clean Linux path below a mount of that
// drive, never a Windows path, and a path translated back and forth stays.
func FuzzMounts(f *testing.F) {
	f.Add(root9p+driveC, `C:\Users\me`)
	f.Add(root9p+`70 61 0:50 /a /win\040d/c rw - drvfs C:\134b rw`, `C:\b\a\x`)
	f.Add("61 61 0:1 / / rw - 9p A: x\n62 61 0:1 / / rw - 9p A: x\n", `a:\x`)
	f.Add("1 2 3:4 / / - - 9p C: path=", `c:\`)
	f.Fuzz(func(t *testing.T, table, win string) {
		m := ParseMounts(table)
		w, err := ParseWin(win)
		if err != nil {
			return
		}
		l, err := m.Translate(w)
		if err != nil {
			var e *Error
			if l != "" || !errors.As(err, &e) || e.Why == "" {
				t.Fatalf("%q: %q, %v", win, l, err)
			}
			return
		}
		if again, err := ParseLinux(string(l)); err != nil || again != l || LooksWindows(string(l)) {
			t.Fatalf("%q became %q, %v", win, l, err)
		}
		if !m.OnWindows(l) {
			t.Fatalf("%q became %q, which is not on a drive", win, l)
		}
		over := m.all[m.covering(string(l))]
		rest := strings.TrimPrefix(strings.TrimPrefix(string(l), over.point), "/")
		back, err := ParseWin(string(w.Drive) + `:\` + strings.Join(append(append([]string(nil), over.below...), strings.Split(rest, "/")...), `\`))
		if err != nil || back.Drive != over.drive || !strings.EqualFold(back.Rest, w.Rest) {
			t.Fatalf("%q became %q and %+v again, %v", win, l, back, err)
		}
	})
}
