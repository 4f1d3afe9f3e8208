package environment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/proc"
	"catamaran/internal/stage"
)

// localLauncher starts the native backend.
func localLauncher(path, home string) launcher {
	return func(_ context.Context, o launchOptions) (placed, error) {
		o.progress(api.EnvStarting, "starting the backend")
		env := os.Environ()
		if home != "" {
			env = append(env, "CATAMARAN_HOME="+home)
		}
		p, err := proc.Start(proc.Spec{Name: "backend", Path: path, Args: []string{"serve", "--stdio"}, Env: env, Stderr: o.stderr})
		if err != nil {
			e := &api.Error{Code: api.CodeBackendExited, Message: "the backend could not be started", Details: err.Error(), Retryable: true}
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
				e.Code, e.Retryable, e.Hint = api.CodeNotFound, false, "The installation is incomplete; install Catamaran again."
			}
			return placed{}, e
		}
		return placed{process: p, out: p.Stdout(), explain: func(_ []byte, hello bool) *api.Error { return explainExit(p, hello) }}, nil
	}
}

func explainExit(p *proc.Process, hello bool) *api.Error {
	how := fmt.Sprintf("with exit code %d", p.ExitCode())
	if s := p.Signal(); s != "" {
		how = "by the signal " + s
	}
	when := "before it answered"
	if hello {
		when = "while it was running"
	}
	return &api.Error{Code: api.CodeBackendExited, Message: "the backend ended " + how + " " + when,
		Hint: "It is started again; if that keeps happening look at its log.", Retryable: true, Details: p.StderrTail()}
}

// distros is what this package needs of a wsl.Client.
type distros interface {
	Discover(ctx context.Context) api.WSL
	Resolve(ctx context.Context, name string) (api.Distro, error)
	Launch(d api.Distro, argv []string, stderr io.Writer) (*proc.Process, error)
	ExitError(p *proc.Process, output []byte) *api.Error
	Shutdown(ctx context.Context) error
}

// exitKilled is what wsl.exe ends with when its program was killed by SIGKILL, as
// the kernel does when memory runs out: the bare signal, not 128 more.
const exitKilled = 9

// wakingUp begins the stage in which wsl.exe was called and nothing has come back yet.
const wakingUp = "waking up "

// wslLauncher resolves the distro, pins it for this run, and puts the backend in
// place with the same call that then becomes it.
//
// Distro starts are serialised (W3.4): a VM that boots is asked by one at a time.
// One that takes longer than bound may hang, and must not keep the others out.
func wslLauncher(w distros, carried *stage.Carried, distro string, gate chan struct{}, bound time.Duration) launcher {
	return func(ctx context.Context, o launchOptions) (placed, error) {
		o.progress(api.EnvResolving, "looking for the distro")
		d, err := w.Resolve(ctx, distro)
		if err != nil {
			return placed{}, err
		}
		o.pinned(d.Name)
		if carried == nil {
			return placed{}, &api.Error{Code: api.CodeStageFailed, Message: "this installation carries no backend for WSL", Hint: "Install Catamaran again."}
		}
		select {
		case gate <- struct{}{}:
			defer func() { <-gate }()
		default:
			o.progress(api.EnvStaging, "waiting for another distro's start")
			patience := time.NewTimer(bound)
			defer patience.Stop()
			select {
			case gate <- struct{}{}:
				defer func() { <-gate }()
			case <-patience.C:
			case <-ctx.Done():
				return placed{}, context.Cause(ctx)
			}
		}
		o.progress(api.EnvStaging, wakingUp+d.Name)
		p, err := w.Launch(d, carried.Argv(o.force), o.stderr)
		if err != nil {
			return placed{}, err
		}
		at := placed{process: p, out: p.Stdout()}
		at.explain = func(output []byte, hello bool) *api.Error {
			if hello && p.ExitCode() == exitKilled {
				return &api.Error{Code: api.CodeBackendExited, Message: "the backend in " + d.Name + " was killed while it was running; most likely the distro ran out of memory",
					Hint: "It is started again. If that keeps happening give WSL more memory (`memory=` in .wslconfig), or close programs in the distro.", Retryable: true, Details: p.StderrTail()}
			}
			e := w.ExitError(p, output)
			if e == nil {
				return explainExit(p, hello)
			}
			if hello && e.Code == api.CodeBackendExited {
				e.Message = d.Name + " or its backend ended while it was running: " + e.Message
				e.Retryable = true
			}
			return e
		}
		place, err := carried.Negotiate(ctx, p.Stdin(), p.Stdout(), o.noise, func(words string) {
			if strings.HasPrefix(words, "copying") {
				words += " into " + d.Name
			}
			o.progress(api.EnvStaging, words)
		})
		if err != nil {
			return at, err
		}
		at.out, at.digest, at.staged = place.Rest, place.Digest, place.Staged
		return at, nil
	}
}
