// Package gateway is the loopback door of the desktop: it serves the page,
// signs it in, answers the desktop's own calls, and passes requests and
// WebSockets on to the environments' backends by the id in the route. The
// terminal commands of the same user reach the same calls through Control.
//
// It never listens on anything but 127.0.0.1, sets no cookie, sends no CORS
// header, logs no token, and never lets a backend's token or a backend's 401
// reach the page. It supervises nothing: starting, stopping and mode changes
// are the pool's. cmd/catamaran wires it.
//
// Invariants: every request passes auth.Door; everything but assets and the
// sign-in needs a session token signed by the gateway's identity; a pooled
// connection is used only for the backend process it was opened to.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/atomicfile"
	"catamaran/internal/auth"
	"catamaran/internal/logfile"
)

// Backends is how the gateway reaches backends; *environment.Pool is one.
type Backends interface {
	// Dial opens a stream to a ready backend; HTTP is spoken on it.
	Dial(ctx context.Context, id string) (net.Conn, error)
	// Token returns a session token of the backend, Refused reports that it answered 401 to one.
	Token(ctx context.Context, id string) (string, error)
	Refused(id, token string)
}

// Environments is what the gateway shows and starts; *environment.Pool is one.
type Environments interface {
	Snapshot() api.Environments
	// Watch calls fn with the current state and after every change, coalesced, until ctx ends.
	Watch(ctx context.Context, fn func(api.Environments))
	Start(ctx context.Context, id string) (api.Environment, error)
	Stop(ctx context.Context, id string) (api.Environment, error)
	RescanDistros(ctx context.Context) (api.WSL, error)
	NewIdentity(ctx context.Context, id string) (api.Environment, error)
	// RestartWSL ends every distro and starts what was wanted; only for a person who asked.
	RestartWSL(ctx context.Context) error
	// Log is the end of an environment's log.
	Log(id string) (api.EnvironmentLog, error)
}

// Modes changes which environments run; *environment.Pool is one.
type Modes interface {
	ChangeMode(ctx context.Context, to api.ModeConfig) (api.ModeChange, error)
	CancelChange()
	Dismiss()
}

// Settings is what a person chose; *settings.Store is one.
type Settings interface {
	Get() (api.Settings, error)
	Set(api.SettingsChange) (api.Settings, error)
}

// Options of a gateway.
type Options struct {
	// StateDir holds the file "port" (the last port, tried first) and the gateway's identity.
	StateDir     string
	Identity     *auth.Identity
	Backends     Backends
	Environments Environments
	Modes        Modes
	// Assets serves the page: "/" and everything that is not under /api/, /e/ or /ws.
	Assets http.Handler
	// Version is the desktop's own.
	Version string
	// Activate opens or focuses a window (an argument handed over by a second start); nil does nothing.
	Activate func(ctx context.Context) error
	// Quit begins the desktop's end and returns at once; without it nothing on the control endpoint ends it.
	Quit func()
	// Doctor, Forward and Opener answer what their methods ask; without one the methods are unknown.
	Doctor  Doctor
	Forward Forwarder
	Opener  Opener
	// Dialogs shows native dialogs, OpenURL opens an address in the system's browser; without one its method is unknown.
	Dialogs Dialogs
	OpenURL func(ctx context.Context, url string) error
	// Notifier shows notifications of the system; nil does not know the method.
	Notifier Notifier
	// Updates knows of newer versions; nil knows none of its methods.
	Updates Updates
	// Settings keeps what the person chose; nil knows none of its methods.
	Settings Settings
	Log      *slog.Logger
	// Now is the clock for sessions; nil is time.Now.
	Now func() time.Time
}

// Bounds of the gateway.
const (
	codeLife      = 30 * time.Second       // a launch code dies after it, or at first use (W7.3)
	sessionLife   = 12 * time.Hour         // a page renews its session long before
	helloWait     = 10 * time.Second       // for a WebSocket's first frame
	writeWait     = 30 * time.Second       // for one frame to a reader that does not read
	closeWait     = 500 * time.Millisecond // for open requests, and for connections that never made one, when the gateway ends; then they are cut (W5.8)
	maxSockets    = 256                    // open WebSockets; more are refused
	maxCalls      = 32                     // calls in flight on one socket; more are refused
	maxCallBody   = 1 << 20
	maxFrame      = 16 << 20
	maxHelloFrame = 64 << 10
)

// audience of the page's tokens, so that a token made for something else is not taken.
const audience = "page"

// Gateway is the door. Make it with New, serve with Run.
type Gateway struct {
	o       Options
	codes   *auth.Codes
	methods map[string]method
	ready   chan struct{}
	port    int

	// base lives as long as the gateway: work that must outlive the request that asked for it runs under it.
	base   context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu         sync.Mutex
	transports map[string]*pooled
	sockets    int
	closing    bool
	watchers   map[chan api.ServerFrame]struct{}
	// late is what no page was there to be shown, until lateUntil.
	late      *api.OpenedPath
	lateUntil time.Time
}

// New validates the options; it opens nothing.
func New(o Options) (*Gateway, error) {
	switch {
	case o.StateDir == "":
		return nil, errors.New("gateway: no state folder given")
	case o.Identity == nil:
		return nil, errors.New("gateway: no identity given")
	case o.Backends == nil || o.Environments == nil || o.Modes == nil:
		return nil, errors.New("gateway: no pool given")
	case o.Assets == nil:
		return nil, errors.New("gateway: no page given")
	case o.Log == nil:
		return nil, errors.New("gateway: no log given")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	g := &Gateway{
		o: o, codes: auth.NewCodes(codeLife), ready: make(chan struct{}),
		transports: map[string]*pooled{}, watchers: map[chan api.ServerFrame]struct{}{},
	}
	g.base, g.cancel = context.WithCancel(context.Background())
	g.methods = g.table()
	return g, nil
}

// Ready is closed once the page can be loaded.
func (g *Gateway) Ready() <-chan struct{} { return g.ready }

// Port is the port listened on; valid after Ready.
func (g *Gateway) Port() int { return g.port }

// LaunchURL makes the address that signs a page in, once, within 30 s; valid after Ready.
func (g *Gateway) LaunchURL() string {
	code := g.codes.Issue()
	logfile.Secret(code)
	return fmt.Sprintf("http://127.0.0.1:%d/#code=%s", g.port, code)
}

// Run listens and serves until ctx ends; then it ends every socket and request
// within a second. The error is a listener that could not be had or that failed.
func (g *Gateway) Run(ctx context.Context) error {
	defer g.cancel()
	ln, err := g.listen()
	if err != nil {
		return err
	}
	g.port = ln.Addr().(*net.TCPAddr).Port
	srv := &http.Server{
		Handler:           auth.Door(g.routes(), g.port),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		// The server's own complaints quote what a client sent; a request line could hold anything.
		ErrorLog:    slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return g.base },
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	close(g.ready)
	g.o.Log.Info("gateway listens", "port", g.port)
	select {
	case err = <-served:
		err = fmt.Errorf("gateway on port %d: %w", g.port, err)
	case <-ctx.Done():
		err = nil
	}
	g.mu.Lock()
	g.closing = true
	g.mu.Unlock()
	g.cancel()
	end, stop := context.WithTimeout(context.Background(), closeWait)
	defer stop()
	if srv.Shutdown(end) != nil {
		srv.Close()
	}
	g.work.Wait()
	g.mu.Lock()
	for _, p := range g.transports {
		p.rt.CloseIdleConnections()
	}
	g.mu.Unlock()
	return err
}

// listen takes the last port when it is free: the origin, and with it what the
// page stored, stays the same from start to start (W7.3).
func (g *Gateway) listen() (net.Listener, error) {
	file := filepath.Join(g.o.StateDir, "port")
	b, err := atomicfile.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		g.o.Log.Warn("the last port is not known", "error", err)
	}
	last, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err == nil && last > 0 && last < 1<<16 {
		ln, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(last)))
		if err == nil {
			return ln, nil
		}
		g.o.Log.Warn("the last port is taken; the page starts without what it stored there", "port", last, "error", err)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("gateway: listen on loopback: %w", err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	if err := writePort(file, port); err != nil {
		g.o.Log.Warn("the port was not kept; the next start may get another", "error", err)
	}
	return ln, nil
}

func writePort(file string, port int) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".port-*")
	if err != nil {
		return fmt.Errorf("keep port: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintln(f, port)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keep port: %w", err)
	}
	return atomicfile.Rename(f.Name(), file)
}

func (g *Gateway) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/session", g.signIn)
	mux.Handle("POST /api/session/renew", g.signedIn(g.renew))
	mux.Handle("GET /api/environments", g.signedIn(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, g.o.Environments.Snapshot())
	}))
	mux.Handle("POST /api/call/{method}", g.signedIn(g.callHandler))
	mux.Handle("POST /api/diagnostics", g.signedIn(g.export))
	mux.HandleFunc("GET /ws", g.socket)
	mux.HandleFunc("GET /e/{id}/ws", g.backendSocket)
	// An attachment's address is signed by its backend, which checks it: an image cannot bring the page's token.
	mux.HandleFunc("GET /e/{id}/api/attachment/{thread}/{file}", g.attachment)
	mux.Handle("/e/{id}/api/", g.signedIn(g.forward))
	notFound := func(w http.ResponseWriter, r *http.Request) {
		auth.WriteError(w, &api.Error{Code: api.CodeNotFound, Message: "There is nothing at this address."})
	}
	mux.HandleFunc("/api/", notFound)
	mux.HandleFunc("/e/", notFound)
	mux.HandleFunc("/ws", notFound)
	mux.Handle("/", g.o.Assets)
	return noStore(mux)
}

// noStore keeps answers of the API out of every cache. The door sets the other headers.
func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, "/e/") {
			w.Header().Set("Cache-Control", "no-store")
		}
		next.ServeHTTP(w, r)
	})
}

// enter counts a socket or a piece of work that Run must wait for; false once
// the gateway ends or, for sockets, when there are too many.
func (g *Gateway) enter(socket bool) (leave func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing || socket && g.sockets >= maxSockets {
		return nil, false
	}
	if socket {
		g.sockets++
	}
	g.work.Add(1)
	return func() {
		if socket {
			g.mu.Lock()
			g.sockets--
			g.mu.Unlock()
		}
		g.work.Done()
	}, true
}
