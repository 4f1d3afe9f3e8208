package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/auth"
	"catamaran/internal/build"
	"catamaran/internal/engine"
	"catamaran/internal/file"
	"catamaran/internal/home"
	"catamaran/internal/job"
	"catamaran/internal/review"
	"catamaran/internal/server"
	"catamaran/internal/settings"
	"catamaran/internal/term"
)

// maxDrain bounds the end, so that the process is gone 5 s after its owner
// (W4.4), whatever still runs.
const maxDrain = 4500 * time.Millisecond

// state is what a backend reads before it can say hello.
type state struct {
	dir      string // the backend's half of the state folder
	userHome string
	identity *auth.Identity
}

func loadState() (state, error) {
	userHome, err := os.UserHomeDir()
	if err != nil {
		userHome = ""
	}
	dir, err := home.Dir(runtime.GOOS, os.Getenv, userHome)
	if err != nil {
		return state{}, unusable(err)
	}
	dir = home.Backend(dir)
	id, err := auth.LoadIdentity(dir)
	if err != nil {
		return state{}, unusable(err)
	}
	return state{dir: dir, userHome: userHome, identity: id}, nil
}

func unusable(err error) error {
	return &api.Error{
		Code:    api.CodeUnavailable,
		Message: "The state folder cannot be used: " + err.Error() + ".",
		Hint:    "Make it writable and check that the disk is not full, or set CATAMARAN_HOME to another folder.",
	}
}

// backend is everything that runs behind a door.
type backend struct {
	state  state
	log    *slog.Logger
	closer io.Closer // of the log
	engine *engine.Engine
	server *server.Server
	files  *file.Files
	review *review.Desk
	jobs   *job.Jobs
	codes  *auth.Codes
	// terminals end with the engine.
	terminals *term.Manager

	http *http.Server
	// listening ends when the HTTP server has stopped taking connections.
	listening sync.WaitGroup
}

// options of newBackend.
type options struct {
	name     string // the environment's name
	logLevel string
	codeLife time.Duration
	forward  map[string]string // variables for agents
	// forwardWins names those that replace the environment's own.
	forwardWins []string
	handler     func(*server.Server) http.Handler
}

// newBackend wires a backend and starts nothing.
func newBackend(st state, o options) (*backend, error) {
	b := &backend{state: st, codes: auth.NewCodes(o.codeLife)}
	var err error
	if b.log, b.closer, err = openLog(st.dir, o.logLevel, o.forward); err != nil {
		return nil, unusable(err)
	}
	// Libraries and auth.WriteError log here too; stderr is for what ends the program.
	slog.SetDefault(b.log)
	t, err := newTools(st, b.log, o)
	if err != nil {
		return nil, err
	}
	b.files = t.files
	env := func(ctx context.Context) ([]string, error) {
		environ, _ := t.env.Env(ctx, false)
		return environ, nil
	}
	k, err := newDesk(st, b.log, env)
	if err != nil {
		return nil, err
	}
	b.jobs = k.jobs
	b.engine, err = engine.New(engine.Options{
		DataDir: st.dir, Log: b.log, Agents: t.agents, Checkpoints: k.checkpoints, Worktrees: k.trees, Git: gitState,
		Phase:   func(p api.Phase, reason *api.Error) { b.server.SetPhase(p, reason) },
		Deleted: func(ctx context.Context, project, thread string) { b.terminals.Forget(ctx, project, thread) },
	})
	if err != nil {
		return nil, err
	}
	if b.terminals, err = newTerminals(st, b.log, t.env, b.engine.Folder); err != nil {
		return nil, err
	}
	b.review, err = review.New(review.Options{Engine: b.engine, Checkpoints: k.checkpoints, Trees: k.trees, Jobs: k.jobs, Env: env, Log: b.log})
	if err != nil {
		return nil, err
	}
	b.server, err = server.New(server.Options{
		Engine: b.engine, Identity: st.identity, Codes: b.codes, Log: b.log, Doctor: t.doctor, Files: t.files, Review: b.review, Distro: os.Getenv("WSL_DISTRO_NAME"), Settings: settings.New(st.dir),
		Terminals: b.terminals,
		Descriptor: api.Descriptor{
			Name: o.name, OS: runtime.GOOS, Arch: runtime.GOARCH, Version: build.Version,
			Home: st.userHome, Data: st.dir, Started: started.UnixMilli(), PID: os.Getpid(),
		},
	})
	if err != nil {
		return nil, err
	}
	b.http = &http.Server{
		Handler: o.handler(b.server), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
	}
	return b, nil
}

var started = time.Now()

// serve takes connections from l in the background.
func (b *backend) serve(l net.Listener) {
	b.listening.Go(func() {
		if err := b.http.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			b.log.Info("no more connections", "err", err.Error())
		}
	})
}

// run runs the engine until ctx ends, then drains: agents first, then whoever
// still listens hears of the end. It takes no longer than drain.
func (b *backend) run(ctx context.Context, drain time.Duration) error {
	done := make(chan error, 1)
	go func() {
		err := b.engine.Run(ctx)
		if err != nil && ctx.Err() == nil {
			// The door stays open, so that the reason can be read.
			b.log.Error("the engine ended", "err", err.Error())
			d, _ := b.server.Descriptor()
			if d.Phase != api.PhaseFailed {
				b.server.SetPhase(api.PhaseFailed, auth.Explain(b.log, err))
			}
			<-ctx.Done()
		}
		done <- err
	}()
	<-ctx.Done()
	late, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	var err error
	shells := make(chan error, 1)
	go func() { shells <- b.terminals.Shutdown(late) }()
	select {
	case <-done:
	case <-late.Done():
		err = fmt.Errorf("the engine did not end within %v", drain)
	}
	if serr := <-shells; serr != nil {
		b.log.Error("end of the terminals", "err", serr.Error())
		if err == nil {
			err = fmt.Errorf("terminals did not end within %v", drain)
		}
	}
	if cerr := b.server.Close(late); cerr != nil && err == nil {
		err = fmt.Errorf("connections did not end within %v", drain)
	}
	b.http.Close()
	b.listening.Wait()
	b.files.Close()
	b.review.Close()
	b.jobs.Close()
	if err != nil {
		b.log.Error("drained too slowly", "err", err.Error())
	}
	b.log.Info("end")
	b.closer.Close()
	return err
}
