// Package product builds the programs under test once and runs them as a user
// would: as processes, in state folders of their own. Browser tests, script
// stories and benchmarks share it; the product never imports it.
package product

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var programs struct {
	once sync.Once
	dir  string
	err  error
}

// Root is the project's root folder.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Bin returns the folder with catamaran, catamaran-backend, wslsim, demoagent
// and carried/, built once per test process; CATAMARAN_TEST_BIN names one that is there already.
func Bin(t testing.TB) string {
	t.Helper()
	programs.once.Do(func() {
		if d := os.Getenv("CATAMARAN_TEST_BIN"); d != "" {
			programs.dir = d
			return
		}
		programs.dir, programs.err = build()
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return programs.dir
}

// Clean removes what Bin built; call it at the end of TestMain.
func Clean() {
	if programs.dir != "" && os.Getenv("CATAMARAN_TEST_BIN") == "" {
		_ = os.RemoveAll(programs.dir)
	}
}

func build() (string, error) {
	dir, err := os.MkdirTemp("", "catamaran-bin")
	if err != nil {
		return "", err
	}
	carried := filepath.Join(dir, "carried", "catamaran-backend-linux-"+runtime.GOARCH)
	for _, args := range [][]string{
		{"build", "-trimpath", "-ldflags", "-s -w", "-o", dir + string(filepath.Separator), "./cmd/..."},
		{"build", "-trimpath", "-ldflags", "-s -w", "-o", carried, "./cmd/catamaran-backend"},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir = Root()
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
		if out, err := cmd.CombinedOutput(); err != nil {
			os.RemoveAll(dir)
			return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return dir, nil
}

// Desktop is a running `catamaran --no-window`.
type Desktop struct {
	Cmd *exec.Cmd
	// URL has the one-time launch code in its fragment; Base has not.
	URL, Base string
	Home      string
	stdin     io.Closer
	done      chan struct{}
	stderr    *tail
}

// Options of a desktop under test.
type Options struct {
	Home string   // state folder; a new one when empty
	Env  []string // added to a clean environment
	Args []string
	// Bin is the folder of the programs; Bin(t) when empty.
	Bin string
}

// StartDesktop starts the desktop and waits (at most 20 s) until the page can be loaded. It is
// stopped, and its tree proven gone, when the test ends.
func StartDesktop(t testing.TB, o Options) *Desktop {
	t.Helper()
	bin := o.Bin
	if bin == "" {
		bin = Bin(t)
	}
	if o.Home == "" {
		o.Home = t.TempDir()
	}
	d := &Desktop{Home: o.Home, done: make(chan struct{}), stderr: &tail{}}
	d.Cmd = exec.Command(filepath.Join(bin, "catamaran"), append([]string{"--no-window", "--owner-stdin"}, o.Args...)...)
	d.Cmd.Env = append(CleanEnv(t), "CATAMARAN_HOME="+o.Home, "CATAMARAN_LOG=debug")
	d.Cmd.Env = append(d.Cmd.Env, o.Env...)
	d.Cmd.Stderr = d.stderr
	d.Cmd.WaitDelay = 5 * time.Second
	stdin, err := d.Cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.stdin = stdin
	stdout, err := d.Cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make(chan string, 1)
	go func() {
		r := bufio.NewReader(stdout)
		l, _ := r.ReadString('\n')
		line <- l
		_, _ = io.Copy(io.Discard, r)
		_ = d.Cmd.Wait()
		close(d.done)
	}()
	t.Cleanup(func() { d.Stop(t) })
	var launch struct {
		URL     string `json:"url"`
		Version string `json:"version"`
	}
	select {
	case l := <-line:
		if err := json.Unmarshal([]byte(l), &launch); err != nil {
			t.Fatalf("catamaran --no-window printed %q (%v)\n%s", l, err, d.stderr)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("catamaran --no-window printed nothing within 20 s\n%s", d.stderr)
	}
	d.URL = launch.URL
	d.Base, _, _ = strings.Cut(launch.URL, "#")
	d.Base = strings.TrimSuffix(d.Base, "/")
	return d
}

// Stop ends the desktop cleanly and fails the test when it takes over 5 s.
func (d *Desktop) Stop(t testing.TB) {
	t.Helper()
	select {
	case <-d.done:
		return
	default:
	}
	_ = d.Cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(5 * time.Second):
		_ = d.Cmd.Process.Kill()
		<-d.done
		t.Errorf("the desktop did not end within 5 s\n%s", d.stderr)
	}
}

// Kill ends the desktop with SIGKILL.
func (d *Desktop) Kill() {
	_ = d.Cmd.Process.Kill()
	<-d.done
}

// CleanEnv is a small environment with a home of its own.
func CleanEnv(t testing.TB) []string {
	home := t.TempDir()
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LANG=C.UTF-8", "SHELL=/bin/sh", "GORACE=atexit_sleep_ms=0", "TMPDIR=" + os.TempDir()}
}

// GitRepo makes a repository with a few committed files below dir and returns its path.
func GitRepo(t testing.TB, dir string) string {
	t.Helper()
	repo := filepath.Join(dir, "shop")
	files := map[string]string{
		"README.md":      "# shop\n\nA small shop.\n",
		"src/total.go":   "package shop\n\nfunc Total(prices []int) int {\n\tsum := 0\n\tfor _, p := range prices {\n\t\tsum += p\n\t}\n\treturn sum\n}\n",
		"src/basket.go":  "package shop\n\ntype Basket struct{ Prices []int }\n",
		".gitignore":     "*.tmp\n",
		"docs/usage.txt": "put things in, pay\n",
	}
	for name, text := range files {
		p := filepath.Join(repo, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"-c", "user.name=Dev", "-c", "user.email=dev@example.com", "commit", "-q", "-m", "start"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = repo
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return repo
}

// tail keeps the last 64 KiB of a stream.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if n := len(t.b) - 64<<10; n > 0 {
		t.b = t.b[n:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
