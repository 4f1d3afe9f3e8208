//go:build window

package window

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"catamaran/internal/api"
)

// The whole life of the native window: it shows the page; one that crashes comes
// back while the desktop and its backend go on; its place is kept over a
// restart; a killed desktop leaves no window; closing it ends the app.
func TestNativeWindow(t *testing.T) {
	t.Parallel()
	d := newDisplay(t)
	programs, home := bin(t), t.TempDir()
	d.app(programs, home)
	window := filepath.Join(programs, "catamaran-window")
	shown := func() bool { return len(d.windows()) == 1 }
	drawn := func() bool { return d.colours() > 40 }
	until(t, "the window shows the page", drawn)
	d.shot("window-home")

	// The window has signed in: the code in its address worked once, and it is in nobody's arguments.
	for _, pid := range processes(window) {
		if args, _ := os.ReadFile(filepath.Join("/proc", itoa(pid), "cmdline")); strings.Contains(string(args), "code=") {
			t.Errorf("the window's arguments hold the launch code: %q", args)
		}
	}

	// A crash of the window: another one stands, the desktop and its backend are the same processes.
	desktop, backend := processes(filepath.Join(programs, "catamaran")), processes(filepath.Join(programs, "catamaran-backend"))
	if len(desktop) == 0 || len(backend) == 0 {
		t.Fatalf("desktop %v, backend %v", desktop, backend)
	}
	before := webViews(processes(window))
	if len(before) != 1 {
		t.Fatalf("%d window processes", len(before))
	}
	if err := syscall.Kill(before[0], syscall.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	until(t, "another window after a crash", func() bool {
		now := webViews(processes(window))
		return len(now) == 1 && now[0] != before[0] && drawn()
	})
	if now := processes(filepath.Join(programs, "catamaran")); len(now) == 0 || now[0] != desktop[0] {
		t.Errorf("the desktop was %v and is %v", desktop, now)
	}
	if now := processes(filepath.Join(programs, "catamaran-backend")); len(now) == 0 || now[0] != backend[0] {
		t.Errorf("the backend was %v and is %v", backend, now)
	}

	// Its place is kept.
	d.xdotool("windowsize", "--sync", d.windows()[0], "1000", "640")
	place := func() (p api.WindowPlace) {
		b, _ := os.ReadFile(filepath.Join(home, "desktop", "window.json"))
		_ = json.Unmarshal(b, &p)
		return p
	}
	until(t, "the window's place is kept", func() bool { p := place(); return p.Width > 980 && p.Width < 1020 })

	// kill -9 of the desktop: no window, no backend is left.
	for _, pid := range processes(filepath.Join(programs, "catamaran")) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	until(t, "a killed desktop leaves nothing", func() bool {
		return len(d.windows()) == 0 && len(processes(window)) == 0 && len(processes(filepath.Join(programs, "catamaran-backend"))) == 0
	})

	// The next start has the window where it was, and closing it ends everything.
	app := d.app(programs, home)
	until(t, "the window comes back", drawn)
	until(t, "in its old size", func() bool {
		return shown() && strings.Contains(d.xdotool("getwindowgeometry", d.windows()[0]), "Geometry: 1000x")
	})
	d.shot("window-again")
	ended := make(chan error, 1)
	go func() { ended <- app() }()
	d.close()
	until(t, "closing the window ends the app", func() bool {
		return len(processes(window)) == 0 && len(processes(filepath.Join(programs, "catamaran"))) == 0 && len(processes(filepath.Join(programs, "catamaran-backend"))) == 0
	})
	if err := <-ended; err != nil {
		t.Errorf("the app ended with %v", err)
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

// webViews leaves out the guard, which is the same program under the desktop's care.
func webViews(pids []int) []int {
	var out []int
	for _, pid := range pids {
		maps, _ := os.ReadFile(filepath.Join("/proc", itoa(pid), "maps"))
		if strings.Contains(string(maps), "libwebkit2gtk") {
			out = append(out, pid)
		}
	}
	return out
}
