package shell

import (
	"strings"
	"testing"

	"catamaran/internal/api"
)

func TestParseLink(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		goos, link, path string
		ok               bool
	}{
		{"windows", "catamaran:", "", true},
		{"windows", "catamaran://", "", true},
		{"windows", "catamaran://open", "", true},
		{"windows", "catamaran://open/", "", true},
		{"windows", "CATAMARAN://open?path=C%3A%5Ccode%5Cmy%20shop", `C:\code\my shop`, true},
		{"windows", `catamaran://open?path=%5C%5Cwsl.localhost%5CUbuntu%5Chome%5Cu`, `\\wsl.localhost\Ubuntu\home\u`, true},
		{"windows", "catamaran://open/?path=C:/code", "C:/code", true},
		{"windows", "catamaran://open?path=%5C%5Cserver%5Cshare", "", false},
		{"windows", "catamaran://open?path=%2F%2Fserver%2Fshare", "", false},
		{"windows", `catamaran://open?path=%5C%5C%3F%5CUNC%5Cserver%5Cshare`, "", false},
		{"windows", `catamaran://open?path=%5C%5C.%5CPhysicalDrive0`, "", false},
		{"windows", "catamaran://open?path=relative", "", false},
		{"windows", "catamaran://open?path=C%3A%5Ca&path=C%3A%5Cb", "", false},
		{"windows", "catamaran://open?path=C%3A%5Ca&force=1", "", false},
		{"windows", "catamaran://open?path=C%3A%5Ca%00b", "", false},
		{"windows", "catamaran://run?path=C%3A%5Ca", "", false},
		{"windows", "catamaran://user@open?path=C%3A%5Ca", "", false},
		{"windows", "https://open?path=C%3A%5Ca", "", false},
		{"windows", "--no-window", "", false},
		{"windows", "catamaran://open?path=" + strings.Repeat("a", 9000), "", false},
		{"linux", "catamaran://open?path=/home/u/a%20b", "/home/u/a b", true},
		{"linux", "catamaran://open?path=home", "", false},
	} {
		path, err := ParseLink(c.goos, c.link)
		if path != c.path || (err == nil) != c.ok || err != nil && api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%s %.80s: %q, %v", c.goos, c.link, path, err)
		}
	}
}

func FuzzParseLink(f *testing.F) {
	for _, s := range []string{"catamaran://open?path=C%3A%5Ccode", "catamaran:", "catamaran://open?path=%5C%5Cserver%5Cshare", "catamaran://a@b:1/c?d#e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, link string) {
		for _, goos := range []string{"windows", "linux"} {
			path, err := ParseLink(goos, link)
			if err != nil && path != "" {
				t.Errorf("%q: a path %q beside the error %v", link, path, err)
			}
			if goos == "windows" && strings.HasPrefix(path, `\\`) {
				lower := strings.ToLower(strings.ReplaceAll(path, "/", `\`))
				if !strings.Contains(lower, "wsl") && !strings.HasPrefix(lower, `\\?\`) {
					t.Errorf("%q leads to another computer: %q", link, path)
				}
			}
		}
	})
}
