package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"catamaran/internal/api"
	"catamaran/internal/link"
	"catamaran/internal/proc"
)

// program is the backend as built for the tests, with the race detector where
// the tests have it.
var program string

func TestMain(m *testing.M) {
	proc.GuardMain()
	if os.Getenv(editorVar) != "" {
		os.Exit(editor())
	}
	dir, err := os.MkdirTemp("", "catamaran-backend-test-")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "catamaran-backend")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	args := []string{"build", "-o", program}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s\n", out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// world is a person's machine as far as a backend sees it.
type world struct {
	home, state, repo string
	env               []string
}

func newWorld(t testing.TB) world {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := world{home: filepath.Join(base, "home"), state: filepath.Join(base, "state"), repo: filepath.Join(base, "home", "project")}
	if err := os.MkdirAll(w.repo, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if name != "HOME" && name != "USERPROFILE" && !strings.HasPrefix(name, "XDG_") && !strings.HasPrefix(name, "CATAMARAN_") {
			w.env = append(w.env, kv)
		}
	}
	w.env = append(w.env, "HOME="+w.home, "USERPROFILE="+w.home, "CATAMARAN_HOME="+w.state, "GORACE=atexit_sleep_ms=0", "GIT_CONFIG_NOSYSTEM=1")
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"},
		{"-c", "user.name=T", "-c", "user.email=t@example.invalid", "commit", "-q", "--allow-empty", "-m", "one"},
	} {
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Env = w.repo, w.env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	return w
}

// desktop is the owner's end of a started backend.
type desktop struct {
	t       testing.TB
	proc    *proc.Process
	session *link.Session
	client  *http.Client
	token   string
}

const credential = "a-credential-nobody-else-knows"

func envelope() api.Envelope {
	return api.Envelope{Protocol: api.ProtocolVersion, Credential: credential, Environment: "local", DesktopVersion: "test",
		Env: map[string]string{"CATAMARAN_TEST_KEY": "forwarded-secret-value"}}
}

// start starts a backend, connects and signs in.
func start(t testing.TB, w world) *desktop {
	t.Helper()
	p, err := proc.Start(proc.Spec{Name: "backend", Path: program, Args: []string{"serve", "--stdio"}, Dir: w.home, Env: w.env})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := link.Connect(ctx, p.Stdout(), p.Stdin(), envelope(), link.Options{})
	if err != nil {
		t.Fatalf("connect: %v; stderr: %s", err, p.StderrTail())
	}
	d := &desktop{t: t, proc: p, session: s}
	d.client = clientOf(s)
	t.Cleanup(func() { d.client.CloseIdleConnections(); s.Close() })
	var session api.Session
	d.request("POST", "/api/session/exchange", api.SessionExchange{Credential: credential}, &session)
	d.token = session.Token
	if session.EnvironmentID != s.Hello().EnvironmentID {
		t.Fatalf("hello says %s, session %s", s.Hello().EnvironmentID, session.EnvironmentID)
	}
	return d
}

func clientOf(s *link.Session) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.Open(ctx) }}}
}

func (d *desktop) request(method, path string, in, out any) {
	d.t.Helper()
	if err := d.try(method, path, in, out); err != nil {
		d.t.Fatalf("%s %s: %v", method, path, err)
	}
}

func (d *desktop) try(method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(d.t.Context(), 20*time.Second)
	defer cancel()
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://backend"+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+d.token)
	res, err := d.client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != 200 {
		e := &api.Error{}
		if json.Unmarshal(body, e) != nil {
			return fmt.Errorf("%s: %s", res.Status, body)
		}
		return e
	}
	return json.Unmarshal(body, out)
}

func call[Res any](d *desktop, method string, in any) Res {
	d.t.Helper()
	var out Res
	d.request("POST", "/api/call/"+method, in, &out)
	return out
}

// ready waits for phase ready by the welcome frames, as a client does.
func (d *desktop) ready() *socket {
	d.t.Helper()
	s := d.socket()
	for {
		f := s.next()
		if f.Type != api.FrameWelcome {
			continue
		}
		switch f.Descriptor.Phase {
		case api.PhaseReady:
			return s
		case api.PhaseFailed:
			d.t.Fatalf("failed: %+v", f.Descriptor.Reason)
		}
	}
}

// socket is a WebSocket over the link.
type socket struct {
	t  testing.TB
	ws *websocket.Conn
	// items is the thread's timeline as the frames so far tell it.
	items map[string]api.Item
	turns map[string]api.Turn
}

func (d *desktop) socket() *socket {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 20*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://backend/ws", &websocket.DialOptions{HTTPClient: d.client, HTTPHeader: http.Header{"Authorization": {"Bearer " + d.token}}})
	if err != nil {
		d.t.Fatal(err)
	}
	ws.SetReadLimit(16 << 20)
	d.t.Cleanup(func() { ws.CloseNow() })
	return &socket{t: d.t, ws: ws, items: map[string]api.Item{}, turns: map[string]api.Turn{}}
}

func (s *socket) send(f api.ClientFrame) {
	s.t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	if err := s.ws.Write(ctx, websocket.MessageText, b); err != nil {
		s.t.Fatal(err)
	}
}

func (s *socket) next() api.ServerFrame {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	_, b, err := s.ws.Read(ctx)
	if err != nil {
		s.t.Fatalf("read a frame: %v", err)
	}
	var f api.ServerFrame
	if err := json.Unmarshal(b, &f); err != nil {
		s.t.Fatal(err)
	}
	if f.Type == api.FrameError {
		s.t.Fatalf("error frame: %+v", f.Error)
	}
	if f.Thread != nil {
		for _, it := range f.Thread.Items {
			s.items[it.ID] = it
		}
		for _, tu := range f.Thread.Turns {
			s.turns[tu.ID] = tu
		}
	}
	if f.Event != nil && f.Event.Item != nil {
		s.items[f.Event.Item.ID] = *f.Event.Item
	}
	if f.Event != nil && f.Event.Turn != nil {
		s.turns[f.Event.Turn.ID] = *f.Event.Turn
	}
	return f
}

// until reads frames until ok is true of the state they make.
func (s *socket) until(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited too long for %s; turns %+v", what, s.turns)
		}
		s.next()
	}
}

// pending returns the item of an approval that waits, if there is one.
func (s *socket) pending() *api.Item {
	for _, it := range s.items {
		if it.Approval != nil && it.Approval.State == api.ApprovalPending {
			return &it
		}
	}
	return nil
}

// approve answers approvals with the option that allows once until the turn ends.
func (d *desktop) approve(s *socket, turnID string) (kinds []string) {
	d.t.Helper()
	for {
		s.until("an approval or the turn's end", func() bool { return s.pending() != nil || s.turns[turnID].State.Final() })
		it := s.pending()
		if it == nil {
			return kinds
		}
		i := slices.IndexFunc(it.Approval.Options, func(o api.ApprovalOption) bool { return o.Kind == "allow_once" })
		if i < 0 {
			d.t.Fatalf("no way to allow: %+v", it.Approval)
		}
		kinds = append(kinds, it.Approval.Kind)
		got := call[api.Item](d, api.MethodApprovalAnswer, api.ApprovalAnswer{ThreadID: it.ThreadID, ItemID: it.ID, OptionID: it.Approval.Options[i].ID})
		if got.Approval == nil || got.Approval.State != api.ApprovalApproved {
			d.t.Fatalf("answered: %+v", got)
		}
		s.items[got.ID] = got
	}
}
