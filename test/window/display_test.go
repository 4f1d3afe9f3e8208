//go:build window

package window

import (
	"bytes"
	"fmt"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"catamaran/test/product"
)

func TestMain(m *testing.M) {
	code := m.Run()
	product.Clean()
	os.Exit(code)
}

// display is an Xvfb with a window manager; both end with the test.
type display struct {
	t    *testing.T
	name string
}

// need fails where a program is missing: make test-window installs them all.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("%s is missing; run make test-window, which installs it", p)
		}
	}
}

// newDisplay starts a display server under a number that the server finds itself:
// the number is whose abstract socket it could bind, so that servers which start at
// the same moment, of other test runs too, never share one.
func newDisplay(t *testing.T) *display {
	t.Helper()
	need(t, "Xvfb", "openbox", "xdotool", "wmctrl", "import", "dbus-run-session")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// A server that resets, as it does when its last client leaves, turns away who
	// comes meanwhile.
	x := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1440x900x24", "-nolisten", "tcp", "-noreset")
	x.ExtraFiles = []*os.File{w}
	var said output
	x.Stderr = &said
	ended := start(t, x)
	w.Close()
	go func() {
		if err := ended(); err != nil {
			fmt.Fprintf(&said, "Xvfb ended: %v\n", err)
		}
	}()
	t.Cleanup(func() {
		if t.Failed() {
			fmt.Println(said.String())
		}
	})
	// The number comes once the server takes connections. It is read to its end: the
	// server writes it in two pieces, and dies where nobody takes the second.
	got := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(r)
		got <- strings.TrimSpace(string(b))
	}()
	d := &display{t: t}
	select {
	case n := <-got:
		if n == "" {
			t.Fatalf("Xvfb ended\n%s", said.String())
		}
		d.name = ":" + n
	case <-time.After(60 * time.Second):
		t.Fatal("Xvfb did not come up")
	}
	wm := exec.Command("openbox")
	wm.Env = d.env()
	start(t, wm)
	return d
}

// start runs a program that ends with the test, and its children with it; the
// returned function waits for its end.
func start(t *testing.T, cmd *exec.Cmd) (wait func() error) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait = sync.OnceValue(cmd.Wait)
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = wait()
	})
	return wait
}

func (d *display) env() []string {
	// No GPU here; WebKit's sandbox needs user namespaces that a test machine may not have.
	return append(product.CleanEnv(d.t), "DISPLAY="+d.name, "GDK_BACKEND=x11", "LIBGL_ALWAYS_SOFTWARE=1",
		"WEBKIT_DISABLE_COMPOSITING_MODE=1", "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS=1", "NO_AT_BRIDGE=1")
}

// windows are the ids of visible windows whose name is Catamaran.
func (d *display) windows() []string {
	cmd := exec.Command("xdotool", "search", "--onlyvisible", "--name", "^Catamaran$")
	cmd.Env = d.env()
	out, _ := cmd.Output() // exit code 1 means none
	return strings.Fields(string(out))
}

func (d *display) xdotool(args ...string) string {
	d.t.Helper()
	cmd := exec.Command("xdotool", args...)
	cmd.Env = d.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Fatalf("xdotool %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// shot is a picture of the whole display, kept where CATAMARAN_SCREENSHOTS says so.
func (d *display) shot(name string) {
	d.t.Helper()
	cmd := exec.Command("import", "-window", "root", "png:-")
	cmd.Env = d.env()
	out, err := cmd.Output()
	if err != nil {
		d.t.Fatalf("take a picture: %v", err)
	}
	if dir := os.Getenv("CATAMARAN_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), out, 0o644); err != nil {
			d.t.Fatal(err)
		}
	}
}

// colours counts the different colours of the window's content, without its
// frame: a blank page has one, drawn text has hundreds.
func (d *display) colours() int { return len(d.seen()) }

// seen counts the pixels of each colour in the one window's content; nil where there is none.
func (d *display) seen() map[[3]uint32]int {
	d.t.Helper()
	ids := d.windows()
	if len(ids) != 1 {
		return nil
	}
	cmd := exec.Command("import", "-window", ids[0], "png:-")
	cmd.Env = d.env()
	out, err := cmd.Output()
	if err != nil {
		return nil // it has just gone
	}
	img, err := png.Decode(bytes.NewReader(out))
	if err != nil {
		d.t.Fatal(err)
	}
	seen := map[[3]uint32]int{}
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, _ := img.At(x, y).RGBA()
			seen[[3]uint32{r >> 8, g >> 8, bl >> 8}]++
		}
	}
	return seen
}

// patience bounds every wait: a machine with other work draws slowly.
const patience = 4 * time.Minute

// until waits for a condition of the world outside.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// processes are the pids whose program is path.
func processes(path string) []int {
	var pids []int
	all, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range all {
		if p, err := os.Readlink(exe); err == nil && p == path {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(exe))); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// bin is a private copy of the programs, so that their processes are this test's own.
func bin(t *testing.T) string {
	t.Helper()
	from := product.Bin(t)
	to := t.TempDir()
	for _, name := range []string{"catamaran", "catamaran-backend", "catamaran-window", "demoagent"} {
		src := filepath.Join(from, name)
		if err := os.Link(src, filepath.Join(to, name)); err != nil {
			b, rerr := os.ReadFile(src)
			if rerr != nil {
				t.Fatalf("%v; run make test-window, which builds it", rerr)
			}
			if err := os.WriteFile(filepath.Join(to, name), b, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	return to
}

// output is what a program says, read while it may still speak.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// app starts the desktop as a person's click would, with a session bus of its own.
func (d *display) app(bin, home string, env ...string) (wait func() error) {
	d.t.Helper()
	cmd := exec.Command("dbus-run-session", "--", filepath.Join(bin, "catamaran"))
	cmd.Env = append(append(d.env(), "CATAMARAN_HOME="+home, "CATAMARAN_LOG=debug"), env...)
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	wait = start(d.t, cmd)
	d.t.Cleanup(func() {
		if d.t.Failed() {
			fmt.Println(out.String())
			logs, _ := filepath.Glob(filepath.Join(home, "desktop", "logs", "*"))
			for _, l := range logs {
				b, _ := os.ReadFile(l)
				fmt.Printf("%s:\n%s\n", filepath.Base(l), b[max(0, len(b)-6000):])
			}
		}
	})
	return wait
}

// close asks the window manager to close the window, as its button does.
func (d *display) close() {
	d.t.Helper()
	// The manager's list of windows is not there for a moment while it changes.
	until(d.t, "the window is asked to close", func() bool {
		cmd := exec.Command("wmctrl", "-c", "Catamaran")
		cmd.Env = d.env()
		out, err := cmd.CombinedOutput()
		if err != nil {
			d.t.Logf("wmctrl: %v %s", err, out)
		}
		return err == nil
	})
}
