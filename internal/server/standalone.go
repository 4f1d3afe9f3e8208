package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/auth"
)

// localID is the one environment of the stand-alone door.
const localID = "local"

// Paths of a door as the page uses them, the desktop's gateway's or this one.
const (
	pathSession      = "/api/session"
	pathEnvironments = "/api/environments"
	pathEnvironment  = "/e/"
)

// Settings is what a person chose, where there is no desktop to keep it; *settings.Store is one.
type Settings interface {
	Get() (api.Settings, error)
	Set(api.SettingsChange) (api.Settings, error)
}

// Standalone serves a backend to a browser without a desktop: the page, sign-in
// by a pairing code, the door's API with the one environment "local", and the
// backend below /e/local/. It has the gateway's face, so that the page knows no
// difference. assets serves the page. It must lie behind auth.Door.
func (s *Server) Standalone(assets http.Handler) http.Handler {
	d := door{s}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if path == pathSocket || strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, pathEnvironment) {
			w.Header().Set("Cache-Control", "no-store")
		}
		switch {
		case path == pathSession:
			if allow(w, r, http.MethodPost) {
				d.signIn(w, r)
			}
		case path == pathRenew:
			// Unlike on the link, only a live session is renewed.
			if allow(w, r, http.MethodPost) {
				s.answerSession(w, path, s.authorize(auth.Bearer(r)), doorLife)
			}
		case path == pathEnvironments:
			if !allow(w, r, http.MethodGet) {
				return
			}
			if err := s.authorize(auth.Bearer(r)); err != nil {
				auth.WriteError(w, s.explain(path, err))
				return
			}
			all, _ := d.environments()
			writeJSON(w, all)
		case path == pathSocket:
			s.sockets.serve(w, r, d)
		case strings.HasPrefix(path, pathCall):
			if allow(w, r, http.MethodPost) {
				d.serveCall(w, r, path[len(pathCall):])
			}
		case strings.HasPrefix(path, pathEnvironment):
			d.environment(w, r)
		case strings.HasPrefix(path, "/api/"):
			auth.WriteError(w, &api.Error{Code: api.CodeNotFound, Message: "There is nothing at this address."})
		default:
			assets.ServeHTTP(w, r)
		}
	})
}

// door is the stand-alone door's own API.
type door struct{ s *Server }

func (d door) signIn(w http.ResponseWriter, r *http.Request) {
	var in api.LaunchExchange
	err := auth.ReadJSON(w, r, maxSignIn, &in)
	if err == nil {
		err = d.s.o.Codes.Redeem(in.Code)
	}
	d.s.answerSession(w, pathSession, err, doorLife)
}

func (d door) serveCall(w http.ResponseWriter, r *http.Request, method string) {
	err := d.s.authorize(auth.Bearer(r))
	var body []byte
	if err == nil {
		body, err = auth.ReadBody(w, r, maxBody)
	}
	var res any
	if err == nil {
		res, err = d.call(r.Context(), method, "", body)
	}
	if err != nil {
		auth.WriteError(w, d.s.explain(method, err))
		return
	}
	writeJSON(w, res)
}

// environment hands /e/local/... to the backend, which on the link answers its
// descriptor to anybody; here everything over HTTP needs a session. The
// WebSocket brings its token in the first message, an attachment's address its own.
func (d door) environment(w http.ResponseWriter, r *http.Request) {
	id, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, pathEnvironment), "/")
	rest = "/" + rest
	if id != localID {
		auth.WriteError(w, &api.Error{Code: api.CodeEnvironmentUnknown, Message: "There is no environment of this name here."})
		return
	}
	if rest != pathSocket && !strings.HasPrefix(rest, pathAttachment) {
		if err := d.s.authorize(auth.Bearer(r)); err != nil {
			auth.WriteError(w, d.s.explain(r.URL.Path, err))
			return
		}
	}
	inner := r.Clone(r.Context())
	inner.URL.Path, inner.URL.RawPath = rest, ""
	d.s.ServeHTTP(w, inner)
}

func (d door) environments() (api.Environments, <-chan struct{}) {
	desc, changed := d.s.Descriptor()
	d.s.mu.Lock()
	since := d.s.since
	d.s.mu.Unlock()
	env := api.Environment{
		ID: localID, Name: "This computer", State: api.EnvStarting, Since: since.UnixMilli(), Attempt: 1,
		EnvironmentID: desc.EnvironmentID, Version: desc.Version, OS: desc.OS, Arch: desc.Arch, PID: desc.PID,
	}
	switch desc.Phase {
	case api.PhaseReady:
		env.State = api.EnvReady
	case api.PhaseFailed:
		env.State, env.Error = api.EnvFailed, desc.Reason
	case api.PhaseMigrating:
		env.Stage = "bringing the database up to date"
	}
	return api.Environments{
		Config: api.ModeConfig{Mode: api.ModeLocal}, Primary: localID,
		Environments: []api.Environment{env}, WSL: api.WSL{Distros: []api.Distro{}},
	}, changed
}

func (d door) authorize(token string) error { return d.s.authorize(token) }

// welcome carries nothing: the door has no descriptor, and its one topic tells every change.
func (d door) welcome() (api.ServerFrame, <-chan struct{}) {
	return api.ServerFrame{Type: api.FrameWelcome}, nil
}

func (d door) call(ctx context.Context, method, _ string, params []byte) (any, error) {
	if s := d.s.o.Settings; s != nil {
		switch method {
		case api.MethodSettingsGet:
			return s.Get()
		case api.MethodSettingsSet:
			var c api.SettingsChange
			if err := json.Unmarshal(params, &c); err != nil {
				return nil, &api.Error{Code: api.CodeInvalid, Message: "The request's parameters have the wrong shape."}
			}
			return s.Set(c)
		}
	}
	switch method {
	case api.MethodEnvironments:
		all, _ := d.environments()
		return all, nil
	case api.MethodPing:
		return api.Empty{}, nil
	case api.MethodModeDismiss, api.MethodModeCancel:
		return api.Empty{}, nil
	case api.MethodDiagnose:
		return d.diagnose(ctx)
	case api.MethodDistrosRescan:
		return api.WSL{Distros: []api.Distro{}}, nil
	case api.MethodEnvironmentStart, api.MethodEnvironmentStop, api.MethodModeChange, api.MethodOpenPath:
		return nil, &api.Error{
			Code:    api.CodeInvalid,
			Message: "This backend runs alone: it has one environment that starts and ends with it.",
			Hint:    "Use the Catamaran desktop to manage environments.",
		}
	}
	return nil, &api.Error{Code: api.CodeNotFound, Message: "There is no method of this name."}
}

// diagnose answers as a desktop does, for the one environment; without one there is no archive.
func (d door) diagnose(ctx context.Context) (api.Diagnosis, error) {
	report, err := d.s.diagnose(ctx, api.DoctorRun{Fresh: true})
	if err != nil {
		return api.Diagnosis{}, err
	}
	desc, _ := d.s.Descriptor()
	for i := range report.Findings {
		report.Findings[i].Environment = localID
	}
	return api.Diagnosis{
		Version:  api.VersionInfo{Version: desc.Version, Protocol: api.ProtocolVersion, OS: desc.OS, Arch: desc.Arch},
		Checked:  time.Now().UnixMilli(),
		Findings: report.Findings,
	}, nil
}

func (d door) subscribe(topic string, _ *int64) (stream, error) {
	if topic != api.TopicEnvironments {
		return nil, &api.Error{Code: api.CodeNotFound, Message: "There is no topic of this name.", Hint: "Threads are on the environment's own connection."}
	}
	return &environmentStream{d: d, closed: make(chan struct{})}, nil
}

func (d door) explain(method string, err error) *api.Error { return d.s.explain(method, err) }

// environmentStream is topic environments: a snapshot, "synchronized", then the
// whole state at every change. Changes that come faster than they are read are
// one.
type environmentStream struct {
	d       door
	step    int
	changed <-chan struct{}
	closed  chan struct{}
}

func (e *environmentStream) Next(ctx context.Context) (api.ServerFrame, error) {
	e.step++
	switch e.step {
	case 1:
		all, changed := e.d.environments()
		e.changed = changed
		return api.ServerFrame{Type: api.FrameSnapshot, Environments: &all}, nil
	case 2:
		return api.ServerFrame{Type: api.FrameSynchronized}, nil
	}
	select {
	case <-e.changed:
		all, changed := e.d.environments()
		e.changed = changed
		return api.ServerFrame{Type: api.FrameEvent, Environments: &all}, nil
	case <-e.closed:
		return api.ServerFrame{}, io.EOF
	case <-ctx.Done():
		return api.ServerFrame{}, ctx.Err()
	}
}

// Close is called once, by the connection.
func (e *environmentStream) Close() { close(e.closed) }
