package hostpath

import (
	"net/url"
	"strings"
	"testing"
)

func TestPickerStart(t *testing.T) { // W2.4
	t.Parallel()
	for name, c := range map[string]struct{ typed, home, want, why string }{
		"nothing":          {"", "/home/dev", `\\wsl.localhost\Ubuntu\home\dev`, ""},
		"home":             {" ~ ", "/data/homes/dev", `\\wsl.localhost\Ubuntu\data\homes\dev`, ""},
		"below the home":   {"~/a b", "/root", `\\wsl.localhost\Ubuntu\root\a b`, ""},
		"absolute":         {"/srv/../opt", "/root", `\\wsl.localhost\Ubuntu\opt`, ""},
		"share":            {`\\wsl$\ubuntu\srv`, "/root", `\\wsl.localhost\ubuntu\srv`, ""},
		"drive":            {`c:/code`, "/root", `C:\code`, ""},
		"another distro":   {`\\wsl$\Ubuntu-22.04\srv`, "/root", "", "belongs to the distro Ubuntu-22.04"},
		"network":          {`\\nas\x`, "/root", "", "network path"},
		"relative":         {"code", "/root", "", "not an absolute"},
		"another's home":   {"~dev", "/root", "", "not an absolute"},
		"above the root":   {"~/../../x", "/root", "", "climbs above"},
		"no home is known": {"", "", "", "not an absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := PickerStart(c.typed, "Ubuntu", c.home)
			if got != c.want || (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestEditorLink(t *testing.T) { // W2.5
	t.Parallel()
	for name, c := range map[string]struct {
		path                      LinuxPath
		scheme, distro, want, why string
	}{
		"plain":       {"/home/dev/shop", "vscode", "Ubuntu-22.04", "vscode://vscode-remote/wsl+Ubuntu-22.04/home/dev/shop", ""},
		"characters":  {"/a b/é#?%:1", "cursor", "Ubuntu", "cursor://vscode-remote/wsl+Ubuntu/a%20b/%C3%A9%23%3F%25%3A1", ""},
		"root":        {"/", "vscode", "Ubuntu", "vscode://vscode-remote/wsl+Ubuntu/", ""},
		"relative":    {"home", "vscode", "Ubuntu", "", "not an absolute"},
		"odd editor":  {"/x", "javascript", "Ubuntu", "", "no editor"},
		"odd distro":  {"/x", "vscode", "my distro", "", "cannot name"},
		"slashed one": {"/x", "vscode", "a/b", "", "cannot name"},
	} {
		got, err := c.path.EditorLink(c.scheme, c.distro)
		if got != c.want || (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

// A link leads back to the path it was made of, and names nothing else.
func FuzzEditorLink(f *testing.F) {
	f.Add("/home/dev", "Ubuntu")
	f.Add("/a:b/%2e%2e/?q#f", "x-1")
	f.Fuzz(func(t *testing.T, path, distro string) {
		l, err := ParseLinux(path)
		if err != nil {
			return
		}
		link, err := l.EditorLink("vscode", distro)
		if err != nil {
			return
		}
		u, err := url.Parse(link)
		if err != nil || u.Scheme != "vscode" || u.Host != "vscode-remote" || u.RawQuery != "" || u.Fragment != "" || u.Path != "/wsl+"+distro+string(l) {
			t.Fatalf("%q in %q became %q: %+v, %v", path, distro, link, u, err)
		}
	})
}

// Whatever a picker is opened on, it is a Windows path of this distro or of a drive.
func FuzzPickerStart(f *testing.F) {
	f.Add("~/x", "/home/dev")
	f.Add(`\\wsl$\Ubuntu\..`, "/")
	f.Fuzz(func(t *testing.T, typed, home string) {
		got, err := PickerStart(typed, "Ubuntu", home)
		if err != nil {
			return
		}
		w, err := ParseWin(got)
		if err != nil || w.Kind == KindWSL && !SameDistro(w.Distro, "Ubuntu") {
			t.Fatalf("%q, %q became %q: %+v, %v", typed, home, got, w, err)
		}
	})
}
