package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"catamaran/internal/api"
	"catamaran/internal/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend is a real HTTP server that checks a bearer token as a backend does.
type backend struct {
	srv *httptest.Server

	mu     sync.Mutex
	token  string
	seen   []*http.Request
	closed websocket.StatusCode
	doctor func(api.DoctorRun) (int, any)
	ended  chan struct{}
	wake   chan struct{} // closed when the test ends
}

func newBackend(t testing.TB, token string) *backend {
	t.Helper()
	b := &backend{token: token, ended: make(chan struct{}, 8), wake: make(chan struct{})}
	t.Cleanup(func() { close(b.wake) })
	mux := http.NewServeMux()
	mux.HandleFunc("/api/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		fmt.Fprintf(w, "%s %s?%s %s", r.Method, r.URL.EscapedPath(), r.URL.RawQuery, body)
	})
	mux.HandleFunc("/api/call/project.add", func(w http.ResponseWriter, r *http.Request) {
		var a api.ProjectAdd
		json.NewDecoder(r.Body).Decode(&a)
		json.NewEncoder(w).Encode(api.Project{ID: "p1", Path: a.Path})
	})
	mux.HandleFunc("/api/call/"+api.MethodDoctorRun, func(w http.ResponseWriter, r *http.Request) {
		var a api.DoctorRun
		json.NewDecoder(r.Body).Decode(&a)
		status, answer := b.doctor(a)
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(answer)
	})
	mux.HandleFunc("/api/attachment/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "file") })
	mux.HandleFunc("/api/stream", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { b.ended <- struct{}{} }()
		defer c.CloseNow()
		c.SetReadLimit(maxFrame)
		for {
			kind, m, err := c.Read(r.Context())
			if err != nil {
				b.mu.Lock()
				b.closed = websocket.CloseStatus(err)
				b.mu.Unlock()
				return
			}
			if string(m) == "bye" {
				c.Close(4321, "said so")
				return
			}
			if string(m) == "die" {
				return
			}
			if string(m) == "sleep" { // takes nothing more, a closing frame neither
				c.Write(r.Context(), kind, m)
				<-b.wake
				return
			}
			c.Write(r.Context(), kind, m)
		}
	})
	b.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.seen = append(b.seen, r.Clone(context.Background()))
		want := b.token
		b.mu.Unlock()
		if auth.Bearer(r) != want {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(b.srv.Close)
	return b
}

func (b *backend) last() *http.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[len(b.seen)-1]
}

func (b *backend) setToken(s string) {
	b.mu.Lock()
	b.token = s
	b.mu.Unlock()
}

// pool keeps the contract of environment.Pool over one backend, without a supervisor.
type pool struct {
	mu        sync.Mutex
	now       api.Environments
	addr      string
	token     string
	fresh     []string // tokens handed out after a refusal
	refused   []string
	dials     int
	changed   chan struct{}
	change    func(ctx context.Context, to api.ModeConfig) (api.ModeChange, error)
	cancelled bool
}

func newPool(b *backend) *pool {
	return &pool{
		addr: b.srv.Listener.Addr().String(), token: b.token, changed: make(chan struct{}),
		now: api.Environments{Primary: "wsl:Ubuntu", Environments: []api.Environment{
			{ID: "local", Name: "This computer", State: api.EnvOff},
			{ID: "wsl:Ubuntu", Name: "Ubuntu (WSL)", Distro: "Ubuntu", State: api.EnvReady, EnvironmentID: "e1", PID: 10},
		}},
	}
}

func (p *pool) Snapshot() api.Environments {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now
	now.Environments = append([]api.Environment(nil), now.Environments...)
	return now
}

func (p *pool) set(f func(*pool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now.Environments = append([]api.Environment(nil), p.now.Environments...)
	f(p)
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pool) Watch(ctx context.Context, fn func(api.Environments)) {
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		fn(p.Snapshot())
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (p *pool) Start(ctx context.Context, id string) (api.Environment, error) {
	for _, e := range p.Snapshot().Environments {
		if e.ID == id {
			return e, nil
		}
	}
	return api.Environment{}, &api.Error{Code: api.CodeEnvironmentUnknown, Message: "no such environment"}
}
func (p *pool) Stop(ctx context.Context, id string) (api.Environment, error) { return p.Start(ctx, id) }
func (p *pool) NewIdentity(context.Context, string) (api.Environment, error) {
	return api.Environment{}, nil
}

func (p *pool) RescanDistros(context.Context) (api.WSL, error) {
	return api.WSL{}, errors.New("secret detail")
}
func (p *pool) RestartWSL(context.Context) error { return errors.New("secret detail") }
func (p *pool) Log(id string) (api.EnvironmentLog, error) {
	return api.EnvironmentLog{Path: "/state/" + id + ".log"}, nil
}
func (p *pool) ChangeMode(ctx context.Context, to api.ModeConfig) (api.ModeChange, error) {
	if p.change != nil {
		return p.change(ctx, to)
	}
	return api.ModeChange{To: to, Phase: api.PhaseDone}, nil
}
func (p *pool) CancelChange() { p.mu.Lock(); p.cancelled = true; p.mu.Unlock() }
func (p *pool) Dismiss()      {}

func (p *pool) Dial(ctx context.Context, id string) (net.Conn, error) {
	for _, e := range p.Snapshot().Environments {
		if e.ID != id {
			continue
		}
		if e.State != api.EnvReady {
			return nil, &api.Error{Code: api.CodeEnvironmentDown, Message: "This computer is not running (" + string(e.State) + ")."}
		}
		p.mu.Lock()
		p.dials++
		addr := p.addr
		p.mu.Unlock()
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}
	return nil, &api.Error{Code: api.CodeEnvironmentUnknown, Message: "There is no environment " + id + "."}
}

func (p *pool) Token(ctx context.Context, id string) (string, error) {
	if id != "wsl:Ubuntu" {
		c, err := p.Dial(ctx, id)
		if err == nil {
			c.Close()
		}
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.token, nil
}

func (p *pool) Refused(id, token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = append(p.refused, token)
	if len(p.fresh) > 0 {
		p.token, p.fresh = p.fresh[0], p.fresh[1:]
	}
}

// fixture is a running gateway over one backend.
type fixture struct {
	testing.TB
	g    *Gateway
	pool *pool
	b    *backend
	base string
	dir  string
	log  *lockedBuffer
	stop func() error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func options(t testing.TB, dir string, p *pool, log io.Writer) Options {
	t.Helper()
	id, err := auth.LoadIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		StateDir: dir, Identity: id, Backends: p, Environments: p, Modes: p, Version: "1.2.3",
		Assets: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<!doctype html>page") }),
		Log:    slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func start(t testing.TB, tune ...func(*Options)) *fixture {
	t.Helper()
	b := newBackend(t, "backend-token")
	f := &fixture{TB: t, pool: newPool(b), b: b, dir: t.TempDir(), log: &lockedBuffer{}}
	o := options(t, f.dir, f.pool, f.log)
	for _, fn := range tune {
		fn(&o)
	}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	f.g = g
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	f.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
			return errors.New("the gateway did not end")
		}
	})
	t.Cleanup(func() {
		if err := f.stop(); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	select {
	case <-g.Ready():
	case <-time.After(20 * time.Second):
		t.Fatal("the gateway never listened")
	}
	f.base = fmt.Sprintf("http://127.0.0.1:%d", g.Port())
	return f
}

func (f *fixture) do(method, path, token, body string, header ...string) (*http.Response, string) {
	f.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, f.base+path, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		f.Fatal(err)
	}
	return res, string(b)
}

func (f *fixture) signIn() string {
	f.Helper()
	_, code, _ := strings.Cut(f.g.LaunchURL(), "#code=")
	res, body := f.do("POST", "/api/session", "", `{"code":"`+code+`"}`)
	var s api.Session
	if err := json.Unmarshal([]byte(body), &s); err != nil || res.StatusCode != 200 || s.Token == "" {
		f.Fatalf("sign-in: %s %s", res.Status, body)
	}
	return s.Token
}

func errorCode(t *testing.T, body string) api.Code {
	t.Helper()
	var e api.Error
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("not an api.Error: %q", body)
	}
	return e.Code
}
