package shell

import (
	"slices"
	"testing"
)

// Without a web view the window program is not tried: it could only show a message box.
func TestWaysWithoutWebView(t *testing.T) {
	t.Parallel()
	ways := Ways(Surroundings{GOOS: "windows", Getenv: func(string) string { return "" }, WebView: func() bool { return false },
		Exists: func(string) bool { return true }, Look: func(string) string { return "" }})
	for _, w := range ways {
		if w.Kind == KindWindow {
			t.Errorf("%+v", w)
		}
	}
}

func TestWays(t *testing.T) {
	t.Parallel()
	display := map[string]string{"DISPLAY": ":0"}
	win := map[string]string{"ProgramFiles(x86)": `C:\Program Files (x86)`, "ProgramFiles": `C:\Program Files`}
	for name, c := range map[string]struct {
		goos  string
		env   map[string]string
		files []string
		path  map[string]string
		want  []string
	}{
		"no display":           {"linux", nil, []string{"/opt/c/catamaran-window"}, map[string]string{"chromium": "/usr/bin/chromium"}, nil},
		"window first":         {"linux", display, []string{"/opt/c/catamaran-window"}, map[string]string{"chromium": "/usr/bin/chromium", "xdg-open": "/usr/bin/xdg-open"}, []string{"window /opt/c/catamaran-window", "app /usr/bin/chromium", "browser /usr/bin/xdg-open"}},
		"packaged window":      {"linux", display, []string{"/opt/lib/catamaran/catamaran-window"}, nil, []string{"window /opt/lib/catamaran/catamaran-window"}},
		"wayland":              {"linux", map[string]string{"WAYLAND_DISPLAY": "w"}, nil, map[string]string{"xdg-open": "/x"}, []string{"browser /x"}},
		"nothing there":        {"linux", display, nil, nil, nil},
		"edge before chrome":   {"windows", win, []string{`C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe`, `C:\Program Files\Google\Chrome\Application\chrome.exe`}, nil, []string{`app C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe`, "browser "}},
		"windows without both": {"windows", win, nil, nil, []string{"browser "}},
		"mac":                  {"darwin", nil, []string{"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"}, nil, []string{"app /Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "browser /usr/bin/open"}},
	} {
		ways := Ways(Surroundings{
			GOOS: c.goos, ExeDir: "/opt/c", Profile: "/p",
			Getenv: func(k string) string { return c.env[k] },
			Exists: func(p string) bool { return slices.Contains(c.files, p) },
			Look:   func(n string) string { return c.path[n] },
		})
		var got []string
		for _, w := range ways {
			got = append(got, string(w.Kind)+" "+w.Path)
			if w.Kind == KindApp && !slices.Contains(w.Args, "--user-data-dir=/p") {
				t.Errorf("%s: the browser window has no profile of its own", name)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
