package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/proc"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"
)

const (
	// versionTimeout bounds one agent's version command: Node programs need one to two seconds.
	versionTimeout = 5 * time.Second
	// scanTimeout bounds a whole scan, the login shell included.
	scanTimeout = 30 * time.Second
	// scanAtOnce is how many version commands run at the same time.
	scanAtOnce = 3
	// versionOutput bounds what a version command may print, in bytes.
	versionOutput = 64 << 10
)

// DemoID is the id of the built-in demo agent.
const DemoID = "demo"

// RegistryOptions configure a registry; zero values are the product's own.
type RegistryOptions struct {
	// Drivers by the name presets use; "acp" is needed.
	Drivers map[string]Driver
	// Env returns the login environment, again from the shell when fresh is set, and
	// a warning for people (package loginenv). nil means this process's environment.
	Env func(ctx context.Context, fresh bool) (env []string, warning string)
	// Presets replaces Presets().
	Presets []Preset
	// Dir is the folder of what people set for agents; "" keeps nothing.
	Dir string
	// DemoPath and DemoArgs start the demo agent; the running program with
	// "demo-agent" where DemoPath is "".
	DemoPath string
	DemoArgs []string
	Log      *slog.Logger
}

// Registry finds installed agents. It looks at nothing before it is asked, keeps
// what it found until a rescan, and lets callers share a scan that is under way.
type Registry struct {
	o      RegistryOptions
	flight singleflight.Group
	saved  instances

	mu    sync.Mutex
	found []detected // nil before the first scan
	env   []string
}

// detected is an agent with what is known about it here.
type detected struct {
	preset Preset
	agent  api.Agent
	args   []string
	// env and without are what a person set.
	env, without []string
}

// NewRegistry validates the options and looks at nothing yet.
func NewRegistry(o RegistryOptions) (*Registry, error) {
	if o.Env == nil {
		o.Env = func(context.Context, bool) ([]string, string) { return os.Environ(), "" }
	}
	if o.Presets == nil {
		o.Presets = Presets()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.DemoPath == "" {
		exe, err := os.Executable()
		if err != nil {
			return nil, errors.New("agent registry: the running program's own path is unknown")
		}
		o.DemoPath, o.DemoArgs = exe, []string{"demo-agent"}
	}
	for _, p := range append([]Preset{demo}, o.Presets...) {
		if o.Drivers[p.Driver] == nil {
			return nil, errors.New("agent registry: no driver " + p.Driver + " for " + p.ID)
		}
	}
	return &Registry{o: o, saved: instances{dir: o.Dir}}, nil
}

var demo = Preset{ID: DemoID, Name: "Demo agent", Driver: "acp"}

// List returns every known agent, found or not. The first call and a rescan look
// for programs and run their version commands; concurrent callers share one scan.
func (r *Registry) List(ctx context.Context, rescan bool) ([]api.Agent, error) {
	found, _, err := r.scanned(ctx, rescan)
	if err != nil {
		return nil, err
	}
	agents := make([]api.Agent, len(found))
	for i, d := range found {
		agents[i] = d.agent
	}
	return agents, nil
}

// Resolve returns how to start an agent; see engine.Agents.
func (r *Registry) Resolve(ctx context.Context, agentID string) (Driver, Config, []string, error) {
	found, env, err := r.scanned(ctx, false)
	if err != nil {
		return nil, Config{}, nil, err
	}
	i := slices.IndexFunc(found, func(d detected) bool { return d.agent.ID == agentID })
	if i < 0 {
		return nil, Config{}, nil, &api.Error{Code: api.CodeAgentNotFound, Message: "There is no agent named " + agentID + ".", Hint: "Choose another agent."}
	}
	d := found[i]
	if d.agent.Path == "" {
		if e := d.agent.Error; e != nil && d.agent.State == "failed" {
			return nil, Config{}, nil, &api.Error{Code: api.CodeAgentNotFound, Message: e.Message, Hint: e.Hint, Details: e.Details}
		}
		return nil, Config{}, nil, &api.Error{Code: api.CodeAgentNotFound, Message: d.agent.Name + " is not installed here.",
			Hint: "Install it, then look for agents again: " + d.preset.Install}
	}
	return r.o.Drivers[d.preset.Driver], Config{
		ID: d.agent.ID, Name: d.agent.Name, Version: d.agent.Version, Path: d.agent.Path, Args: d.args, Env: d.env, Prepare: d.preset.Prepare, SignIn: d.preset.SignIn,
	}, slices.Clone(without(env, d.without)), nil
}

func (r *Registry) scanned(ctx context.Context, rescan bool) ([]detected, []string, error) {
	r.mu.Lock()
	found, env := r.found, r.env
	r.mu.Unlock()
	if found != nil && !rescan {
		return found, env, nil
	}
	// The scan belongs to all who wait for it, so it does not end with one of them.
	scan := r.flight.DoChan("scan", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), scanTimeout)
		defer cancel()
		r.scan(ctx, rescan)
		return nil, nil
	})
	select {
	case <-scan:
	case <-ctx.Done():
		return nil, nil, &api.Error{Code: api.CodeTimeout, Message: "Looking for agents takes longer than expected.", Hint: "Try again in a moment.", Retryable: true}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.found, r.env, nil
}

func (r *Registry) scan(ctx context.Context, fresh bool) {
	env, warning := r.o.Env(ctx, fresh)
	if warning != "" {
		r.o.Log.Warn("login environment", "warning", warning)
	}
	path, _ := proc.EnvValue(env, "PATH")
	dirs := searchable(path, foreignMounts(env))
	wanted, values := r.wanted()
	found := make([]detected, 1+len(wanted))
	found[0] = detected{preset: demo, args: r.o.DemoArgs, agent: api.Agent{ID: demo.ID, Name: demo.Name, Driver: demo.Driver, State: "found", Path: r.o.DemoPath}}
	var group errgroup.Group
	group.SetLimit(scanAtOnce)
	for i, in := range wanted {
		group.Go(func() error {
			found[i+1] = r.detect(ctx, in, instanceEnv(in.AgentInstance, values), dirs, env, warning)
			return nil
		})
	}
	_ = group.Wait() // detect tells its errors in its result
	r.mu.Lock()
	r.found, r.env = found, env
	r.mu.Unlock()
}
