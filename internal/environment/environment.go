// Package environment supervises backends: a pure state machine per
// environment with a runner that carries out its actions, the pool of them, and
// mode changes as transactions over a persisted configuration. It serves no
// HTTP; package gateway calls it.
package environment

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"catamaran/internal/api"
	"catamaran/internal/stage"
	"catamaran/internal/wsl"
)

var errSkeleton = errors.New("environment: not built yet")

// Options of a pool.
type Options struct {
	// StateDir holds mode.json.
	StateDir string
	// LocalBackend is the path of the native backend; LocalHome its CATAMARAN_HOME ("" the default).
	LocalBackend, LocalHome string
	// WSL is nil where there is none.
	WSL     *wsl.Client
	Carried *stage.Carried
	// ForwardEnv is sent in the envelope's Env.
	ForwardEnv map[string]string
	LogDir     string // a backend's stderr goes to LogDir/backend-<id>.log, bounded
	Log        *slog.Logger
}

// Pool runs the environments.
type Pool struct{}

// New validates the options and reads the configuration; it starts nothing.
func New(o Options) (*Pool, error) { return nil, errSkeleton }

// Run starts what the configuration names and supervises until ctx ends, then stops all backends concurrently.
func (p *Pool) Run(ctx context.Context) error { return errSkeleton }

// Snapshot is the current state of everything.
func (p *Pool) Snapshot() api.Environments { return api.Environments{} }

// Watch calls fn with the current state and after every change, coalesced, until ctx ends.
func (p *Pool) Watch(ctx context.Context, fn func(api.Environments)) {}

// Start, Stop act on one environment; errors are *api.Error.
func (p *Pool) Start(ctx context.Context, id string) (api.Environment, error) {
	return api.Environment{}, errSkeleton
}
func (p *Pool) Stop(ctx context.Context, id string) (api.Environment, error) {
	return api.Environment{}, errSkeleton
}

// ChangeMode runs the transaction and returns when it has ended; requests are serialised, the last one wins.
func (p *Pool) ChangeMode(ctx context.Context, to api.ModeConfig) (api.ModeChange, error) {
	return api.ModeChange{}, errSkeleton
}

// CancelChange rolls the change under way back. Dismiss forgets a failed change and the notice.
func (p *Pool) CancelChange() {}
func (p *Pool) Dismiss()      {}

// RescanDistros runs discovery again.
func (p *Pool) RescanDistros(ctx context.Context) (api.WSL, error) { return api.WSL{}, errSkeleton }

// Dial opens a stream to a ready backend (HTTP is spoken on it). *api.Error
// CodeEnvironmentUnknown or CodeEnvironmentDown (with the state) otherwise.
func (p *Pool) Dial(ctx context.Context, id string) (net.Conn, error) { return nil, errSkeleton }

// Token returns a session token of the environment's backend, exchanged on first use and shared by concurrent
// callers. Refused reports that the backend answered 401 to token, so that the next Token exchanges anew, once.
func (p *Pool) Token(ctx context.Context, id string) (string, error) { return "", errSkeleton }
func (p *Pool) Refused(id, token string)                             {}
