package shell

import (
	"path"
	"strings"
)

// Kind is a way of showing the page.
type Kind string

const (
	// KindWindow is the window program beside this one; its URL goes to its stdin.
	KindWindow Kind = "window"
	// KindApp is a browser in app mode with a profile of its own.
	KindApp Kind = "app"
	// KindBrowser is the system's default browser.
	KindBrowser Kind = "browser"
)

// Way is one program that can show the page. Args is what comes before the URL.
type Way struct {
	Kind Kind
	Path string
	Args []string
}

// Surroundings is what the choice of a way depends on.
type Surroundings struct {
	GOOS   string
	Getenv func(string) string
	// ExeDir is the folder of this program, Profile that of the browser in app mode.
	ExeDir, Profile string
	// WebView reports whether the system has what the window program shows the page
	// with; nil where that needs no looking (a missing library ends the program at once).
	WebView func() bool
	// Exists reports a file; Look finds a program in PATH ("" when there is none).
	Exists func(path string) bool
	Look   func(name string) string
}

// Ways lists the ways to show the page here, best first; none where there is no display.
func Ways(s Surroundings) []Way {
	if s.GOOS != "windows" && s.GOOS != "darwin" && s.Getenv("DISPLAY") == "" && s.Getenv("WAYLAND_DISPLAY") == "" {
		return nil
	}
	var ways []Way
	name := "catamaran-window"
	if s.GOOS == "windows" {
		name += ".exe"
	}
	// Beside the desktop, or where a package puts it.
	for _, p := range []string{s.join(s.ExeDir, name), s.join(s.ExeDir, "../lib/catamaran/"+name)} {
		if s.Exists(p) && (s.WebView == nil || s.WebView()) {
			ways = append(ways, Way{Kind: KindWindow, Path: p})
			break
		}
	}
	for _, p := range browsers(s) {
		ways = append(ways, Way{Kind: KindApp, Path: p, Args: []string{
			"--user-data-dir=" + s.Profile, "--no-first-run", "--no-default-browser-check", "--disable-sync",
		}})
		break // a second one would open where the first was slow
	}
	switch s.GOOS {
	case "windows":
		ways = append(ways, Way{Kind: KindBrowser}) // by the system's own call
	case "darwin":
		ways = append(ways, Way{Kind: KindBrowser, Path: "/usr/bin/open"})
	default:
		if p := s.Look("xdg-open"); p != "" {
			ways = append(ways, Way{Kind: KindBrowser, Path: p})
		}
	}
	return ways
}

// browsers lists those that know --app, Edge first on Windows because it is always there.
func browsers(s Surroundings) []string {
	var found []string
	add := func(p string) {
		if p != "" && s.Exists(p) {
			found = append(found, p)
		}
	}
	switch s.GOOS {
	case "windows":
		for _, in := range []string{"ProgramFiles(x86)", "ProgramFiles", "LOCALAPPDATA"} {
			if dir := s.Getenv(in); dir != "" {
				add(s.join(dir, `Microsoft\Edge\Application\msedge.exe`))
			}
		}
		for _, in := range []string{"ProgramFiles", "ProgramFiles(x86)", "LOCALAPPDATA"} {
			if dir := s.Getenv(in); dir != "" {
				add(s.join(dir, `Google\Chrome\Application\chrome.exe`))
			}
		}
	case "darwin":
		for _, app := range []string{"Google Chrome", "Microsoft Edge", "Chromium"} {
			add("/Applications/" + app + ".app/Contents/MacOS/" + app)
		}
	default:
		for _, n := range []string{"microsoft-edge", "google-chrome", "google-chrome-stable", "chromium", "chromium-browser"} {
			if p := s.Look(n); p != "" {
				found = append(found, p)
			}
		}
	}
	return found
}

// join joins paths of the system that is asked about, wherever the rule is tested.
func (s Surroundings) join(dir, rest string) string {
	if s.GOOS == "windows" {
		return strings.TrimRight(dir, `\`) + `\` + rest
	}
	return path.Join(dir, rest)
}
