package server

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"catamaran/internal/api"
	"catamaran/internal/auth"
	"catamaran/internal/engine"
	"catamaran/internal/proc"
)

var update = flag.Bool("update", false, "rewrite docs/protocol.md's table")

func TestMain(m *testing.M) {
	proc.GuardMain()
	goleak.VerifyTestMain(m)
}

// lockedBuffer is a log that may be read while it is written.
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

type fixture struct {
	*Server
	t    testing.TB
	http *httptest.Server
	log  *lockedBuffer
	home string
}

// newFixture serves a backend whose engine never opened: what needs the engine
// is tested with the whole program in cmd/catamaran-backend.
func newFixture(t testing.TB, wrap func(*Server) http.Handler) *fixture {
	t.Helper()
	id, err := auth.LoadIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	home := t.TempDir()
	s, err := New(Options{
		Engine: &engine.Engine{}, Identity: id, Codes: auth.NewCodes(time.Minute),
		Descriptor: api.Descriptor{Name: "local", OS: "linux", Arch: "amd64", Version: "1.2.3", Home: home, Started: 1, PID: 2},
		Log:        slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	var h http.Handler = s
	if wrap != nil {
		h = wrap(s)
	}
	f := &fixture{Server: s, t: t, http: httptest.NewServer(h), log: log, home: home}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		f.http.Client().CloseIdleConnections()
		f.http.Close()
	})
	return f
}

func (f *fixture) token() string {
	return f.o.Identity.Sign(Audience, time.Now().Add(time.Hour))
}

// do makes a request; a string body is sent as JSON. It returns the status and
// decodes the answer into out, which may be nil.
func (f *fixture) do(method, path, token, body string, out any) int {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), method, f.http.URL+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return f.answer(r, out)
}

func (f *fixture) answer(r *http.Request, out any) int {
	f.t.Helper()
	res, err := f.http.Client().Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if res.Header.Get("Cache-Control") != "no-store" && strings.HasPrefix(r.URL.Path, "/api/") {
		f.t.Errorf("%s %s may be cached", r.Method, r.URL.Path)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			f.t.Fatalf("%s %s: %v in %q", r.Method, r.URL.Path, err, b)
		}
	}
	return res.StatusCode
}

func TestAnswersBeforeReady(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	var d api.Descriptor
	if code := f.do("GET", "/api/descriptor", "", "", &d); code != 200 || d.Phase != api.PhaseStarting || d.Name != "local" || d.EnvironmentID != f.o.Identity.EnvironmentID {
		t.Fatalf("%d %+v", code, d)
	}
	var e api.Error
	if code := f.do("POST", "/api/call/project.add", f.token(), `{"path":"/x"}`, &e); code != 503 || e.Code != api.CodeNotReady || !e.Retryable {
		t.Fatalf("%d %+v", code, e)
	}
	var folder api.Folder
	if code := f.do("POST", "/api/call/folder.list", f.token(), "", &folder); code != 200 || folder.Path != f.home {
		t.Fatalf("%d %+v", code, folder)
	}
	reason := &api.Error{Code: api.CodeDatabaseOwned, Message: "Another backend owns the data.", Hint: "Close it."}
	f.SetPhase(api.PhaseFailed, reason)
	e = api.Error{}
	if code := f.do("POST", "/api/call/agent.list", f.token(), "{}", &e); code != 409 || e != *reason {
		t.Fatalf("%d %+v", code, e)
	}
	if f.do("GET", "/api/descriptor", "", "", &d); d.Phase != api.PhaseFailed || d.Reason == nil || *d.Reason != *reason {
		t.Fatalf("%+v", d)
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	credential := f.o.Codes.Issue()
	var s api.Session
	body := fmt.Sprintf(`{"credential":%q}`, credential)
	if code := f.do("POST", "/api/session/exchange", "", body, &s); code != 200 || s.EnvironmentID != f.o.Identity.EnvironmentID || s.ExpiresAt <= time.Now().UnixMilli() {
		t.Fatalf("%d %+v", code, s)
	}
	if code := f.do("POST", "/api/call/ping", s.Token, "", nil); code != 200 {
		t.Fatalf("ping: %d", code)
	}
	var e api.Error
	if code := f.do("POST", "/api/session/exchange", "", body, &e); code != 401 || e.Code != api.CodeUnauthorized {
		t.Fatalf("a used credential: %d %+v", code, e)
	}
	expired := f.o.Identity.Sign(Audience, time.Now().Add(-time.Minute))
	revoked := f.o.Identity.Sign(Audience, time.Now().Add(time.Minute))
	f.o.Identity.Revoke(revoked)
	other, err := auth.LoadIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	foreign := other.Sign(Audience, time.Now().Add(time.Minute))
	for name, tc := range map[string]struct {
		token string
		call  api.Code // of a call with it
		renew api.Code // of renewing it
	}{
		"good":      {s.Token, "", ""},
		"none":      {"", api.CodeUnauthorized, api.CodeTokenMalformed},
		"expired":   {expired, api.CodeTokenExpired, ""},
		"revoked":   {revoked, api.CodeTokenRevoked, api.CodeTokenRevoked},
		"foreign":   {foreign, api.CodeTokenForeign, api.CodeTokenForeign},
		"malformed": {"x", api.CodeTokenMalformed, api.CodeTokenMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			for path, want := range map[string]api.Code{"/api/call/ping": tc.call, "/api/session/renew": tc.renew} {
				body := ""
				if path == "/api/session/renew" {
					body = fmt.Sprintf(`{"token":%q}`, tc.token)
				}
				var answer struct {
					api.Error
					Token string `json:"token"`
				}
				code := f.do("POST", path, tc.token, body, &answer)
				if answer.Code != want || (code == 200) != (want == "") || want != "" && code != 401 {
					t.Errorf("%s: %d %+v, want %q", path, code, answer, want)
				}
				if want == "" && path == "/api/session/renew" && f.do("POST", "/api/call/ping", answer.Token, "", nil) != 200 {
					t.Error("the renewed token is not taken")
				}
			}
		})
	}
	for _, secret := range []string{credential, s.Token, expired, revoked, foreign} {
		if strings.Contains(f.log.String(), secret) {
			t.Fatal("a secret is in the log")
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.SetPhase(api.PhaseReady, nil)
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		code               api.Code
	}{
		"unknown method":  {"POST", "/api/call/no.such", "{}", 404, api.CodeNotFound},
		"unknown address": {"GET", "/api/no", "", 404, api.CodeNotFound},
		"GET of a call":   {"GET", "/api/call/ping", "", 400, api.CodeInvalid},
		"POST of a view":  {"POST", "/api/descriptor", "", 400, api.CodeInvalid},
		"not JSON":        {"POST", "/api/call/folder.list", "path=/", 400, api.CodeInvalid},
		"wrong type":      {"POST", "/api/call/folder.list", `{"path":1}`, 400, api.CodeInvalid},
		"too large":       {"POST", "/api/call/ping", `"` + strings.Repeat("x", maxBody) + `"`, 413, api.CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			var e api.Error
			if code := f.do(tc.method, tc.path, f.token(), tc.body, &e); code != tc.status || e.Code != tc.code || e.Message == "" {
				t.Fatalf("%d %+v", code, e)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for name, err := range map[string]error{
		"plain":    fmt.Errorf("open /secret/db: locked"),
		"internal": &api.Error{Code: api.CodeInternal, Message: "Broken."},
	} {
		t.Run(name, func(t *testing.T) {
			e := f.explain("thread.create", err)
			if e.Code != api.CodeInternal || e.Ref == "" || strings.Contains(e.Message, "secret") {
				t.Fatalf("%+v", e)
			}
			if !strings.Contains(f.log.String(), e.Ref) {
				t.Fatal("the log does not know the reference")
			}
		})
	}
}

func TestTableIsWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, rt := range table {
		if seen[rt.method] || rt.doc == "" || rt.request.PkgPath() != "catamaran/internal/api" || rt.response.PkgPath() != "catamaran/internal/api" {
			t.Errorf("route %+v", rt)
		}
		seen[rt.method] = true
	}
	// Every method package api declares for a backend has a route.
	b, err := os.ReadFile("../api/call.go")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if name, rest, ok := strings.Cut(strings.TrimSpace(line), "= \""); ok && strings.HasPrefix(name, "Method") {
			method, _, _ := strings.Cut(rest, `"`)
			if !seen[method] {
				t.Errorf("%s has no route", method)
			}
		}
	}
}

func TestProtocolDocument(t *testing.T) {
	t.Parallel()
	const path, begin, end = "../../docs/protocol.md", "<!-- methods: begin -->\n", "<!-- methods: end -->"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("the markers are gone")
	}
	want := head + begin + Markdown() + end + tail
	if want == string(b) {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Error("docs/protocol.md is out of date: go test ./internal/server -update")
}

func TestFolders(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for _, d := range []string{"repo/.git", "Zoo", "alpha", ".hidden", "beta/deep"} {
		if err := os.MkdirAll(filepath.Join(f.home, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(f.home, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("beta", filepath.Join(f.home, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(f.home, "dangling")); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		in    api.FolderList
		path  string
		names string
		code  api.Code
	}{
		"home":            {in: api.FolderList{}, path: f.home, names: "alpha beta link repo+ Zoo"},
		"tilde":           {in: api.FolderList{Path: "~"}, path: f.home, names: "alpha beta link repo+ Zoo"},
		"hidden":          {in: api.FolderList{Path: f.home, Hidden: true}, path: f.home, names: ".hidden alpha beta link repo+ Zoo"},
		"below home":      {in: api.FolderList{Path: " ~/beta/../beta "}, path: filepath.Join(f.home, "beta"), names: "deep"},
		"repository":      {in: api.FolderList{Path: "~/repo"}, path: filepath.Join(f.home, "repo"), names: ""},
		"relative":        {in: api.FolderList{Path: "beta"}, code: api.CodeInvalid},
		"other's home":    {in: api.FolderList{Path: "~root"}, code: api.CodeInvalid},
		"missing":         {in: api.FolderList{Path: "~/nowhere"}, code: api.CodeNotFound},
		"file":            {in: api.FolderList{Path: "~/file"}, code: api.CodeInvalid},
		"NUL in the path": {in: api.FolderList{Path: "/\x00"}, code: api.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := f.listFolder(t.Context(), tc.in)
			if api.CodeOf(err) != tc.code || err == nil && got.Path != tc.path {
				t.Fatalf("%+v, %v", got, err)
			}
			var names []string
			for _, e := range got.Entries {
				n := e.Name
				if e.Git {
					n += "+"
				}
				names = append(names, n)
			}
			if s := strings.Join(names, " "); s != tc.names {
				t.Fatalf("entries %q, want %q", s, tc.names)
			}
			if err == nil && (got.Home != f.home || got.Git != (name == "repository") || got.Parent != filepath.Dir(got.Path)) {
				t.Fatalf("%+v", got)
			}
		})
	}
	root, err := f.listFolder(t.Context(), api.FolderList{Path: "/"})
	if err != nil || root.Parent != "" {
		t.Fatalf("root: %+v, %v", root.Parent, err)
	}
}

func TestManyFolders(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for i := range maxFolders + 5 {
		if err := os.Mkdir(filepath.Join(f.home, fmt.Sprintf("d%05d", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.listFolder(t.Context(), api.FolderList{})
	if err != nil || len(got.Entries) != maxFolders || !got.Truncated || got.Entries[0].Name != "d00000" {
		t.Fatalf("%d entries, truncated %v, %v", len(got.Entries), got.Truncated, err)
	}
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	t.Parallel()
	if _, err := New(Options{}); err == nil {
		t.Fatal("taken")
	}
}
