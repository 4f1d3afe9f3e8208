//go:build dist

package dist

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"catamaran/internal/api"
	"catamaran/test/chromium"
	"catamaran/test/page"
	"catamaran/test/windows/wine"
)

// patience bounds every wait for what Wine does.
const patience = 3 * time.Minute

// programs of the product, which are gone when it has ended.
var programs = []string{"catamaran.exe", "catamaran.com", "catamaran-backend.exe", "catamaran-window.exe"}

// desktop is an installed app that runs under Wine, and its page.
type desktop struct {
	t      *testing.T
	wine   *wine.Session
	exe    string
	cmd    *exec.Cmd
	stdin  io.Closer
	ended  chan struct{}
	launch api.Launch
	client page.Page
}

// start runs the installed app without a window, as a terminal would, and signs a page in.
func start(t *testing.T, s *wine.Session, exe string, client *page.Page) *desktop {
	t.Helper()
	d := &desktop{t: t, wine: s, exe: exe, ended: make(chan struct{})}
	d.cmd = s.Command(context.Background(), []string{"CATAMARAN_LOG=debug"}, exe, "--no-window", "--owner-stdin")
	var said bytes.Buffer
	d.cmd.Stderr = &said
	stdin, err := d.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.stdin = stdin
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	d.cmd.Stdout = w
	err = d.cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = d.cmd.Wait(); close(d.ended) }()
	t.Cleanup(func() {
		_ = stdin.Close()
		s.Kill9("catamaran.exe")
		<-d.ended
	})
	if err := r.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(r).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &d.launch) != nil {
		t.Fatalf("no launch line: %v, %q\n%s", err, line, said.Bytes())
	}
	base, _, _ := strings.Cut(d.launch.URL, "/#code=")
	if client != nil {
		d.client = *client // its session goes on
	}
	d.client.Base = base
	if client == nil {
		d.page("signin", d.launch.URL)
	}
	d.page("ready", "local")
	// Under Wine the first client of a named pipe is lost (test/windows/limits_test.go).
	s.Run(nil, exe, "--no-window")
	return d
}

// page does what a word of a story says and returns its output.
func (d *desktop) page(verb string, args ...string) string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	var out strings.Builder
	if err := d.client.Do(ctx, &out, verb, args, func(p string) string { return p }); err != nil {
		d.t.Fatalf("page %s %q: %v", verb, args, err)
	}
	return out.String()
}

// look keeps a picture of the app's page in a browser, where CATAMARAN_SCREENSHOTS says so.
func (d *desktop) look(name string) {
	d.t.Helper()
	dir := os.Getenv("CATAMARAN_SCREENSHOTS")
	if dir == "" {
		return
	}
	out, errOut, _ := d.wine.Run(nil, d.exe, "--no-window") // a fresh address to sign in with
	var launch api.Launch
	if err := json.Unmarshal([]byte(out), &launch); err != nil {
		d.t.Fatalf("%v: %q %q", err, out, errOut)
	}
	program, err := chromium.Path()
	if err != nil {
		d.t.Fatal(err)
	}
	alloc, cancel := chromedp.NewExecAllocator(d.t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.Headless, chromedp.Flag("no-proxy-server", true), chromedp.UserDataDir(d.t.TempDir()), chromedp.WindowSize(1440, 900))...)
	defer cancel()
	ctx, cancel := chromedp.NewContext(alloc)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, patience)
	defer cancel()
	_, err = chromedp.Run(ctx, chromedp.Navigate(launch.URL))
	if err == nil {
		_, err = chromedp.Run(ctx, chromedp.Click(chromedp.CSS(`[data-testid="thread-row"]`)))
	}
	if err == nil {
		_, err = chromedp.Run(ctx, chromedp.WaitVisible(chromedp.CSS(`[data-testid="turn-footer"]`)))
	}
	var png []byte
	if err == nil {
		png, err = chromedp.Run(ctx, chromedp.CaptureScreenshot())
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		d.t.Fatalf("a picture: %v", err)
	}
}

// gone waits until the app has ended and nothing of it runs.
func (d *desktop) gone() {
	d.t.Helper()
	select {
	case <-d.ended:
	case <-time.After(patience):
		d.t.Fatal("the app did not end")
	}
	if err := d.wine.Gone(patience, programs...); err != nil {
		d.t.Fatal(err)
	}
}

// registry is what a key says, "" where there is none.
func registry(s *wine.Session, key string, more ...string) string {
	out, _, code := s.Run(nil, "reg", append([]string{"query", key}, more...)...)
	if code != 0 {
		return ""
	}
	return out
}

const linkKey = `Software\Classes\catamaran\shell\open\command`

// within waits for a condition.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// code is a folder of the tester's on drive C:.
func code(t *testing.T, s *wine.Session, name string) {
	t.Helper()
	dir := s.C("code", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.Own(dir); err != nil {
		t.Fatal(err)
	}
}

// newer makes the installer of a next version, signed with a throw-away key.
func newer(t *testing.T) (setup, number, cert string) {
	t.Helper()
	number = "9.1.0"
	bin := t.TempDir()
	if err := os.Mkdir(filepath.Join(bin, "windows-amd64"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"carried", "windows-amd64/catamaran.com", "windows-amd64/catamaran-backend.exe", "windows-amd64/catamaran-window.exe"} {
		if err := os.Symlink(filepath.Join(built, link), filepath.Join(bin, link)); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -H windowsgui -X catamaran/internal/build.Version="+number,
		"-o", filepath.Join(bin, "windows-amd64", "catamaran.exe"), "./cmd/catamaran")
	build.Dir = root
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cert, key := signer(t)
	out := t.TempDir()
	makeWith(t, []string{"CATAMARAN_SIGN_CERT=" + cert, "CATAMARAN_SIGN_KEY=" + key}, "-version", number, "-bin", bin, "-arch", "amd64", "-only", "nsis", "-out", out)
	return filepath.Join(out, "catamaran-"+number+"-windows-amd64-setup.exe"), number, cert
}
