//go:build linux

package environment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/link"
	"catamaran/internal/proc"

	"go.uber.org/goleak"
)

// The test binary plays three more roles: a backend ("serve --stdio", like the
// real one), a desktop that dies at a point in a mode change, and a desktop
// that waits to be killed.
func TestMain(m *testing.M) {
	proc.GuardMain()
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "serve":
			os.Exit(fakeBackend())
		case "desktop":
			os.Exit(fakeDesktop())
		}
	}
	// Race-built children would sleep a second at their exit.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if built.dir != "" {
			os.RemoveAll(built.dir)
		}
		os.Exit(code)
	}))
}

// fakeBackend speaks link and the few routes a supervisor needs. The file
// "behaviour" in its home says how it misbehaves, one word per line.
func fakeBackend() int {
	home := os.Getenv("CATAMARAN_HOME")
	in, out := link.Stdio()
	does := map[string]bool{}
	b, _ := os.ReadFile(filepath.Join(home, "behaviour"))
	for _, w := range strings.Fields(string(b)) {
		does[w] = true
	}
	fmt.Fprintf(os.Stderr, "fake backend %d: %v\n", os.Getpid(), strings.Fields(string(b)))
	f, err := os.OpenFile(filepath.Join(home, "pids"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return 2
	}
	fmt.Fprintln(f, os.Getpid())
	f.Close()
	if does["deaf"] {
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
	}
	if does["exit"] {
		fmt.Fprintln(os.Stderr, "cannot go on: example")
		return 3
	}
	if does["mute"] {
		select {}
	}
	env, err := link.ReadEnvelope(in)
	if err != nil {
		return 2
	}
	id := fakeID(home)
	hello := api.Hello{Protocol: api.ProtocolVersion, Version: "1.2.3", PID: os.Getpid(), EnvironmentID: id, OS: "linux", Arch: "amd64", Phase: api.PhaseStarting}
	if does["refuse"] {
		hello.Refusal = &api.Error{Code: api.CodeDatabaseOwned, Message: "another backend owns the database", Hint: "End it."}
	}
	if p := os.Getenv("FAKE_BACKEND_FILE"); p != "" {
		b, _ := os.ReadFile(p)
		sum := sha256.Sum256(b)
		hello.Digest = hex.EncodeToString(sum[:])
	}
	if does["other-protocol"] {
		fmt.Fprintf(out, "%s{\"protocol\":99}\n", strings.Replace(link.Marker, "/1", "/99", 1))
		io.Copy(io.Discard, in)
		return 0
	}
	if does["wrong-digest"] {
		hello.Digest = strings.Repeat("0", 64)
	}
	s, err := link.Accept(in, out, hello, link.Options{})
	if err != nil {
		return 2
	}
	go http.Serve(s.Listener(), fakeRoutes(id, env, does))
	<-s.Done()
	if does["deaf"] {
		select {}
	}
	return 0
}

func fakeID(home string) string {
	sum := sha256.Sum256([]byte(home))
	return hex.EncodeToString(sum[:8])
}

func fakeRoutes(id string, env api.Envelope, does map[string]bool) http.Handler {
	var mu sync.Mutex
	asked, exchanges, renewals := 0, 0, 0
	token := ""
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, status int, v any) {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(v)
	}
	session := func(w http.ResponseWriter) {
		token = fmt.Sprintf("token-%d-%d-%d", os.Getpid(), exchanges, renewals)
		answer(w, 200, api.Session{Token: token, ExpiresAt: time.Now().Add(time.Hour).UnixMilli(), EnvironmentID: id})
	}
	mux.HandleFunc("GET /api/descriptor", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		d := api.Descriptor{EnvironmentID: id, Name: env.Environment, Phase: api.PhaseReady, PID: os.Getpid()}
		switch {
		case does["never"], does["slow"] && asked < 5:
			d.Phase = api.PhaseMigrating
		case does["other-id"]:
			d.EnvironmentID = "other"
		case does["fail"], does["fail-as-"+env.Environment]:
			d.Phase, d.Reason = api.PhaseFailed, &api.Error{Code: api.CodeDatabaseCorrupt, Message: "the database is damaged", Hint: "Restore it."}
		}
		answer(w, 200, d)
	})
	mux.HandleFunc("POST /api/session/exchange", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var x api.SessionExchange
		json.NewDecoder(r.Body).Decode(&x)
		exchanges++
		if exchanges > 1 || x.Credential != env.Credential || does["no-sign-in"] {
			answer(w, 401, api.Error{Code: api.CodeUnauthorized, Message: "no"})
			return
		}
		session(w)
	})
	mux.HandleFunc("POST /api/session/renew", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var x api.SessionRenew
		json.NewDecoder(r.Body).Decode(&x)
		renewals++
		if x.Token != token || does["no-renew"] {
			answer(w, 401, api.Error{Code: api.CodeTokenRevoked, Message: "no"})
			return
		}
		session(w)
	})
	mux.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) {
		answer(w, 200, map[string]any{"pid": os.Getpid(), "env": env.Env, "home": os.Getenv("CATAMARAN_HOME")})
	})
	mux.HandleFunc("GET /crash", func(http.ResponseWriter, *http.Request) { os.Exit(7) })
	mux.HandleFunc("GET /bye", func(http.ResponseWriter, *http.Request) { os.Exit(0) })
	return mux
}

// bed is a pool with a native fake backend in its own folders.
type bed struct {
	t         *testing.T
	p         *Pool
	dir, home string
	end       context.CancelFunc
	ended     chan error
}

// lay makes a pool, lets prepare change it, and runs it until the test ends.
func lay(t *testing.T, o Options, prepare func(*Pool)) *bed {
	t.Helper()
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(p)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b := &bed{t: t, p: p, dir: o.StateDir, home: o.LocalHome, end: cancel, ended: make(chan error, 1)}
	go func() { b.ended <- p.Run(ctx) }()
	t.Cleanup(b.quit)
	b.until("run", func(api.Environments) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.runners) > 0
	})
	return b
}

// quit ends the pool, once.
func (b *bed) quit() {
	b.end()
	select {
	case err, ok := <-b.ended:
		if ok {
			close(b.ended)
		}
		if err != nil {
			b.t.Error(err)
		}
	case <-time.After(20 * time.Second):
		b.t.Error("the pool does not end")
	}
}

// until waits for a state of the whole pool and returns it.
func (b *bed) until(what string, holds func(api.Environments) bool) api.Environments {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var last api.Environments
	ok := false
	b.p.Watch(ctx, func(s api.Environments) {
		if ok = ok || ctx.Err() == nil && holds(s); ok {
			if last.Environments == nil || ctx.Err() == nil {
				last = s
			}
			cancel()
			return
		}
		last = s
	})
	if !ok {
		j, _ := json.MarshalIndent(last, "", " ")
		b.t.Fatalf("never came: %s; last state %s", what, j)
	}
	return last
}

func find(s api.Environments, id string) api.Environment {
	for _, e := range s.Environments {
		if e.ID == id {
			return e
		}
	}
	return api.Environment{}
}

// state waits until id is in a state and returns the environment.
func (b *bed) state(id string, want api.EnvironmentState) api.Environment {
	b.t.Helper()
	return find(b.until(id+" "+string(want), func(s api.Environments) bool { return find(s, id).State == want }), id)
}

func behave(t testing.TB, home, words string) {
	t.Helper()
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "behaviour"), []byte(words), 0o600); err != nil {
		t.Fatal(err)
	}
}

// pids lists the backends that were ever started in a home.
func pids(home string) []int {
	b, _ := os.ReadFile(filepath.Join(home, "pids"))
	var all []int
	for _, w := range strings.Fields(string(b)) {
		n, _ := strconv.Atoi(w)
		all = append(all, n)
	}
	return all
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// noOrphan fails when a backend of home is alive; it gives one that has just been killed the five seconds it may take to be gone.
func noOrphan(t *testing.T, home string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for _, pid := range pids(home) {
		for alive(pid) {
			if time.Now().After(deadline) {
				t.Errorf("backend %d is still alive", pid)
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// get asks the backend of id over the pool's Dial.
func (b *bed) get(id, path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := b.p.Dial(ctx, id)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", path); err != nil {
		return "", err
	}
	all, err := io.ReadAll(c)
	return string(all), err
}
