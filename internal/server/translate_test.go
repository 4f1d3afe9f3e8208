//go:build linux

package server

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/api"
)

const rootMount = "61 35 8:32 / / rw - ext4 /dev/sdc rw\n"

func driveMount(letter, point string) string {
	return fmt.Sprintf(`70 61 0:50 / %s rw,noatime - 9p %s:\134 rw,aname=drvfs;path=%s:\134`+"\n", point, letter, letter)
}

// inDistro makes the fixture a backend in Ubuntu whose system files say this.
func inDistro(t *testing.T, mountinfo, conf string) *fixture {
	t.Helper()
	f := newFixture(t, nil)
	f.o.Distro = "Ubuntu"
	dir := filepath.Join(f.home, standIn)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"mountinfo": mountinfo, "wsl.conf": conf} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestTranslatePath(t *testing.T) { // W2.1, W2.2, W2.3
	t.Parallel()
	drives := rootMount + driveMount("C", "/win/c")
	for name, c := range map[string]struct{ mounts, conf, in, want, why string }{
		"drive, not in /mnt":    {drives, "", `C:\code\shop`, "/win/c/code/shop", ""},
		"slashes, blanks":       {drives, "", "  c:/code/ ", "/win/c/code", ""},
		"share of this distro":  {drives, "", `\\wsl$\uBUNTU\home\dev`, "/home/dev", ""},
		"share, slashes":        {drives, "", `//wsl.localhost/Ubuntu/home/dev`, "/home/dev", ""},
		"share of a sibling":    {drives, "", `\\wsl.localhost\Ubuntu-22.04\home`, "", `belongs to the distro "Ubuntu-22.04"`},
		"other drive":           {drives, "", `Z:\x`, "", "drive Z: is not mounted"},
		"network":               {drives, "", `\\server\share\x`, "", "network path"},
		"drive-relative":        {drives, "", `C:x\y`, "", "drive-relative"},
		"automount off":         {rootMount, "[automount]\nenabled=false\n", `C:\x`, "", "turned off in /etc/wsl.conf of Ubuntu"},
		"nothing mounted":       {rootMount, "", `C:\x`, "", "no Windows drive is mounted"},
		"hidden":                {drives + "80 70 0:60 / /win/c/x rw - tmpfs tmpfs rw\n", "", `C:\x\y`, "", "another file system is mounted over it at /win/c/x"},
		"Linux path":            {drives, "", "/etc/../home", "/home", ""},
		"Linux name with colon": {drives, "", "/c:/x", "/c:/x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := inDistro(t, c.mounts, c.conf)
			got, err := f.translatePath(t.Context(), api.PathTranslate{Path: c.in})
			if c.why == "" {
				if err != nil || got.Path != c.want {
					t.Fatalf("got %q, %v", got.Path, err)
				}
				return
			}
			e := api.AsError(err)
			if e == nil || e.Code != api.CodePathUntranslatable || got.Path != "" || e.Hint == "" || !strings.Contains(e.Message, c.why) || !strings.Contains(e.Message, "path ") {
				t.Fatalf("got %q, %+v", got.Path, e)
			}
		})
	}
}

// wslpath, where the distro has one, may confirm, contradict, or know more.
func TestSecondOpinion(t *testing.T) { // W2.2
	drives := rootMount + driveMount("C", "/win/c") + "71 61 0:51 / /mnt/e rw - virtiofs drvfs rw\n"
	for name, c := range map[string]struct{ script, in, want, why string }{
		"agrees":              {"echo /win/c/x", `C:\x`, "/win/c/x", ""},
		"contradicts":         {"echo /mnt/c/x", `C:\x`, "", "wslpath says /mnt/c/x"},
		"fails":               {"echo wslpath: x >&2; exit 1", `C:\x`, "/win/c/x", ""},
		"knows an unnamed":    {"echo /mnt/e/x", `E:\x`, "/mnt/e/x", ""},
		"invents one":         {"echo /home/x", `E:\x`, "", "drive E: is not mounted"},
		"answers nonsense":    {"echo C:", `E:\x`, "", "drive E: is not mounted"},
		"is asked absolutely": {`test "$1 $2" = '-u C:\x y' && echo '/win/c/x y'`, `c:/x y/`, "/win/c/x y", ""},
	} {
		t.Run(name, func(t *testing.T) {
			bin := t.TempDir()
			if err := os.WriteFile(filepath.Join(bin, "wslpath"), []byte("#!/bin/sh\n"+c.script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			got, err := inDistro(t, drives, "").translatePath(t.Context(), api.PathTranslate{Path: c.in})
			if got.Path != c.want || c.why != "" && (api.CodeOf(err) != api.CodePathUntranslatable || !strings.Contains(err.Error(), c.why)) || c.why == "" && err != nil {
				t.Errorf("got %q, %v", got.Path, err)
			}
		})
	}
}

func TestWindowsPathsOverTheDoor(t *testing.T) { // W2.2, W2.3
	t.Parallel()
	point := t.TempDir()
	if err := os.MkdirAll(filepath.Join(point, "code", "shop"), 0o755); err != nil {
		t.Fatal(err)
	}
	f := inDistro(t, rootMount+driveMount("C", point), "")
	var folder api.Folder
	if status := f.do("POST", "/api/call/folder.list", f.token(), `{"path":"C:\\code"}`, &folder); status != http.StatusOK || folder.Path != filepath.Join(point, "code") || len(folder.Entries) != 1 {
		t.Errorf("%d %+v", status, folder)
	}
	var e api.Error
	if status := f.do("POST", "/api/call/folder.list", f.token(), `{"path":"Q:\\code"}`, &e); status == http.StatusOK || e.Code != api.CodePathUntranslatable {
		t.Errorf("%d %+v", status, e)
	}
	f.SetPhase(api.PhaseReady, nil)
	e = api.Error{}
	if status := f.do("POST", "/api/call/project.add", f.token(), `{"path":"Q:\\code"}`, &e); status == http.StatusOK || e.Code != api.CodePathUntranslatable {
		t.Errorf("%d %+v", status, e)
	}
	plain := newFixture(t, nil) // no distro: refused, not guessed at
	e = api.Error{}
	if status := plain.do("POST", "/api/call/path.translate", plain.token(), `{"path":"C:\\code"}`, &e); status == http.StatusOK || e.Code != api.CodePathUntranslatable {
		t.Errorf("%d %+v", status, e)
	}
}
