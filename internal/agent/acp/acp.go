// Package acp drives agents that speak the Agent Client Protocol, version 1: one
// process and one session per agent.Session, JSON-RPC one message a line on its
// standard streams. It translates what the agent says into agent.Event and keeps
// nothing of it; package engine calls it through agent.Driver.
//
// Invariants: decoding is lenient (unknown fields are ignored, missing or
// mistyped ones tolerated); a request for permission is never dropped, whatever
// its shape; the process and everything it started are gone when Close returns nil.
package acp

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/agent/jsonl"
	"catamaran/internal/agent/rpc"
	"catamaran/internal/api"
	"catamaran/internal/build"
)

const (
	// openTimeout bounds the whole of Open where ctx allows more: agents have been
	// measured at 0.5 to 5 s, and take longer on a cold disk.
	openTimeout = 90 * time.Second
	// flushTimeout is how long the end of a replayed history is awaited.
	flushTimeout = 2 * time.Second
)

// authRequired is ACP's error code for "sign in first".
const authRequired = -32000

// Driver opens ACP sessions.
type Driver struct {
	log          *slog.Logger
	writeTimeout time.Duration // 0: rpc.WriteTimeout
	openTimeout  time.Duration
}

// New returns a driver; log gets garbage lines and unknown methods, never their secrets.
func New(log *slog.Logger) *Driver {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Driver{log: log, openTimeout: openTimeout}
}

var _ agent.Driver = (*Driver)(nil)

// Open starts the agent and opens, resumes or loads a session; see agent.Driver.
func (d *Driver) Open(ctx context.Context, o agent.OpenOptions) (agent.Session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.openTimeout, errors.New("the agent did not answer in time"))
	defer cancel()
	s, err := d.start(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := s.open(ctx); err != nil {
		return nil, s.Abandon(ctx, err)
	}
	return s, nil
}

func (d *Driver) start(ctx context.Context, o agent.OpenOptions) (*session, error) {
	if o.Agent.Prepare != nil {
		env, err := o.Agent.Prepare(ctx, o.Agent, o.Dir, o.Env, o.Permission)
		if err != nil {
			return nil, err
		}
		o.Agent.Env = slices.Concat(o.Agent.Env, env)
	}
	nonce := rpc.Nonce()
	s := &session{o: o, t: translator{nonce: nonce, tools: map[string]*toolState{}}, replaying: true, commands: make(chan []api.AgentCommand, 1)}
	conn, err := rpc.Start(rpc.Options{
		Open: o, WriteTimeout: d.writeTimeout, Handle: s.handle, Log: d.log,
		SignIn: func(e *jsonl.Error) bool { return e.Code == authRequired },
	})
	if err != nil {
		return nil, err
	}
	s.Conn, s.questions = conn, rpc.NewQuestions(conn, nonce)
	go s.Run()
	return s, nil
}

// session is one agent process with one ACP session in it.
type session struct {
	*rpc.Conn
	o         agent.OpenOptions
	questions *rpc.Questions

	// sinkMu makes the sink's calls one after the other; it also guards t and replaying.
	sinkMu    sync.Mutex
	t         translator
	replaying bool // history is coming in, or nothing was prompted yet

	mu          sync.Mutex
	id          string
	info        agent.SessionInfo
	prompting   bool
	interrupted bool
	pictures    bool     // the agent takes them
	choices     choices  // what can be chosen, and is
	own         settings // what was chosen when the session was opened

	// commands has the newest list of slash commands.
	commands chan []api.AgentCommand
}

func (s *session) Info() agent.SessionInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info
}

// emit hands events on; sinkMu must not be held.
func (s *session) emit(events ...agent.Event) {
	s.sinkMu.Lock()
	defer s.sinkMu.Unlock()
	s.emitLocked(events...)
}

func (s *session) emitLocked(events ...agent.Event) {
	for _, e := range events {
		s.o.Sink(e)
	}
}

var clientInfo = map[string]any{"name": "catamaran", "title": "Catamaran", "version": build.Version}
