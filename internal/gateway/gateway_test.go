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
	"os"
	"path/filepath"
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
}

func newBackend(t testing.TB, token string) *backend {
	t.Helper()
	b := &backend{token: token, ended: make(chan struct{}, 8)}
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
func (p *pool) RescanDistros(context.Context) (api.WSL, error) {
	return api.WSL{}, errors.New("secret detail")
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

func TestNewRefusesIncompleteOptions(t *testing.T) {
	t.Parallel()
	p := newPool(newBackend(t, "x"))
	full := options(t, t.TempDir(), p, io.Discard)
	for name, cut := range map[string]func(*Options){
		"state":    func(o *Options) { o.StateDir = "" },
		"identity": func(o *Options) { o.Identity = nil },
		"pool":     func(o *Options) { o.Modes = nil },
		"assets":   func(o *Options) { o.Assets = nil },
		"log":      func(o *Options) { o.Log = nil },
	} {
		o := full
		cut(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: New took options without it", name)
		}
	}
}

// W7.3: the code dies at first use; the token it gives opens everything else; a token renews itself.
func TestSignIn(t *testing.T) {
	t.Parallel()
	f := start(t)
	if res, body := f.do("GET", "/", "", ""); res.StatusCode != 200 || !strings.Contains(body, "page") {
		t.Fatalf("page: %s %s", res.Status, body)
	}
	_, code, _ := strings.Cut(f.g.LaunchURL(), "#code=")
	body := `{"code":"` + code + `"}`
	res, answer := f.do("POST", "/api/session", "", body)
	if res.StatusCode != 200 {
		t.Fatalf("first use: %s %s", res.Status, answer)
	}
	if res.Header.Get("Set-Cookie") != "" {
		t.Error("a cookie was set")
	}
	if res, answer := f.do("POST", "/api/session", "", body); res.StatusCode != 401 || errorCode(t, answer) != api.CodeUnauthorized {
		t.Errorf("second use: %s %s", res.Status, answer)
	}
	var s api.Session
	json.Unmarshal([]byte(answer), &s)
	if res, _ := f.do("GET", "/api/environments", s.Token, ""); res.StatusCode != 200 {
		t.Errorf("with the token: %s", res.Status)
	}
	res, answer = f.do("POST", "/api/session/renew", s.Token, "")
	var again api.Session
	json.Unmarshal([]byte(answer), &again)
	if res.StatusCode != 200 || again.Token == "" || again.ExpiresAt < s.ExpiresAt {
		t.Errorf("renew: %s", res.Status)
	}
	for _, secret := range []string{code, s.Token, again.Token} {
		if strings.Contains(f.log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

func TestEverythingNeedsAToken(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var mu sync.Mutex
	f := start(t, func(o *Options) {
		o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	good := f.signIn()
	foreign, err := auth.LoadIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tokens := map[string]string{
		"none":           "",
		"junk":           "junk",
		"foreign key":    foreign.Sign(audience, now.Add(time.Hour)),
		"other audience": f.g.o.Identity.Sign("other", now.Add(time.Hour)),
		"expired":        f.g.o.Identity.Sign(audience, now.Add(-time.Hour)),
	}
	routes := [][2]string{
		{"GET", "/api/environments"}, {"POST", "/api/call/environment.list"}, {"POST", "/api/session/renew"},
		{"GET", "/e/wsl%3AUbuntu/api/echo"}, {"POST", "/e/wsl%3AUbuntu/api/echo"},
	}
	for name, token := range tokens {
		for _, r := range routes {
			if res, body := f.do(r[0], r[1], token, ""); res.StatusCode != 401 {
				t.Errorf("%s %s with token %s: %s %s", r[0], r[1], name, res.Status, body)
			}
		}
	}
	mu.Lock()
	now = now.Add(sessionLife + time.Minute)
	mu.Unlock()
	if _, body := f.do("GET", "/api/environments", good, ""); errorCode(t, body) != api.CodeTokenExpired {
		t.Errorf("after its life: %s", body)
	}
}

func TestDoorRefusesForeignHostsAndOrigins(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.signIn()
	for name, h := range map[string][]string{
		"rebound host":   {"Host", "evil.example"},
		"other origin":   {"Origin", "http://evil.example"},
		"other dev port": {"Origin", "http://127.0.0.1:1"},
	} {
		if res, body := f.do("POST", "/api/call/environment.list", token, "{}", h...); res.StatusCode != 403 {
			t.Errorf("%s: %s %s", name, res.Status, body)
		}
	}
	res, _ := f.do("POST", "/api/call/environment.list", token, "{}", "Origin", f.base)
	if res.StatusCode != 200 {
		t.Errorf("own origin: %s", res.Status)
	}
	for h := range res.Header {
		if strings.HasPrefix(h, "Access-Control-") {
			t.Errorf("CORS header %s", h)
		}
	}
}

func TestCalls(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.signIn()
	for name, c := range map[string]struct {
		method, params string
		status         int
		want           string
	}{
		"list":            {"environment.list", "", 200, `"primary":"wsl:Ubuntu"`},
		"start":           {"environment.start", `{"id":"local"}`, 200, `"state":"off"`},
		"start unknown":   {"environment.start", `{"id":"nope"}`, 404, `environment_unknown`},
		"change":          {"mode.change", `{"mode":"both","distro":"Ubuntu"}`, 200, `"phase":"done"`},
		"change bad mode": {"mode.change", `{"mode":"cloud"}`, 400, `invalid_request`},
		"bad shape":       {"mode.change", `{"mode":7}`, 400, `field \"mode\"`},
		"cancel":          {"mode.cancel", `{}`, 200, `{}`},
		"unknown":         {"desktop.launch", `{}`, 404, `not_found`},
		"internal":        {"distro.rescan", `{}`, 500, `"ref":`},
	} {
		res, body := f.do("POST", "/api/call/"+c.method, token, c.params)
		if res.StatusCode != c.status || !strings.Contains(body, c.want) || strings.Contains(body, "secret detail") {
			t.Errorf("%s: %s %s", name, res.Status, body)
		}
	}
	if !strings.Contains(f.log.String(), "secret detail") {
		t.Error("the internal error is not in the log")
	}
	if res, body := f.do("POST", "/api/call/mode.change", token, `{"mode":"`+strings.Repeat("x", maxCallBody)+`"}`); res.StatusCode != 413 {
		t.Errorf("large body: %s %.100s", res.Status, body)
	}
}

// A mode change goes on when the page that asked for it goes away.
func TestModeChangeOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	f := start(t)
	began, release, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	f.pool.change = func(ctx context.Context, to api.ModeConfig) (api.ModeChange, error) {
		close(began)
		<-release
		ended <- ctx.Err()
		return api.ModeChange{}, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-began; cancel() }()
	_, err := f.g.changeMode(ctx, api.ModeConfig{Mode: api.ModeBoth})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the caller got %v", err)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("the change was cancelled with its caller: %v", err)
	}
}

// The last port is tried first, so that the origin stays (W7.3); a taken one is not fatal.
func TestPortIsKept(t *testing.T) {
	t.Parallel()
	f := start(t)
	first := f.g.Port()
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	run := func() (int, func()) {
		g, err := New(options(t, f.dir, f.pool, io.Discard))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		<-g.Ready()
		return g.Port(), func() { cancel(); <-done }
	}
	second, stop := run()
	if second != first {
		t.Errorf("port %d, then %d", first, second)
	}
	third, stop3 := run()
	if third == second {
		t.Error("two gateways on one port")
	}
	stop3()
	stop()
	for _, junk := range []string{"", "x", "99999999", "-1"} {
		os.WriteFile(filepath.Join(f.dir, "port"), []byte(junk), 0o600)
		p, stop := run()
		if p == 0 {
			t.Errorf("port file %q: no port", junk)
		}
		stop()
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	activated := make(chan struct{}, 1)
	f := start(t, func(o *Options) {
		o.Activate = func(context.Context) error { activated <- struct{}{}; return nil }
	})
	srv := httptest.NewServer(f.g.Control())
	defer srv.Close()
	call := func(name string) (int, string) {
		res, err := http.Post(srv.URL+"/api/call/"+name, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	status, body := call(api.MethodLaunch)
	var l api.Launch
	if json.Unmarshal([]byte(body), &l) != nil || status != 200 || !strings.HasPrefix(l.URL, f.base+"/#code=") || l.PID != os.Getpid() || l.Version != "1.2.3" {
		t.Errorf("launch: %d %s", status, body)
	}
	if status, body := call(api.MethodActivate); status != 200 {
		t.Errorf("activate: %d %s", status, body)
	}
	select {
	case <-activated:
	default:
		t.Error("no window was asked for")
	}
	if status, body := call(api.MethodEnvironments); status != 200 || !strings.Contains(body, "wsl:Ubuntu") {
		t.Errorf("list: %d %s", status, body)
	}
}
