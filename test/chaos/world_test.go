//go:build linux

package chaos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"catamaran/internal/api"
	"catamaran/internal/wsl/wslsim"
	"catamaran/test/product"
)

// world is one desktop on one simulated machine, with folders and programs of its own.
type world struct {
	dir, sim string
	began    time.Time

	cmd   *exec.Cmd
	ended chan struct{}
	err   *bytes.Buffer // the desktop's stderr

	mu          sync.Mutex
	base, token string
	report      report
}

func newWorld(t testing.TB) *world {
	t.Helper()
	bin := product.Bin(t)
	w := &world{dir: t.TempDir(), began: time.Now(), report: report{steps: map[string]int{}, worst: map[string]time.Duration{}, counts: map[string]int{}}}
	w.sim = filepath.Join(w.dir, "sim")
	err := filepath.WalkDir(bin, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(bin, path)
		if err != nil {
			return err
		}
		to := filepath.Join(w.dir, "bin", rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		return os.Link(path, to) // its own name, so that its processes can be told from others'
	})
	if err == nil {
		err = wslsim.Create(w.sim, wslsim.Two())
	}
	if err == nil {
		err = wslsim.Install(w.sim, filepath.Join(w.dir, "bin", "wslsim"))
	}
	if err == nil {
		err = os.MkdirAll(filepath.Join(w.dir, "home"), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.clear)
	return w
}

// clear ends everything by force.
func (w *world) clear() {
	for range 20 {
		left := w.processes()
		if len(left) == 0 {
			break
		}
		for _, p := range left {
			syscall.Kill(p.pid, syscall.SIGKILL)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if w.ended != nil {
		<-w.ended
	}
}

func (w *world) state() string { return filepath.Join(w.dir, "state") }

// start starts the desktop and signs the page in.
func (w *world) start() error {
	began := time.Now()
	cmd := exec.Command(filepath.Join(w.dir, "bin", "catamaran"), "--no-window")
	cmd.Dir = w.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(w.dir, "home"), "LANG=C.UTF-8", "SHELL=/bin/sh",
		"CATAMARAN_HOME=" + w.state(), "CATAMARAN_WSL_EXE=" + filepath.Join(w.sim, "wsl.exe"), "CATAMARAN_CHANGE_TIMEOUT=6s"}
	w.err = &bytes.Buffer{}
	cmd.Stderr = w.err
	r, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd.Stdout = out
	err = cmd.Start()
	out.Close()
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	w.cmd, w.ended = cmd, ended
	go func() { cmd.Wait(); close(ended) }()
	if err := r.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	line, err := bufio.NewReader(r).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("no launch line: %w", err)
	}
	var l api.Launch
	if err := json.Unmarshal(line, &l); err != nil {
		return fmt.Errorf("launch line: %w", err)
	}
	base, code, _ := strings.Cut(l.URL, "/#code=")
	w.mu.Lock()
	w.base, w.token = base, ""
	w.mu.Unlock()
	var s api.Session
	if err := w.post(5*time.Second, "/api/session", "", api.LaunchExchange{Code: code}, &s); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	w.mu.Lock()
	w.token = s.Token
	w.mu.Unlock()
	w.took("start of the desktop, to the signed-in page", time.Since(began))
	return nil
}

func (w *world) took(what string, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report.worst[what] = max(w.report.worst[what], d)
}

func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report.counts[what]++
}

func route(env string) string { return "/e/" + url.PathEscape(env) }

func (w *world) door() (base, token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.base, w.token
}

// post makes a call as the page does. Errors are *api.Error where the other side gave one.
func (w *world) post(within time.Duration, path, command string, req, res any) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	b, err := json.Marshal(req)
	if err != nil {
		return err
	}
	base, token := w.door()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", base)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if command != "" {
		r.Header.Set("Catamaran-Command", command)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var e api.Error
		if json.Unmarshal(body, &e) == nil && e.Code != "" {
			return &e
		}
		return fmt.Errorf("%s: %s", resp.Status, body)
	}
	if res == nil {
		return nil
	}
	return json.Unmarshal(body, res)
}

// call asks the gateway, or with env that environment's backend.
func (w *world) call(within time.Duration, env, method string, req, res any) error {
	path := "/api/call/" + method
	if env != "" {
		path = route(env) + path
	}
	return w.post(within, path, "", req, res)
}

func (w *world) now() (api.Environments, error) {
	var s api.Environments
	err := w.call(apiBound, "", api.MethodEnvironments, api.Empty{}, &s)
	return s, err
}

// thread reads a thread's snapshot from its stream.
func (w *world) thread(env, id string) (api.ThreadSnapshot, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	base, token := w.door()
	c, _, err := websocket.Dial(ctx, base+route(env)+"/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {base}}})
	if err != nil {
		return api.ThreadSnapshot{}, err
	}
	defer c.CloseNow()
	c.SetReadLimit(64 << 20)
	for _, f := range []api.ClientFrame{{Type: api.FrameHello, Token: token}, {Type: api.FrameSubscribe, ID: "1", Topic: api.TopicThread + id}} {
		b, err := json.Marshal(f)
		if err == nil {
			err = c.Write(ctx, websocket.MessageText, b)
		}
		if err != nil {
			return api.ThreadSnapshot{}, err
		}
	}
	for {
		_, b, err := c.Read(ctx)
		if err != nil {
			return api.ThreadSnapshot{}, err
		}
		var f api.ServerFrame
		switch err := json.Unmarshal(b, &f); {
		case err != nil:
			return api.ThreadSnapshot{}, err
		case f.Error != nil:
			return api.ThreadSnapshot{}, f.Error
		case f.Thread != nil:
			return *f.Thread, nil
		}
	}
}

// exited reports how the desktop ended; an error when it has not.
func (w *world) exited(within time.Duration) (int, error) {
	select {
	case <-w.ended:
		return w.cmd.ProcessState.ExitCode(), nil
	case <-time.After(within):
		return 0, errors.New("the desktop does not end")
	}
}
