package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/auth"
)

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
	var now api.Environments
	res, answer = f.do("GET", "/api/environments", s.Token, "")
	if err := json.Unmarshal([]byte(answer), &now); err != nil || res.StatusCode != 200 {
		t.Errorf("with the token: %s %v", res.Status, err)
	}
	if s.Environments == nil || len(now.Environments) == 0 || !reflect.DeepEqual(*s.Environments, now) {
		t.Errorf("the sign-in says %+v of the environments, which are %+v", s.Environments, now)
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
		g, err := New(options(t, f.dir, f.pool, f.log))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		select {
		case <-g.Ready():
		case err := <-done:
			cancel()
			t.Fatalf("%v\n%s", err, f.log)
		}
		return g.Port(), func() { cancel(); <-done }
	}
	second, stop := run()
	// Another process may take the port in between, once or twice.
	for range 3 {
		if second == first {
			break
		}
		first = second
		stop()
		second, stop = run()
	}
	if second != first {
		t.Errorf("port %d, then %d\n%s", first, second, f.log)
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
