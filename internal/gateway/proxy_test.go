package gateway

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"catamaran/internal/api"
	"catamaran/internal/auth"
)

const ubuntu = "/e/wsl%3AUbuntu"

func TestForward(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.signIn()
	res, body := f.do("POST", ubuntu+"/api/echo?a=1&b=%2F", token, "hello", "Cookie", "x=y", "Origin", f.base, "Catamaran-Command", "c1")
	if res.StatusCode != 200 || body != "POST /api/echo?a=1&b=%2F hello" {
		t.Fatalf("%s %q", res.Status, body)
	}
	for _, h := range []string{"Set-Cookie", "Access-Control-Allow-Origin"} {
		if res.Header.Get(h) != "" {
			t.Errorf("%s came through", h)
		}
	}
	got := f.b.last()
	for _, h := range []string{"Cookie", "Origin", "Referer"} {
		if got.Header.Get(h) != "" {
			t.Errorf("%s reached the backend", h)
		}
	}
	if got.Header.Get("Catamaran-Command") != "c1" {
		t.Error("the command id was lost")
	}
	if tok := auth.Bearer(got); tok != "backend-token" {
		t.Errorf("the backend saw token %q", tok)
	}
}

func TestForwardErrors(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.signIn()
	for name, c := range map[string]struct {
		path   string
		status int
		code   api.Code
	}{
		"off":     {"/e/local/api/echo", 503, api.CodeEnvironmentDown},
		"unknown": {"/e/nope/api/echo", 404, api.CodeEnvironmentUnknown},
		"no id":   {"/e//api/echo", 404, api.CodeNotFound},
		"no api":  {"/e/local/other", 404, api.CodeNotFound},
		"nothing": {"/api/nothing", 404, api.CodeNotFound},
	} {
		res, body := f.do("POST", c.path, token, "")
		if res.StatusCode != c.status && res.StatusCode != 307 && res.StatusCode != 301 {
			t.Errorf("%s: %s %s", name, res.Status, body)
		}
		if res.StatusCode == c.status && errorCode(t, body) != c.code {
			t.Errorf("%s: %s", name, body)
		}
	}
}

// W7.2: a refused token is exchanged once; the page never sees the backend's 401.
func TestRefusedTokenIsExchangedOnce(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", maxReplay+1)
	for name, c := range map[string]struct {
		fresh  []string
		body   string
		status int
		asked  int // requests the backend saw
	}{
		"fresh token works":        {[]string{"new"}, "body", 200, 2},
		"without a body":           {[]string{"new"}, "", 200, 2},
		"still refused":            {[]string{"wrong", "wrong too"}, "body", 503, 2},
		"cannot be sent again":     {[]string{"new"}, big, 503, 1},
		"no fresh one to be had":   {nil, "body", 503, 2},
		"the one after it is used": {[]string{"new", "unused"}, "body", 200, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			token := f.signIn()
			f.b.setToken("new")
			f.pool.set(func(p *pool) { p.fresh = c.fresh })
			res, body := f.do("POST", ubuntu+"/api/echo", token, c.body)
			if res.StatusCode != c.status {
				t.Fatalf("%s %.200s", res.Status, body)
			}
			if c.status == 200 && !strings.HasSuffix(body, c.body) {
				t.Errorf("the body was not sent again: %.100q", body)
			}
			if c.status != 200 {
				var e api.Error
				json.Unmarshal([]byte(body), &e)
				if e.Code != api.CodeUnavailable || !e.Retryable {
					t.Errorf("%s", body)
				}
			}
			f.b.mu.Lock()
			defer f.b.mu.Unlock()
			if len(f.b.seen) != c.asked {
				t.Errorf("the backend saw %d requests, want %d", len(f.b.seen), c.asked)
			}
		})
	}
}

// Connections are reused for one backend process and never for the next.
func TestConnectionsBelongToOneProcess(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.signIn()
	for range 5 {
		f.do("POST", ubuntu+"/api/echo", token, "old")
	}
	f.pool.mu.Lock()
	dials := f.pool.dials
	f.pool.mu.Unlock()
	if dials != 1 {
		t.Errorf("%d connections for 5 requests", dials)
	}
	next := newBackend(t, "next-token")
	f.pool.set(func(p *pool) {
		// The old backend still answers: only the process identity tells them apart.
		p.addr, p.token = next.srv.Listener.Addr().String(), "next-token"
		p.now.Environments[1].PID = 11
	})
	if res, body := f.do("POST", ubuntu+"/api/echo", token, "new"); res.StatusCode != 200 {
		t.Fatalf("%s %s", res.Status, body)
	}
	if len(f.pool.refused) != 0 {
		t.Error("the old backend got the new one's request")
	}
	if got := next.last(); got.URL.Path != "/api/echo" {
		t.Errorf("%v", got.URL)
	}
}

func TestStreamingAnswerIsNotHeldBack(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.signIn()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", f.base+ubuntu+"/api/stream", nil)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b := make([]byte, 5)
	if _, err := io.ReadFull(res.Body, b); err != nil || string(b) != "first" {
		t.Fatalf("%q %v", b, err)
	}
}

func TestLostBackendIsUnavailable(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.signIn()
	f.b.srv.Close()
	res, body := f.do("POST", ubuntu+"/api/echo", token, "x")
	if res.StatusCode != 503 || errorCode(t, body) != api.CodeUnavailable {
		t.Errorf("%s %s", res.Status, body)
	}
}

func TestOpenPath(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.signIn()
	for name, c := range map[string]struct {
		path string
		want string
	}{
		"distro":         {`\\wsl.localhost\ubuntu\home\u\p`, `"path":"/home/u/p"`},
		"old prefix":     {`\\wsl$\Ubuntu\srv\..\home\.\x\`, `"path":"/home/x"`},
		"other distro":   {`\\wsl.localhost\Debian\x`, `environment_not_running`},
		"local, off":     {`/srv/p`, `environment_not_running`},
		"sibling prefix": {`\\wsl.localhost\UbuntuX\p`, `environment_not_running`},
		"none":           {``, `invalid_request`},
		"above the root": {`\\wsl.localhost\Ubuntu\..\..\x`, `path_untranslatable`},
		"no distro":      {`\\wsl.localhost`, `path_untranslatable`},
		"network share":  {`\\server\share\x`, `environment_not_running`},
	} {
		b, _ := json.Marshal(api.OpenPath{Path: c.path})
		if _, body := f.do("POST", "/api/call/desktop.open", token, string(b)); !strings.Contains(body, c.want) {
			t.Errorf("%s: %s", name, body)
		}
	}
}

func FuzzBackendRoute(f *testing.F) {
	for _, s := range []string{"/e/local/api/x", "/e/wsl%3AUbuntu/ws", "/e//api", "/e/%zz/api", "/e/a%2Fb/api/%2e%2e", "/x", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.ParseRequestURI(s)
		if err != nil {
			return
		}
		id, rest, ok := backendRoute(u)
		if !ok {
			return
		}
		if id == "" || !strings.HasPrefix(rest, "/") {
			t.Errorf("%q: id %q, rest %q", s, id, rest)
		}
		if _, err := url.PathUnescape(rest); err != nil {
			t.Errorf("%q: rest %q cannot be passed on: %v", s, rest, err)
		}
	})
}

// BenchmarkForward is an empty call through the gateway to a backend on loopback.
func BenchmarkForward(b *testing.B) {
	f := start(b)
	token := f.signIn()
	req, err := http.NewRequest("POST", f.base+ubuntu+"/api/echo", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for b.Loop() {
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

func (f *fixture) ws(path, bearer string) (*websocket.Conn, error) {
	f.Helper()
	h := http.Header{}
	if bearer != "" {
		h.Set("Authorization", "Bearer "+bearer)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(ctx, f.base+path, &websocket.DialOptions{HTTPHeader: h})
	if err == nil {
		c.SetReadLimit(maxFrame + 1)
		f.Cleanup(func() { c.CloseNow() })
	}
	return c, err
}

func (f *fixture) write(c *websocket.Conn, s string) {
	f.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte(s)); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) read(c *websocket.Conn) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, b, err := c.Read(ctx)
	return string(b), err
}

func (f *fixture) frame(c *websocket.Conn) api.ServerFrame {
	f.Helper()
	s, err := f.read(c)
	if err != nil {
		f.Fatal(err)
	}
	var fr api.ServerFrame
	if err := json.Unmarshal([]byte(s), &fr); err != nil {
		f.Fatal(err)
	}
	return fr
}

func TestBackendSocket(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.signIn()
	for name, bearer := range map[string]string{"hello frame": "", "header": token} {
		c, err := f.ws(ubuntu+"/ws", bearer)
		if err != nil {
			t.Fatal(name, err)
		}
		if bearer == "" {
			f.write(c, `{"type":"hello","token":"`+token+`"}`)
		}
		big := strings.Repeat("y", 1<<20)
		for _, m := range []string{"one", big, "two"} {
			f.write(c, m)
			if got, err := f.read(c); got != m || err != nil {
				t.Fatalf("%s: %.20q %v", name, got, err)
			}
		}
		if tok := auth.Bearer(f.b.last()); tok != "backend-token" {
			t.Errorf("%s: the backend saw token %q", name, tok)
		}
		c.Close(4000, "page leaves")
		<-f.b.ended
		f.b.mu.Lock()
		if f.b.closed != 4000 {
			t.Errorf("%s: the backend saw close code %d", name, f.b.closed)
		}
		f.b.mu.Unlock()
	}
}

func TestBackendSocketEnds(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.signIn()
	for name, c := range map[string]struct {
		path, bearer string
		send         []string
		want         websocket.StatusCode
		first        string // expected in the frame before the close
	}{
		"backend's code passed on": {ubuntu + "/ws", token, []string{"bye"}, 4321, ""},
		"backend gone":             {ubuntu + "/ws", token, []string{"die"}, websocket.StatusServiceRestart, ""},
		"down":                     {"/e/local/ws", token, nil, websocket.StatusTryAgainLater, `environment_not_running`},
		"unknown":                  {"/e/nope/ws", token, nil, websocket.StatusTryAgainLater, `environment_unknown`},
		"bad token":                {ubuntu + "/ws", "", []string{`{"type":"hello","token":"junk"}`}, closeSignIn, `"error"`},
		"no hello":                 {ubuntu + "/ws", "", []string{`{"type":"ping"}`}, closeSignIn, `unauthorized`},
	} {
		s, err := f.ws(c.path, c.bearer)
		if err != nil {
			t.Fatal(name, err)
		}
		for _, m := range c.send {
			f.write(s, m)
		}
		got, err := f.read(s)
		if c.first != "" {
			if !strings.Contains(got, c.first) {
				t.Errorf("%s: %q %v", name, got, err)
			}
			_, err = f.read(s)
		}
		if code := websocket.CloseStatus(err); code != c.want {
			t.Errorf("%s: close code %d (%v), want %d", name, code, err, c.want)
		}
	}
	if _, err := f.ws(ubuntu+"/ws", "junk"); err == nil {
		t.Error("a bad header was upgraded")
	}
}

func TestBackendSocketExchangesARefusedToken(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.signIn()
	f.b.setToken("new")
	f.pool.set(func(p *pool) { p.fresh = []string{"new"} })
	c, err := f.ws(ubuntu+"/ws", token)
	if err != nil {
		t.Fatal(err)
	}
	f.write(c, "x")
	if got, err := f.read(c); got != "x" || err != nil {
		t.Fatalf("%q %v", got, err)
	}
	f.b.setToken("newer")
	c, err = f.ws(ubuntu+"/ws", token)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := f.read(c); !strings.Contains(got, `"unavailable"`) {
		t.Errorf("a backend that refuses twice: %q", got)
	}
}

func TestGatewaySocket(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.signIn()
	c, err := f.ws("/ws", "")
	if err != nil {
		t.Fatal(err)
	}
	f.write(c, `{"type":"hello","token":"`+token+`"}`)
	if fr := f.frame(c); fr.Type != api.FrameWelcome {
		t.Fatalf("%+v", fr)
	}
	f.write(c, `{"type":"subscribe","id":"s","topic":"environments"}`)
	if fr := f.frame(c); fr.Type != api.FrameSnapshot || fr.ID != "s" || len(fr.Environments.Environments) != 2 {
		t.Fatalf("%+v", fr)
	}
	if fr := f.frame(c); fr.Type != api.FrameSynchronized {
		t.Fatalf("%+v", fr)
	}
	f.pool.set(func(p *pool) { p.now.Environments[0].State = api.EnvStarting })
	if fr := f.frame(c); fr.Type != api.FrameEvent || fr.Environments.Environments[0].State != api.EnvStarting {
		t.Fatalf("%+v", fr)
	}
	f.write(c, `{"type":"call","id":"1","method":"desktop.open","params":{"path":"//wsl.localhost/Ubuntu/p"}}`)
	got := map[string]api.ServerFrame{}
	for range 2 {
		fr := f.frame(c)
		got[fr.Type] = fr
	}
	if got[api.FrameOpen].Opened == nil || got[api.FrameOpen].Opened.Project.Path != "/p" || got[api.FrameResult].ID != "1" {
		t.Fatalf("%+v", got)
	}
	for _, bad := range []string{`{"type":"call","id":"2","method":"nope"}`, `{"type":"subscribe","id":"s","topic":"environments"}`, `{"type":"subscribe","id":"x","topic":"shell"}`, `{"type":"what","id":"3"}`} {
		f.write(c, bad)
		if fr := f.frame(c); fr.Type != api.FrameError || fr.Error == nil {
			t.Errorf("%s: %+v", bad, fr)
		}
	}
	f.write(c, `{"type":"unsubscribe","id":"s"}`)
	f.write(c, `{"type":"ping","id":"9"}`)
	if fr := f.frame(c); fr.Type != api.FramePong || fr.ID != "9" {
		t.Fatalf("%+v", fr)
	}
}

// W5.9, W7: the gateway ends within its bound with sockets and requests open, and tells the pages.
func TestEndWithOpenSockets(t *testing.T) {
	t.Parallel()
	f := start(t)
	token := f.signIn()
	own, err := f.ws("/ws", token)
	if err != nil {
		t.Fatal(err)
	}
	f.frame(own)
	through, err := f.ws(ubuntu+"/ws", token)
	if err != nil {
		t.Fatal(err)
	}
	f.write(through, "x")
	f.read(through)
	if _, err := f.ws("/ws", ""); err != nil { // never says hello
		t.Fatal(err)
	}
	codes := make(chan websocket.StatusCode, 2)
	for _, c := range []*websocket.Conn{own, through} {
		go func() { _, err := f.read(c); codes <- websocket.CloseStatus(err) }()
	}
	began := time.Now()
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("ending took %v", d)
	}
	for range 2 {
		if code := <-codes; code != websocket.StatusGoingAway {
			t.Errorf("close code %d", code)
		}
	}
}

// TestEndWithSilentPeers: neither a page nor a backend that never answers a close holds up the end.
func TestEndWithSilentPeers(t *testing.T) {
	t.Parallel()
	for name, fall := range map[string]func(f *fixture, token string){
		"a refused page": func(f *fixture, _ string) {
			c, err := f.ws("/ws", "")
			if err != nil {
				f.Fatal(err)
			}
			f.write(c, `{"type":"hello","token":"no"}`)
			f.frame(c)
		},
		"a page": func(f *fixture, token string) {
			c, err := f.ws("/ws", token)
			if err != nil {
				f.Fatal(err)
			}
			f.frame(c)
		},
		"a backend": func(f *fixture, token string) {
			c, err := f.ws(ubuntu+"/ws", token)
			if err != nil {
				f.Fatal(err)
			}
			f.write(c, "sleep")
			f.read(c)
			c.Close(websocket.StatusNormalClosure, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			fall(f, f.signIn())
			began := time.Now()
			if err := f.stop(); err != nil {
				t.Fatal(err)
			}
			// A WebSocket by itself waits five seconds.
			if d := time.Since(began); d > 4*time.Second {
				t.Errorf("ending took %v", d)
			}
		})
	}
}
