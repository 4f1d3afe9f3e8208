package openin

import (
	"testing"
	"unicode/utf8"

	"catamaran/internal/api"
	"github.com/google/go-cmp/cmp"
)

func address(s string) []Command { return []Command{{Address: s}} }
func explore(s string) []Command { return []Command{{Explore: s}} }

// W2.5
func TestBuild(t *testing.T) {
	t.Parallel()
	wt := func(args ...string) Command {
		return Command{Program: "wt.exe", Args: append([]string{"-w", "0", "new-tab"}, args...)}
	}
	for _, c := range []struct {
		name, goos, distro, path string
		target                   Target
		want                     []Command
	}{
		{"editor in a distro", "windows", "Ubuntu", "/home/dev/shop", VSCode, address("vscode://vscode-remote/wsl+Ubuntu/home/dev/shop")},
		{"version in the name", "windows", "Ubuntu-24.04", "/srv", Cursor, address("cursor://vscode-remote/wsl+Ubuntu-24.04/srv")},
		{"root", "windows", "Ubuntu", "/", Windsurf, address("windsurf://vscode-remote/wsl+Ubuntu/")},
		{"blanks", "windows", "My Distro", "/home/dev/my shop", VSCode, address("vscode://vscode-remote/wsl+My%20Distro/home/dev/my%20shop")},
		{"non-ASCII", "windows", "Größe", "/home/dev/日本", VSCode, address("vscode://vscode-remote/wsl+Gr%C3%B6%C3%9Fe/home/dev/%E6%97%A5%E6%9C%AC")},
		{"what an address reads", "windows", "Ubuntu", "/a?b#c%20&d+e", VSCode, address("vscode://vscode-remote/wsl+Ubuntu/a%3Fb%23c%2520%26d%2Be")},
		{"cleaned", "windows", "Ubuntu", "/home//dev/./x/../shop/", VSCode, address("vscode://vscode-remote/wsl+Ubuntu/home/dev/shop")},
		{"Explorer", "windows", "Ubuntu", "/home/dev/shop", Folder, explore(`\\wsl.localhost\Ubuntu\home\dev\shop`)},
		{"Explorer, blanks", "windows", "My Distro", "/home/dev/my shop", Folder, explore(`\\wsl.localhost\My Distro\home\dev\my shop`)},
		{"Explorer, non-ASCII", "windows", "Ubuntu", "/home/dev/日本 ü", Folder, explore(`\\wsl.localhost\Ubuntu\home\dev\日本 ü`)},
		{"Explorer, a colon", "windows", "Ubuntu", "/a:b", Folder, explore("\\\\wsl.localhost\\Ubuntu\\a\uf03ab")},
		{"terminal", "windows", "Ubuntu", "/home/dev/my shop", Terminal, []Command{
			wt("wsl.exe", "-d", "Ubuntu", "--cd", "/home/dev/my shop"), {Program: "wsl.exe", Args: []string{"-d", "Ubuntu", "--cd", "/home/dev/my shop"}}}},
		{"terminal, a semicolon", "windows", "Ubuntu", "/a;calc", Terminal, []Command{
			wt("wsl.exe", "-d", "Ubuntu", "--cd", `/a\;calc`), {Program: "wsl.exe", Args: []string{"-d", "Ubuntu", "--cd", "/a;calc"}}}},
		{"native Windows, editor", "windows", "", `C:\Users\dev\my shop`, VSCode, address("vscode://file/C:/Users/dev/my%20shop")},
		{"native Windows, Explorer", "windows", "", `c:/Users/dev/é`, Folder, explore(`C:\Users\dev\é`)},
		{"native Windows, terminal", "windows", "", `C:\a;b`, Terminal, []Command{wt("-d", `C:\a\;b`), {Program: "powershell.exe", Dir: `C:\a;b`}}},
		{"a distro's folder of the native backend", "windows", "", `\\wsl$\Ubuntu\srv\x y`, VSCode, address("vscode://vscode-remote/wsl+Ubuntu/srv/x%20y")},
		{"Linux, folder", "linux", "", "/home/dev/my shop", Folder, []Command{{Program: "xdg-open", Args: []string{"/home/dev/my shop"}}}},
		{"Linux, editor", "linux", "", "/home/dev/ü x", VSCode, []Command{{Program: "code", Args: []string{"/home/dev/ü x"}}, {Program: "xdg-open", Args: []string{"vscode://file/home/dev/%C3%BC%20x"}}}},
		{"Mac, folder", "darwin", "", "/Users/dev/x", Folder, []Command{{Program: "open", Args: []string{"/Users/dev/x"}}}},
		{"Mac, terminal", "darwin", "", "/Users/dev/x", Terminal, []Command{{Program: "open", Args: []string{"-a", "Terminal", "/Users/dev/x"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := Build(c.goos, Place{Distro: c.distro, Path: c.path}, c.target)
			if d := cmp.Diff(c.want, got); d != "" || err != nil {
				t.Error(d, err)
			}
		})
	}
}

func TestBuildAtALine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, goos, distro, path string
		line                     int
		target                   Target
		want                     []Command
	}{
		{"in a distro", "windows", "Ubuntu", "/home/dev/a b.go", 12, VSCode, address("vscode://vscode-remote/wsl+Ubuntu/home/dev/a%20b.go:12")},
		{"a colon in its name", "windows", "Ubuntu", "/srv/a:b", 1, Cursor, address("cursor://vscode-remote/wsl+Ubuntu/srv/a%3Ab:1")},
		{"native Windows", "windows", "", `C:\x\y.go`, 7, Windsurf, address("windsurf://file/C:/x/y.go:7")},
		{"a distro's file of the native backend", "windows", "", `\\wsl$\Ubuntu\srv\x`, 3, VSCode, address("vscode://vscode-remote/wsl+Ubuntu/srv/x:3")},
		{"Linux", "linux", "", "/home/dev/x.go", 40, VSCode, []Command{{Program: "code", Args: []string{"--goto", "/home/dev/x.go:40"}}, {Program: "xdg-open", Args: []string{"vscode://file/home/dev/x.go:40"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := Build(c.goos, Place{Distro: c.distro, Path: c.path, Line: c.line}, c.target)
			if d := cmp.Diff(c.want, got); d != "" || err != nil {
				t.Error(d, err)
			}
		})
	}
	for _, p := range []Place{{Path: "/x", Line: 1}, {Path: "/x", Line: -1}} {
		if _, err := Build("linux", p, Folder); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, goos, distro, path string
		target                   Target
		code                     api.Code
	}{
		{"unknown program", "linux", "", "/", "emacs", api.CodeInvalid},
		{"relative", "linux", "", "x", Folder, api.CodePathUntranslatable},
		{"relative in a distro", "windows", "Ubuntu", "x", VSCode, api.CodePathUntranslatable},
		{"above the root", "windows", "Ubuntu", "/..", Folder, api.CodePathUntranslatable},
		{"a Windows path for a distro", "windows", "Ubuntu", `C:\x`, VSCode, api.CodePathUntranslatable},
		{"a Linux path for Windows", "windows", "", "/home/dev", Folder, api.CodePathUntranslatable},
		{"a network path", "windows", "", `\\server\share`, Folder, api.CodePathUntranslatable},
		{"a zero byte", "linux", "", "/a\x00b", Folder, api.CodePathUntranslatable},
		{"bad distro", "windows", `a\b`, "/x", VSCode, api.CodePathUntranslatable},
		{"distro that wsl.exe cannot name", "windows", "My Distro", "/x", Terminal, api.CodeDistroInvalid},
		{"quote in a terminal's folder", "windows", "Ubuntu", `/a"b`, Terminal, api.CodePathUntranslatable},
		{"a distro on Linux", "linux", "Ubuntu", "/x", VSCode, api.CodePathUntranslatable},
		{"not UTF-8", "windows", "Ubuntu", "/\xff", Folder, api.CodePathUntranslatable},
	} {
		if got, err := Build(c.goos, Place{Distro: c.distro, Path: c.path}, c.target); api.CodeOf(err) != c.code || got != nil {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

func TestOpenersCanBeBuilt(t *testing.T) {
	t.Parallel()
	for _, goos := range []string{"windows", "linux", "darwin"} {
		for _, o := range Openers(goos) {
			p := Place{Path: "/x"}
			if goos == "windows" {
				p = Place{Distro: "D", Path: "/x"}
			}
			if _, err := Build(goos, p, Target(o.ID)); err != nil || o.Name == "" {
				t.Errorf("%s %s: %v", goos, o.ID, err)
			}
		}
	}
}

func FuzzAddress(f *testing.F) {
	f.Add("Ubuntu", "/home/dev/a b?c#d")
	f.Fuzz(func(t *testing.T, distro, path string) {
		cs, err := Build("windows", Place{Distro: distro, Path: path}, VSCode)
		if err != nil || distro == "" {
			return
		}
		for _, r := range cs[0].Address {
			if r <= ' ' || r >= utf8.RuneSelf || r == '"' || r == '?' || r == '#' || r == '\\' || r == '&' {
				t.Fatalf("%q", cs[0].Address)
			}
		}
	})
}
