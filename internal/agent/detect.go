package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/proc"
)

// wanted is an agent to look for: a known one, perhaps with settings, or one of a person's own.
type wanted struct {
	preset Preset
	api.AgentInstance
}

// wanted lists what to look for: known agents first, then more of them and others.
func (r *Registry) wanted() ([]wanted, secrets) {
	r.saved.mu.Lock()
	saved, values, err := r.saved.load()
	r.saved.mu.Unlock()
	if err != nil {
		r.o.Log.Error("settings of agents", "error", err)
	}
	var all []wanted
	for _, p := range r.o.Presets {
		w := wanted{p, api.AgentInstance{ID: p.ID, Base: p.ID, Name: p.Name}}
		if i := slices.IndexFunc(saved, func(in api.AgentInstance) bool { return in.ID == p.ID }); i >= 0 {
			w.AgentInstance = saved[i]
		}
		all = append(all, w)
	}
	own := Preset{Name: "Agent", Driver: "acp"}
	for _, in := range saved {
		p := own
		if i := slices.IndexFunc(r.o.Presets, func(p Preset) bool { return p.ID == in.Base }); i >= 0 {
			if p = r.o.Presets[i]; p.ID == in.ID {
				continue
			}
		}
		all = append(all, wanted{p, in})
	}
	for i := range all {
		if all[i].Name == "" {
			all[i].Name = all[i].preset.Name
		}
	}
	return slices.DeleteFunc(all, func(w wanted) bool { return w.Disabled }), values
}

// Instances lists what people set for agents, without secrets.
func (r *Registry) Instances() ([]api.AgentInstance, error) { return r.saved.list() }

// SaveInstance keeps settings of an agent; the next look for agents has them.
func (r *Registry) SaveInstance(in api.AgentInstance) (api.AgentInstance, error) {
	saved, err := r.saved.save(in, r.o.Presets)
	if err == nil {
		r.stale()
	}
	return saved, err
}

// RemoveInstance drops settings of an agent, secrets included.
func (r *Registry) RemoveInstance(id string) error {
	err := r.saved.remove(id)
	if err == nil {
		r.stale()
	}
	return err
}

// stale has agents looked for again when they are wanted next.
func (r *Registry) stale() {
	r.mu.Lock()
	r.found = nil
	r.mu.Unlock()
}

// detect looks for one agent, its version, and whether somebody is signed in.
func (r *Registry) detect(ctx context.Context, w wanted, own, dirs, env []string, warning string) detected {
	p := w.preset
	d := detected{preset: p, args: slices.Concat(p.Args, w.Args), env: own, without: w.Without, agent: api.Agent{
		ID: w.ID, Name: w.Name, Base: w.Base, Driver: p.Driver, State: "missing", Install: p.Install, SignIn: p.SignIn}}
	program := p.Program
	if w.Path != "" {
		program = expanded(strings.TrimSpace(w.Path), env)
	}
	if filepath.IsAbs(program) {
		d.agent.Path = lookupFile(program, foreignMounts(env))
	} else {
		d.agent.Path = lookup(program, dirs, foreignMounts(env))
	}
	switch {
	case d.agent.Path == "" && w.Path != "":
		d.agent.State = "failed"
		d.agent.Error = &api.Error{Code: api.CodeAgentNotFound, Message: "There is no program " + w.Path + " that can be run here.", Hint: "Correct the path in the agent's settings."}
		return d
	case d.agent.Path == "":
		d.agent.Searched = dirs
		d.agent.Foreign = lookupForeign(p.Program, env)
		if warning != "" {
			d.agent.Error = &api.Error{Code: api.CodeUnavailable, Message: warning, Hint: "Repair the start-up file, then look for agents again."}
		}
		return d
	}
	d.agent.State = "found"
	if len(p.VersionArgs) == 0 {
		return d
	}
	env = slices.Concat(without(env, w.Without), own)
	version, err := r.version(ctx, p, d.agent.Path, env)
	if err != nil {
		d.agent.State, d.agent.Error = "failed", err
		return d
	}
	d.agent.Version = version
	if p.ArgsSince != "" && olderThan(version, p.ArgsSince) {
		d.args = slices.Concat(p.OldArgs, w.Args)
	}
	d.agent.SignedIn = r.signedIn(ctx, p, d.agent.Path, env)
	return d
}

// expanded resolves a leading "~/".
func expanded(path string, env []string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	home, has := proc.EnvValue(env, "HOME")
	if !has {
		home, _ = os.UserHomeDir()
	}
	if !ok || home == "" {
		return path
	}
	return filepath.Join(home, rest)
}

// lookupFile is the program at a path, "" where there is none to be run here.
func lookupFile(path string, foreign []string) string {
	return lookup(filepath.Base(path), []string{filepath.Dir(path)}, foreign)
}

// signedIn asks the agent's own program: "yes", "no", or "" where it does not tell.
func (r *Registry) signedIn(ctx context.Context, p Preset, path string, env []string) string {
	if len(p.StatusArgs) == 0 {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	result, err := proc.Run(ctx, proc.Spec{Name: p.ID + " sign-in", Path: path, Args: p.StatusArgs, Env: env, Guard: true}, nil, versionOutput)
	switch {
	case err != nil:
		r.o.Log.Info("sign-in of agent not known", "agent", p.ID, "error", err)
		return ""
	case result.ExitCode == 0:
		return "yes"
	case result.ExitCode == 1:
		return "no"
	}
	return ""
}

func (r *Registry) version(ctx context.Context, p Preset, path string, env []string) (string, *api.Error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	result, err := proc.Run(ctx, proc.Spec{Name: p.ID + " version", Path: path, Args: p.VersionArgs, Env: env, Guard: true}, nil, versionOutput)
	version := firstVersion(proc.Text(result.Stdout))
	switch {
	case err != nil:
		r.o.Log.Info("version of agent not known", "agent", p.ID, "error", err)
		message := p.Name + " could not be asked for its version."
		if errors.Is(err, context.DeadlineExceeded) {
			message = p.Name + " did not tell its version in time."
		}
		return "", &api.Error{Code: api.CodeAgentFailed, Message: message, Hint: "Run it in a terminal to see what is wrong, then look for agents again.", Details: err.Error()}
	case result.ExitCode != 0:
		return "", &api.Error{Code: api.CodeAgentFailed, Message: p.Name + " ended with an error when it was asked for its version.",
			Hint: "Run it in a terminal to see what is wrong, then look for agents again.", Details: result.Stderr}
	}
	return version, nil
}
