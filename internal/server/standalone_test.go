package server

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/auth"
	"catamaran/internal/settings"
)

var testPage = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `"the page"`) })

func newDoor(t testing.TB) *fixture {
	return newFixture(t, func(s *Server) http.Handler { return auth.Door(s.Standalone(testPage), 0) })
}

func TestStandaloneSignIn(t *testing.T) {
	t.Parallel()
	f := newDoor(t)
	code := f.o.Codes.Issue()
	var s api.Session
	if status := f.do("POST", "/api/session", "", fmt.Sprintf(`{"code":%q}`, code), &s); status != 200 || s.Token == "" {
		t.Fatalf("%d %+v", status, s)
	}
	if status := f.do("POST", "/api/session", "", fmt.Sprintf(`{"code":%q}`, code), nil); status != 401 {
		t.Errorf("a used code: %d", status)
	}
	var again api.Session
	if status := f.do("POST", "/api/session/renew", s.Token, "", &again); status != 200 || again.Token == s.Token {
		t.Errorf("renew: %d %+v", status, again)
	}
	expired := f.o.Identity.Sign(Audience, time.Now().Add(-time.Minute))
	for _, r := range [][2]string{
		{"GET", "/api/environments"}, {"POST", "/api/call/environment.list"}, {"POST", "/api/session/renew"},
		{"GET", "/e/local/api/descriptor"}, {"POST", "/e/local/api/call/ping"},
		{"POST", "/e/local/api/session/exchange"}, {"POST", "/e/local/api/session/renew"},
	} {
		for name, token := range map[string]string{"none": "", "expired": expired} {
			var e api.Error
			if status := f.do(r[0], r[1], token, fmt.Sprintf(`{"token":%q}`, expired), &e); status != 401 || e.Code == "" {
				t.Errorf("%s %s, token %s: %d %+v", r[0], r[1], name, status, e)
			}
		}
		if _, res, err := dial(t, f.http.URL+r[1], nil); err == nil || res.StatusCode == 101 {
			t.Errorf("%s upgrades", r[1])
		}
	}
}

func TestStandaloneRoutes(t *testing.T) {
	t.Parallel()
	f := newDoor(t)
	f.SetPhase(api.PhaseReady, nil)
	token := f.token()
	var all api.Environments
	if status := f.do("GET", "/api/environments", token, "", &all); status != 200 || all.Primary != "local" || len(all.Environments) != 1 ||
		all.Environments[0].State != api.EnvReady || all.Environments[0].EnvironmentID != f.o.Identity.EnvironmentID || all.WSL.Distros == nil {
		t.Fatalf("%d %+v", status, all)
	}
	var d api.Descriptor
	if status := f.do("GET", "/e/local/api/descriptor", token, "", &d); status != 200 || d.Phase != api.PhaseReady {
		t.Errorf("%d %+v", status, d)
	}
	if status := f.do("POST", "/e/local/api/call/ping", token, "{}", nil); status != 200 {
		t.Errorf("ping: %d", status)
	}
	for path, want := range map[string]int{
		"/e/wsl%3AUbuntu/api/call/ping": 404, "/e/local/api/nothing": 404, "/e/": 404, "/api/call/mode.change": 400, "/api/call/no.such": 404, "/api/nothing": 404,
	} {
		var e api.Error
		if status := f.do("POST", path, token, "{}", &e); status != want || e.Message == "" {
			t.Errorf("%s: %d %+v", path, status, e)
		}
	}
	for _, path := range []string{"/", "/t/local/x", "/assets/app.js"} {
		var page string
		if status := f.do("GET", path, "", "", &page); status != 200 || page != "the page" {
			t.Errorf("%s: %d %q", path, status, page)
		}
	}
	// A port without the door's checks would be open to every page.
	r, err := http.NewRequestWithContext(t.Context(), "GET", f.http.URL+"/api/environments", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Origin", "https://evil.example")
	res, err := f.http.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 403 {
		t.Errorf("another page's request: %d", res.StatusCode)
	}
}

func TestStandaloneSockets(t *testing.T) {
	t.Parallel()
	f := newDoor(t)
	c, _, err := dial(t, f.http.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.send(api.ClientFrame{Type: api.FrameHello, Token: f.token()})
	c.want(api.FrameWelcome, "")
	c.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "e", Topic: api.TopicEnvironments})
	if s := c.want(api.FrameSnapshot, "e"); s.Environments.Environments[0].State != api.EnvStarting {
		t.Errorf("%+v", s.Environments)
	}
	c.want(api.FrameSynchronized, "e")
	f.SetPhase(api.PhaseMigrating, nil)
	if s := c.want(api.FrameEvent, "e"); s.Environments.Environments[0].Stage == "" {
		t.Errorf("%+v", s.Environments)
	}
	f.SetPhase(api.PhaseFailed, &api.Error{Code: api.CodeDatabaseNewer, Message: "Newer."})
	if s := c.want(api.FrameEvent, "e"); s.Environments.Environments[0].State != api.EnvFailed || s.Environments.Environments[0].Error == nil {
		t.Errorf("%+v", s.Environments)
	}
	c.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "t", Topic: api.TopicShell})
	if e := c.want(api.FrameError, "t").Error; e.Code != api.CodeNotFound {
		t.Errorf("%+v", e)
	}
	c.send(api.ClientFrame{Type: api.FrameCall, ID: "l", Method: api.MethodEnvironments})
	c.want(api.FrameResult, "l")

	inner, _, err := dial(t, f.http.URL+"/e/local/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	inner.send(api.ClientFrame{Type: api.FrameHello, Token: f.token()})
	if w := inner.want(api.FrameWelcome, ""); w.Descriptor == nil || w.Descriptor.Phase != api.PhaseFailed {
		t.Errorf("%+v", w)
	}
	bad, _, err := dial(t, f.http.URL+"/e/local/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	bad.send(api.ClientFrame{Type: api.FrameHello, Token: "x"})
	if e := bad.want(api.FrameError, "").Error; e.Code != api.CodeTokenMalformed {
		t.Errorf("%+v", e)
	}
}

func TestStandaloneKeepsSettings(t *testing.T) {
	t.Parallel()
	f := newDoor(t)
	f.SetPhase(api.PhaseReady, nil)
	token := f.token()
	if status := f.do("POST", "/api/call/settings.get", token, "{}", nil); status != 404 {
		t.Errorf("without a store: %d", status)
	}
	f.o.Settings = settings.New(t.TempDir())
	var got api.Settings
	if status := f.do("POST", "/api/call/settings.set", token, `{"values":{"a.b":true},"keys":[{"key":"x","command":"y"}]}`, &got); status != 200 {
		t.Errorf("set: %d", status)
	}
	if status := f.do("POST", "/api/call/settings.get", token, "{}", &got); status != 200 || string(got.Values["a.b"]) != "true" || len(got.Keys) != 1 {
		t.Errorf("get: %d %+v", status, got)
	}
	var e api.Error
	if status := f.do("POST", "/api/call/settings.set", token, `{"values":7}`, &e); status != 400 || e.Message == "" {
		t.Errorf("a wrong shape: %d %+v", status, e)
	}
}
