package hostpath

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

type vector struct {
	ID, Input string
	Expect    struct{ Kind, Distro, Linux, Why string }
}

func TestVectors(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/host-unc.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for sc := bufio.NewScanner(f); sc.Scan(); n++ {
		var v vector
		if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		t.Run(v.ID, func(t *testing.T) {
			got, err := ParseWin(v.Input)
			if v.Expect.Kind == "error" {
				var e *Error
				if !errors.As(err, &e) || e.Path != v.Input || e.Why != v.Expect.Why {
					t.Fatalf("got %+v, %v; want the reason %q", got, err, v.Expect.Why)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Kind) != v.Expect.Kind || got.Distro != v.Expect.Distro || string(got.Linux) != v.Expect.Linux {
				t.Fatalf("got %+v, want %+v", got, v.Expect)
			}
		})
	}
	if n < 8 {
		t.Fatalf("only %d vectors", n)
	}
}

func TestParseWin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want, why string }{
		"old prefix":            {`\\wsl$\Ubuntu\home\u`, `\\wsl.localhost\Ubuntu\home\u`, ""},
		"any case":              {`\\WSL.LocalHost\uBUNTU\Home`, `\\wsl.localhost\uBUNTU\Home`, ""},
		"long form":             {`\\?\UNC\wsl.localhost\Ubuntu\home`, `\\wsl.localhost\Ubuntu\home`, ""},
		"long form, any case":   {`\\?\unc\WSL$\Ubuntu\home`, `\\wsl.localhost\Ubuntu\home`, ""},
		"long drive":            {`\\?\c:\x\y`, `C:\x\y`, ""},
		"repeated separators":   {`\\wsl.localhost\\Ubuntu\\\home//u\`, `\\wsl.localhost\Ubuntu\home\u`, ""},
		"dots":                  {`\\wsl.localhost\Ubuntu\a\.\b\..\c`, `\\wsl.localhost\Ubuntu\a\c`, ""},
		"root":                  {`\\wsl.localhost\Ubuntu`, `\\wsl.localhost\Ubuntu\`, ""},
		"sibling is a distro":   {`\\wsl.localhost\Ubuntu-22.04\home`, `\\wsl.localhost\Ubuntu-22.04\home`, ""},
		"above the root":        {`\\wsl.localhost\Ubuntu\..\Debian\x`, "", "climbs above the root of the distro"},
		"above the drive":       {`C:\a\..\..\b`, "", "climbs above the root of the drive"},
		"share":                 {`\\server\share\x`, "", "network path, not inside a WSL distro"},
		"look-alike server":     {`\\wsl.localhost.evil\Ubuntu\x`, "", "network path, not inside a WSL distro"},
		"relative":              {`foo\bar`, "", "not an absolute Windows path"},
		"rooted without drive":  {`\foo`, "", "not an absolute Windows path"},
		"Linux path":            {`/home/u`, "", "not an absolute Windows path"},
		"volume":                {`\\?\Volume{x}\a`, "", "device path"},
		"drive only":            {`C:`, "", "drive-relative"},
		"empty":                 {``, "", "empty"},
		"escaped dots stay out": {`\\wsl.localhost\Ubuntu\..`, "", "climbs above the root of the distro"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseWin(c.in)
			if c.why != "" {
				var e *Error
				if !errors.As(err, &e) || e.Why != c.why {
					t.Fatalf("got %v, %v; want %q", got, err, c.why)
				}
				if !strings.Contains(err.Error(), c.why) {
					t.Fatal("the text does not say why: ", err)
				}
				return
			}
			if err != nil || got.String() != c.want {
				t.Fatalf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestCheckDistro(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"Ubuntu": true, "Ubuntu-22.04": true, "my distro": true, "Überdistro": true, "日本": true,
		"": false, " x": false, "x ": false, "a/b": false, `a\b`: false, "a\nb": false, "a\"b": false, "a:b": false,
		"..": false, "\xff": false, strings.Repeat("x", 257): false,
	} {
		if err := CheckDistro(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	if !SameDistro("UBUNTU", "ubuntu") || SameDistro("Ubuntu", "Ubuntu-22.04") {
		t.Error("comparison")
	}
}

// A path that is accepted comes back the same from its own text, and never above or beside its root.
func FuzzParseWin(f *testing.F) {
	for _, s := range []string{`\\wsl.localhost\Ubuntu\home\u`, `//wsl$/a b/x`, `C:\a\..\b`, `\\?\UNC\wsl\D\e`, "\\\\wsl$\\D\\a\uf03ab", `\\.\C:\x`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w, err := ParseWin(s)
		if err != nil {
			return
		}
		again, err := ParseWin(w.String())
		if err != nil || again != w {
			t.Fatalf("%q: %+v became %q and %+v, %v", s, w, w.String(), again, err)
		}
		if w.Kind == KindWSL {
			if l, err := ParseLinux(string(w.Linux)); err != nil || l != w.Linux {
				t.Fatalf("%q: %q is not clean: %q, %v", s, w.Linux, l, err)
			}
		}
	})
}

func FuzzLinux(f *testing.F) {
	for _, s := range []string{"/home/u", "/a:b/c?", "/..", "/a\\b", "/\uf03a", "/a//b/./c/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLinux(s)
		if err != nil {
			return
		}
		w, err := l.Windows("Ubuntu")
		if err != nil {
			return
		}
		back, err := ParseWin(w)
		if err != nil || back.Linux != l || back.Distro != "Ubuntu" {
			t.Fatalf("%q became %q and %+v, %v", l, w, back, err)
		}
	})
}
