package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/auth"
)

// method carries out one call; params may be empty.
type method func(ctx context.Context, params json.RawMessage) (any, error)

// typed decodes the parameters for f; unknown fields are ignored.
func typed[Req, Res any](f func(context.Context, Req) (Res, error)) method {
	return func(ctx context.Context, params json.RawMessage) (any, error) {
		var req Req
		if len(params) > 0 {
			if err := json.Unmarshal(params, &req); err != nil {
				return nil, &api.Error{Code: api.CodeInvalid, Message: "The request's parameters have the wrong shape: " + shape(err)}
			}
		}
		return f(ctx, req)
	}
}

// shape names the field, never the value: a value may be a secret.
func shape(err error) string {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		return fmt.Sprintf("field %q", t.Field)
	}
	return "not valid JSON"
}

func (g *Gateway) table() map[string]method {
	envs, modes := g.o.Environments, g.o.Modes
	methods := map[string]method{
		api.MethodEnvironments: typed(func(context.Context, api.Empty) (api.Environments, error) {
			return envs.Snapshot(), nil
		}),
		api.MethodEnvironmentStart: typed(func(ctx context.Context, r api.EnvironmentRef) (api.Environment, error) {
			return envs.Start(ctx, r.ID)
		}),
		api.MethodEnvironmentStop: typed(func(ctx context.Context, r api.EnvironmentRef) (api.Environment, error) {
			return envs.Stop(ctx, r.ID)
		}),
		api.MethodNewIdentity: typed(func(ctx context.Context, r api.EnvironmentRef) (api.Environment, error) {
			return envs.NewIdentity(ctx, r.ID)
		}),
		api.MethodModeChange: typed(g.changeMode),
		api.MethodModeCancel: typed(func(context.Context, api.Empty) (api.Empty, error) {
			modes.CancelChange()
			return api.Empty{}, nil
		}),
		api.MethodModeDismiss: typed(func(context.Context, api.Empty) (api.Empty, error) {
			modes.Dismiss()
			return api.Empty{}, nil
		}),
		api.MethodDistrosRescan: typed(func(ctx context.Context, _ api.Empty) (api.WSL, error) {
			return envs.RescanDistros(ctx)
		}),
		api.MethodWSLRestart: typed(func(ctx context.Context, _ api.Empty) (api.Empty, error) {
			return api.Empty{}, envs.RestartWSL(ctx)
		}),
		api.MethodEnvironmentLog: typed(func(_ context.Context, r api.EnvironmentRef) (api.EnvironmentLog, error) {
			return envs.Log(r.ID)
		}),
		api.MethodOpenPath: typed(g.openPath),
	}
	g.extras(methods)
	return methods
}

// changeMode runs under the gateway's own life, not the caller's: a page that
// reloads or a terminal that is closed half-way must not end the transaction.
func (g *Gateway) changeMode(ctx context.Context, to api.ModeConfig) (api.ModeChange, error) {
	if !to.Mode.Valid() {
		return api.ModeChange{}, &api.Error{
			Code: api.CodeInvalid, Message: fmt.Sprintf("There is no mode %q.", to.Mode), Hint: "Use local, both or wsl-only.",
		}
	}
	leave, ok := g.enter(false)
	if !ok {
		return api.ModeChange{}, &api.Error{Code: api.CodeUnavailable, Message: "Catamaran is ending."}
	}
	type outcome struct {
		change api.ModeChange
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		defer leave()
		c, err := g.o.Modes.ChangeMode(g.base, to)
		done <- outcome{c, err}
	}()
	select {
	case o := <-done:
		return o.change, o.err
	case <-ctx.Done():
		return api.ModeChange{}, context.Cause(ctx)
	}
}

// call answers one method; the error is always an *api.Error.
func (g *Gateway) call(ctx context.Context, methods map[string]method, name string, params json.RawMessage) (any, *api.Error) {
	m := methods[name]
	if m == nil {
		return nil, &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("The desktop has no method %q.", printable(name))}
	}
	res, err := m(ctx, params)
	if err != nil {
		return nil, g.public(err, "call "+name)
	}
	return res, nil
}

// public turns any error into one for the other side of a process boundary; an unknown one is logged under a reference.
func (g *Gateway) public(err error, what string) *api.Error {
	if e := api.AsError(err); e != nil {
		return e
	}
	switch {
	case errors.Is(err, context.Canceled):
		return &api.Error{Code: api.CodeCancelled, Message: "The request was cancelled."}
	case errors.Is(err, context.DeadlineExceeded):
		return &api.Error{Code: api.CodeTimeout, Message: "The request took too long.", Retryable: true}
	}
	ref := auth.NewToken()[:8]
	g.o.Log.Error("request failed", "what", what, "ref", ref, "error", err)
	return &api.Error{Code: api.CodeInternal, Message: "Something went wrong in Catamaran.", Hint: "The log has more under reference " + ref + ".", Ref: ref}
}

func printable(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	return s
}

// callHandler is POST /api/call/<method>.
func (g *Gateway) callHandler(w http.ResponseWriter, r *http.Request) { g.serveCall(w, r, g.methods) }

func (g *Gateway) serveCall(w http.ResponseWriter, r *http.Request, methods map[string]method) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallBody))
	if err != nil {
		auth.WriteError(w, bodyError(err))
		return
	}
	res, e := g.call(r.Context(), methods, r.PathValue("method"), body)
	if e != nil {
		auth.WriteError(w, e)
		return
	}
	writeJSON(w, res)
}

func bodyError(err error) error {
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return &api.Error{Code: api.CodeTooLarge, Message: fmt.Sprintf("The request is larger than %d bytes.", big.Limit)}
	}
	return &api.Error{Code: api.CodeInvalid, Message: "The request was cut off.", Retryable: true}
}

// Control answers the terminal commands of the same user. It checks no token:
// who may connect is decided by the socket's permissions (package shell). The
// calls are the page's and those of the desktop's own life: launch, activate, quit.
func (g *Gateway) Control() http.Handler {
	methods := g.table()
	methods[api.MethodLaunch] = typed(func(ctx context.Context, _ api.Empty) (api.Launch, error) { return g.launch(ctx) })
	methods[api.MethodActivate] = typed(func(ctx context.Context, _ api.Empty) (api.Launch, error) {
		l, err := g.launch(ctx)
		if err != nil || g.o.Activate == nil {
			return l, err
		}
		return l, g.o.Activate(ctx)
	})
	if g.o.Quit != nil {
		methods[api.MethodQuit] = typed(g.quit)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/call/{method}", func(w http.ResponseWriter, r *http.Request) { g.serveCall(w, r, methods) })
	mux.HandleFunc("POST /api/diagnostics", g.export)
	return mux
}

// launch waits for the listener: a second start may come while the first is starting.
func (g *Gateway) launch(ctx context.Context) (api.Launch, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	select {
	case <-g.ready:
		return api.Launch{URL: g.LaunchURL(), PID: os.Getpid(), Version: g.o.Version}, nil
	case <-ctx.Done():
		return api.Launch{}, context.Cause(ctx)
	}
}
