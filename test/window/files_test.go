//go:build window

package window

import (
	"archive/zip"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/test/page"
	"catamaran/test/product"
)

// Files in the native window, with its own dialogs and by real keys: diagnostics
// are saved where the person says, and a folder that they choose becomes a project.
func TestFilesInTheNativeWindow(t *testing.T) {
	t.Parallel()
	d := newDisplay(t)
	programs, home := bin(t), t.TempDir()
	user := t.TempDir()
	downloads := filepath.Join(user, "Downloads")
	if err := os.Mkdir(downloads, 0o755); err != nil {
		t.Fatal(err)
	}
	repo := product.GitRepo(t, filepath.Join(user, "chosen"))
	d.app(programs, home, "HOME="+user)
	until(t, "the window shows the page", func() bool { return d.colours() > 40 })
	p := d.page(t, programs, home)
	until(t, "the environment is ready", func() bool { _, err := p("ready", "local"); return err == nil })

	// Export: the dialog begins in Downloads with a name, and Enter takes both.
	const export, choose = "^Export diagnostics$", "^Choose a folder"
	command := func(name string) func() {
		return func() {
			d.xdotool("key", "F1")
			d.rest()
			d.xdotool("type", "--delay", "30", name)
			d.rest()
			d.xdotool("key", "Return")
		}
	}
	d.dialog(export, command("Export diagnostics"))
	d.shot("window-save")
	d.xdotool("key", "Return")
	var saved string
	until(t, "the archive is saved", func() bool {
		all, _ := filepath.Glob(filepath.Join(downloads, "*.zip"))
		if len(all) != 1 {
			return false
		}
		z, err := zip.OpenReader(all[0])
		if err != nil {
			return false // it is being written
		}
		defer z.Close()
		saved = all[0]
		return len(z.File) > 0
	})
	if !strings.HasPrefix(filepath.Base(saved), "catamaran-diagnostics") {
		t.Errorf("it is named %s", filepath.Base(saved))
	}
	d.shot("window-saved")

	// Cancelled: nothing is written.
	d.dialog(export, command("Export diagnostics"))
	d.xdotool("key", "Escape")
	until(t, "the dialog is gone", func() bool { return len(d.named(export)) == 0 })
	if all, _ := filepath.Glob(filepath.Join(downloads, "*")); len(all) != 1 {
		t.Errorf("after a cancelled export: %v", all)
	}

	// A folder by the dialog: typed into it, as GTK's takes paths, and added.
	d.dialog(choose, func() {
		command("Add a project")()
		d.rest()
		d.xdotool("key", "Tab") // from the field to the button beside it
		d.xdotool("key", "space")
	})
	d.xdotool("type", "--delay", "30", repo)
	d.shot("window-folder")
	until(t, "the dialog is gone", func() bool {
		if len(d.named(choose)) == 0 {
			return true
		}
		_ = d.try("key", "End", "Return") // the first may only take what was completed
		d.rest()
		return len(d.named(choose)) == 0
	})
	d.focus()
	d.rest()
	d.xdotool("key", "shift+Tab") // back to the field, which has the chosen folder now
	d.xdotool("key", "Return")
	until(t, "the chosen folder is a project", func() bool {
		out, err := p("projects", "local")
		return err == nil && strings.Contains(out, `"path": "`+repo+`"`)
	})
	d.shot("window-project")
}

// A window has the theme's background before its page is there: here the page
// never comes, so the background is all there is.
func TestWindowBackground(t *testing.T) {
	t.Parallel()
	d := newDisplay(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	programs := bin(t)
	dark, light := [3]uint32{0x13, 0x15, 0x18}, [3]uint32{0xff, 0xff, 0xff}
	for _, c := range []struct {
		name, theme string
		env         []string
		want        [3]uint32
	}{
		{"chosen dark", "dark", nil, dark},
		{"chosen light", "light", []string{"GTK_THEME=Adwaita:dark"}, light},
		{"a light system", "", nil, light},
		{"a dark system", "", []string{"GTK_THEME=Adwaita:dark"}, dark},
	} {
		cmd := exec.Command("dbus-run-session", "--", filepath.Join(programs, "catamaran-window"))
		cmd.Env = append(d.env(), append(c.env, "HOME="+t.TempDir())...)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		start(t, cmd)
		order, err := json.Marshal(api.WindowOrder{Op: api.WindowStart, URL: "http://" + silent.Addr().String() + "/", Theme: c.theme})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stdin.Write(append(order, '\n')); err != nil {
			t.Fatal(err)
		}
		var last map[[3]uint32]int
		t.Cleanup(func() {
			if t.Failed() && len(last) < 50 {
				t.Logf("%s: the last picture: %v", c.name, last)
			}
		})
		until(t, fmt.Sprintf("%s: the background %x", c.name, c.want), func() bool {
			last = d.seen()
			all := 0
			for _, n := range last {
				all += n
			}
			// A few pixels may be the frame's.
			return all > 0 && last[c.want] > all*98/100
		})
		_ = stdin.Close()
		until(t, c.name+": the window is gone", func() bool { return len(d.windows()) == 0 })
		_ = cmd.Wait()
	}
}

// page signs in as a further start would, beside the window.
func (d *display) page(t *testing.T, programs, home string) func(args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(programs, "catamaran"), "--no-window")
	cmd.Env = append(d.env(), "CATAMARAN_HOME="+home)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("a further start: %v", err)
	}
	var launch api.Launch
	if err := json.Unmarshal(out, &launch); err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	base, _, _ := strings.Cut(launch.URL, "/#code=")
	client := &page.Page{Base: base}
	do := func(args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var out strings.Builder
		err := client.Do(ctx, &out, args[0], args[1:], func(p string) string { return p })
		return out.String(), err
	}
	if _, err := do("signin", launch.URL); err != nil {
		t.Fatal(err)
	}
	return do
}

// named are the ids of visible windows whose name matches.
func (d *display) named(name string) []string {
	cmd := exec.Command("xdotool", "search", "--onlyvisible", "--name", name)
	cmd.Env = d.env()
	out, _ := cmd.Output() // exit code 1 means none
	return strings.Fields(string(out))
}

// rest waits until what is on the display has come to rest after a key: two
// pictures alike. What it cannot know is tried again by who depends on it.
func (d *display) rest() {
	const most = 20 * time.Second
	var last map[[3]uint32]int
	for end := time.Now().Add(most); time.Now().Before(end); {
		time.Sleep(300 * time.Millisecond) // the first picture may be of before
		now := d.seen()
		if len(now) > 0 && maps.Equal(now, last) {
			return
		}
		last = now
	}
}

// dialog has the app's window open one of the system's dialogs, by keys, and waits
// until that has the keyboard. Keys that came too early for the page are pressed again.
func (d *display) dialog(name string, keys func()) {
	d.t.Helper()
	var next time.Time
	until(d.t, "the dialog "+name, func() bool {
		for _, id := range d.named(name) {
			if d.try("windowactivate", "--sync", id) == nil && d.active() == id {
				return true
			}
		}
		if len(d.named(name)) == 0 && time.Now().After(next) {
			d.focus()
			d.xdotool("key", "Escape") // what an earlier try has left open
			d.rest()
			keys()
			next = time.Now().Add(45 * time.Second)
		}
		return false
	})
}

func (d *display) active() string {
	cmd := exec.Command("xdotool", "getactivewindow")
	cmd.Env = d.env()
	out, _ := cmd.Output()
	return strings.TrimSpace(string(out))
}

func (d *display) try(args ...string) error {
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "xdotool", args...)
	cmd.Env = d.env()
	return cmd.Run()
}

// focus gives the app's window the keyboard.
func (d *display) focus() {
	d.t.Helper()
	until(d.t, "the window has the keyboard", func() bool {
		ids := d.windows()
		return len(ids) == 1 && d.try("windowactivate", "--sync", ids[0]) == nil && d.active() == ids[0]
	})
}
