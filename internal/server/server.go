// Package server is the backend's door: one table of methods that yields the
// HTTP routes, the calls on the WebSocket and the list in docs/protocol.md; the
// subscriptions; and the stand-alone door for a browser without a desktop. It
// decides nothing and stores nothing: the engine does. cmd/catamaran-backend
// wires it.
//
// Invariants: it answers from the first moment, before the database is open
// (phase starting); nothing but the descriptor and the sign-in answers without
// a token; whatever leaves is an api.Error, and an internal one has a Ref that
// the log knows; one goroutine writes to a connection, and every queue to it is
// bounded.
package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/auth"
	"catamaran/internal/engine"
	"catamaran/internal/file"
	"catamaran/internal/review"
	"catamaran/internal/term"
)

const (
	// maxBody bounds a request body and a WebSocket message in bytes.
	maxBody = 16 << 20
	// maxCommandID bounds a command id.
	maxCommandID = 128
	// callTimeout bounds a call that the client does not.
	callTimeout = 2 * time.Minute
	// Audience is what the backend's own tokens are for.
	Audience = "backend"
	// linkLife and doorLife are how long a session lasts, on the link and at the stand-alone door.
	linkLife = 24 * time.Hour
	doorLife = 7 * 24 * time.Hour
	// maxSignIn bounds the body of a sign-in.
	maxSignIn = 64 << 10
	// CommandHeader carries a command id over HTTP.
	CommandHeader = "Catamaran-Command"
)

// Doctor checks the environment; *doctor.Doctor is one.
type Doctor interface {
	Run(ctx context.Context, r api.DoctorRun) (api.DoctorReport, error)
}

// Options of a Server. All fields but Doctor, Files, Review, Terminals and Distro are required.
type Options struct {
	// Doctor answers doctor.run; nil refuses it.
	Doctor Doctor
	// Files shows the files of projects; nil refuses it.
	Files *file.Files
	// Review answers what is about Git, differences and reverts; nil refuses it.
	Review   *review.Desk
	Engine   *engine.Engine
	Identity *auth.Identity
	// Codes holds the credentials that can be exchanged for a session.
	Codes *auth.Codes
	// Descriptor is the fixed part: everything but Phase, Reason and EnvironmentID.
	Descriptor api.Descriptor
	// Distro is the WSL distro the backend runs in, "" elsewhere. It makes Windows paths translatable.
	Distro string
	// Terminals are the environment's; nil has none.
	Terminals *term.Manager
	// Settings answers settings.get and settings.set at the stand-alone door; nil knows neither.
	Settings Settings
	Log      *slog.Logger
}

// Server is the backend's http.Handler. It is safe for concurrent use.
type Server struct {
	o       Options
	log     *slog.Logger
	routes  map[string]*route
	sockets sockets

	mu      sync.Mutex
	phase   api.Phase
	reason  *api.Error
	since   time.Time
	changed chan struct{} // closed and replaced at every change of phase
}

// New validates the options and starts nothing. The phase is starting.
func New(o Options) (*Server, error) {
	if o.Engine == nil || o.Identity == nil || o.Codes == nil || o.Log == nil {
		return nil, errors.New("server: an option is missing")
	}
	o.Descriptor.EnvironmentID = o.Identity.EnvironmentID
	s := &Server{o: o, log: o.Log, routes: map[string]*route{}, phase: api.PhaseStarting, since: time.Now(), changed: make(chan struct{})}
	s.sockets.init(o.Log)
	for i := range table {
		s.routes[table[i].method] = &table[i]
	}
	return s, nil
}

// SetPhase is the engine's Options.Phase: it is told to every client.
func (s *Server) SetPhase(p api.Phase, reason *api.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase, s.reason, s.since = p, reason, time.Now()
	close(s.changed)
	s.changed = make(chan struct{})
	s.log.Info("phase", "phase", string(p))
}

// Descriptor returns the descriptor as of now, and a channel that is closed when it changes.
func (s *Server) Descriptor() (api.Descriptor, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.o.Descriptor
	d.Phase, d.Reason = s.phase, s.reason
	return d, s.changed
}

// Close ends every WebSocket with "going away" and waits for them, at most
// until ctx ends. The HTTP server around it is the caller's.
func (s *Server) Close(ctx context.Context) error { return s.sockets.close(ctx) }

// Paths of the backend.
const (
	pathDescriptor = "/api/descriptor"
	pathExchange   = "/api/session/exchange"
	pathRenew      = "/api/session/renew"
	pathCall       = "/api/call/"
	pathSocket     = "/ws"
	pathUpload     = "/api/upload"
	pathAttachment = "/api/attachment/"
)

// ServeHTTP serves the API as it lies on the link. On a port it belongs behind
// auth.Door, see Standalone.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case strings.HasPrefix(r.URL.Path, pathCall):
		if allow(w, r, http.MethodPost) {
			s.serveCall(w, r, r.URL.Path[len(pathCall):])
		}
	case r.URL.Path == pathSocket:
		s.sockets.serve(w, r, backendHost{s})
	case r.URL.Path == pathDescriptor:
		if allow(w, r, http.MethodGet) {
			d, _ := s.Descriptor()
			writeJSON(w, d)
		}
	case r.URL.Path == pathUpload:
		if allow(w, r, http.MethodPost) {
			s.serveUpload(w, r)
		}
	case strings.HasPrefix(r.URL.Path, pathAttachment):
		if allow(w, r, http.MethodGet) {
			s.serveAttachment(w, r, r.URL.Path[len(pathAttachment):])
		}
	case r.URL.Path == pathExchange:
		if allow(w, r, http.MethodPost) {
			s.serveExchange(w, r)
		}
	case r.URL.Path == pathRenew:
		if allow(w, r, http.MethodPost) {
			s.serveRenew(w, r)
		}
	case r.URL.Path == api.PathFileBytes:
		if allow(w, r, http.MethodPost) {
			s.serveFile(w, r)
		}
	default:
		auth.WriteError(w, &api.Error{Code: api.CodeNotFound, Message: "There is nothing at this address."})
	}
}

func allow(w http.ResponseWriter, r *http.Request, method string) bool {
	if r.Method == method || method == http.MethodGet && r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", method)
	auth.WriteError(w, &api.Error{Code: api.CodeInvalid, Message: "This address takes " + method + " only."})
	return false
}

// serveExchange turns the one-time credential into a session.
func (s *Server) serveExchange(w http.ResponseWriter, r *http.Request) {
	var in api.SessionExchange
	err := auth.ReadJSON(w, r, maxSignIn, &in)
	if err == nil {
		err = s.o.Codes.Redeem(in.Credential)
	}
	s.answerSession(w, pathExchange, err, linkLife)
}

// serveRenew turns a token of this backend, expired or not, into a newer one.
// Only the link has it: there the pipe itself is private to the owner.
func (s *Server) serveRenew(w http.ResponseWriter, r *http.Request) {
	var in api.SessionRenew
	err := auth.ReadJSON(w, r, maxSignIn, &in)
	if err == nil {
		err = s.o.Identity.Verify(in.Token, Audience, time.Unix(0, 0))
	}
	s.answerSession(w, pathRenew, err, linkLife)
}

func (s *Server) answerSession(w http.ResponseWriter, path string, err error, life time.Duration) {
	if err != nil {
		auth.WriteError(w, s.explain(path, err))
		return
	}
	ends := time.Now().Add(life)
	writeJSON(w, api.Session{Token: s.o.Identity.Sign(Audience, ends), ExpiresAt: ends.UnixMilli(), EnvironmentID: s.o.Identity.EnvironmentID})
}

func (s *Server) authorize(token string) error {
	if token == "" {
		return &api.Error{Code: api.CodeUnauthorized, Message: "This needs a session.", Hint: "Sign in first."}
	}
	return s.o.Identity.Verify(token, Audience, time.Now())
}

func (s *Server) serveCall(w http.ResponseWriter, r *http.Request, method string) {
	err := s.authorize(auth.Bearer(r))
	var body []byte
	if err == nil {
		body, err = auth.ReadBody(w, r, maxBody)
	}
	var res any
	if err == nil {
		res, err = s.call(r.Context(), method, r.Header.Get(CommandHeader), body)
	}
	if err != nil {
		auth.WriteError(w, s.explain(method, err))
		return
	}
	writeJSON(w, res)
}

// call is every call, however it came.
func (s *Server) call(ctx context.Context, method, commandID string, params []byte) (any, error) {
	rt := s.routes[method]
	if rt == nil {
		return nil, &api.Error{Code: api.CodeNotFound, Message: "There is no method of this name.", Hint: "The backend may be older than what calls it."}
	}
	if len(commandID) > maxCommandID {
		return nil, &api.Error{Code: api.CodeInvalid, Message: "The command id is too long."}
	}
	if !rt.early {
		if err := s.ready(); err != nil {
			return nil, err
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(callTimeout, rt.bound))
		defer cancel()
	}
	return rt.call(ctx, s, commandID, params)
}

// ready is nil once the engine takes commands.
func (s *Server) ready() error {
	s.mu.Lock()
	phase, reason := s.phase, s.reason
	s.mu.Unlock()
	switch {
	case phase == api.PhaseReady:
		return nil
	case phase == api.PhaseFailed && reason != nil:
		return reason
	case phase == api.PhaseFailed:
		return &api.Error{Code: api.CodeUnavailable, Message: "The backend could not start.", Hint: "Its log tells why."}
	}
	return &api.Error{Code: api.CodeNotReady, Message: "The backend is still starting.", Hint: "It answers in a moment.", Retryable: true}
}

// explain makes any error fit to leave, with a Ref into the log where it is an internal one.
func (s *Server) explain(method string, err error) *api.Error {
	log := s.log.With("method", method)
	e := auth.Explain(log, err)
	if e.Code == api.CodeInternal && e.Ref == "" {
		known := *e
		known.Ref = auth.NewToken()[:12]
		log.Error("internal error", "ref", known.Ref, "err", err.Error(), "details", e.Details)
		e = &known
	} else if e.Code != api.CodeInternal {
		log.Debug("refused", "code", string(e.Code), "err", err.Error())
	}
	return e
}

func writeJSON(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		auth.WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // a client that went away has nobody to tell
}
