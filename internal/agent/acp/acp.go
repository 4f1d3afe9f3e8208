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
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/agent/jsonl"
	"catamaran/internal/api"
	"catamaran/internal/build"
	"catamaran/internal/proc"
)

const (
	// openTimeout bounds the whole of Open where ctx allows more: agents have been
	// measured at 0.5 to 5 s, and take longer on a cold disk.
	openTimeout = 90 * time.Second
	// writeTimeout is how long the agent may leave its stdin unread.
	writeTimeout = 10 * time.Second
	// exitGrace is how long the exit code is awaited once the streams have ended.
	exitGrace = 3 * time.Second
	// flushTimeout is how long the end of a replayed history is awaited.
	flushTimeout = 2 * time.Second
)

// ladder is the order agents like best: most end at once when stdin ends, Gemini
// CLI ignores SIGTERM for 4 s.
var ladder = proc.Ladder{CloseStdin: time.Second, Terminate: 2 * time.Second, Kill: 5 * time.Second}

// authRequired is ACP's error code for "sign in first".
const authRequired = -32000

// Driver opens ACP sessions.
type Driver struct {
	log          *slog.Logger
	writeTimeout time.Duration
}

// New returns a driver; log gets garbage lines and unknown methods, never their secrets.
func New(log *slog.Logger) *Driver {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Driver{log: log, writeTimeout: writeTimeout}
}

var _ agent.Driver = (*Driver)(nil)

// Open starts the agent and opens, resumes or loads a session; see agent.Driver.
func (d *Driver) Open(ctx context.Context, o agent.OpenOptions) (agent.Session, error) {
	if !filepath.IsAbs(o.Dir) || o.Sink == nil {
		return nil, &api.Error{Code: api.CodeInvalid, Message: "An agent needs an absolute working directory and a sink."}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, openTimeout, errors.New("the agent did not answer in time"))
	defer cancel()
	env := slices.Concat(o.Env, o.Agent.Env, o.Agent.ModeEnv[o.Permission])
	p, err := proc.Start(proc.Spec{Name: "agent " + o.Agent.ID, Path: o.Agent.Path, Args: o.Agent.Args, Dir: o.Dir, Env: env, Guard: true})
	if err != nil {
		return nil, &api.Error{Code: api.CodeAgentFailed, Message: o.Agent.Name + " could not be started.",
			Hint: "Check that its program is still installed, then look for agents again.", Details: err.Error()}
	}
	var nonce [4]byte
	_, _ = rand.Read(nonce[:]) // never fails
	s := &session{
		o: o, p: p, log: d.log.With("agent", o.Agent.ID, "pid", p.PID()),
		t: translator{nonce: hex.EncodeToString(nonce[:]), tools: map[string]*toolState{}}, done: make(chan struct{}), replaying: true,
		approvals: map[string]*approval{},
	}
	s.peer, err = jsonl.New(jsonl.Options{
		Reader: p.Stdout(), Writer: p.Stdin(), WriteTimeout: d.writeTimeout, Handle: s.handle,
		Garbage: func(line []byte, reason error) {
			s.log.Warn("agent wrote a line that is no message", "line", proc.Text(line), "reason", reason)
		},
	})
	if err != nil {
		p.Kill()
		return nil, err
	}
	go s.run()
	if err := s.open(ctx); err != nil {
		var failure *api.Error
		if !errors.As(err, &failure) {
			failure = s.failure(ctx, "could not open a session", err)
		}
		stop, cancelStop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancelStop()
		if err := s.Close(stop); err != nil {
			s.log.Error("agent could not be ended", "error", err)
		}
		return nil, failure
	}
	return s, nil
}

// session is one agent process with one ACP session in it.
type session struct {
	o    agent.OpenOptions
	p    *proc.Process
	peer *jsonl.Peer
	log  *slog.Logger
	done chan struct{}

	// sinkMu makes the sink's calls one after the other; it also guards t and replaying.
	sinkMu    sync.Mutex
	t         translator
	replaying bool // history is coming in, or nothing was prompted yet

	mu          sync.Mutex
	id          string
	info        agent.SessionInfo
	prompting   bool
	interrupted bool
	closing     bool
	err         error
	approvals   map[string]*approval
	settled     []string // approvals answered by Interrupt, told at the turn's end
	asked       int
}

// run owns the process: it reads until the streams end, then sees the process off.
func (s *session) run() {
	err := s.peer.Run(context.Background())
	if err != nil {
		s.log.Warn("connection to the agent failed", "error", err)
	}
	// An agent whose streams have ended or that stopped reading is of no use any more.
	if stopErr := s.p.Stop(context.Background(), ladder); stopErr != nil {
		s.log.Error("agent could not be ended", "error", stopErr)
	}
	s.mu.Lock()
	if !s.closing {
		s.err = s.exitError(err)
	}
	s.mu.Unlock()
	close(s.done)
}

// exitError tells how the process ended.
func (s *session) exitError(cause error) *api.Error {
	e := &api.Error{Code: api.CodeAgentFailed, Retryable: true, Details: s.p.StderrTail(), Hint: "Send the message again; the agent is started anew."}
	switch {
	case errors.Is(cause, jsonl.ErrWriteTimeout):
		e.Message = s.o.Agent.Name + " stopped reading and was ended."
	case s.p.Signal() != "":
		e.Message = fmt.Sprintf("%s was ended by a signal (%s).", s.o.Agent.Name, s.p.Signal())
	default:
		e.Message = fmt.Sprintf("%s ended with exit code %d.", s.o.Agent.Name, s.p.ExitCode())
	}
	return e
}

// failure turns an error of a call into one for people.
func (s *session) failure(ctx context.Context, what string, err error) *api.Error {
	var answer *jsonl.Error
	switch {
	case errors.As(err, &answer) && answer.Code == authRequired:
		return s.signIn(answer)
	case errors.As(err, &answer):
		return &api.Error{Code: api.CodeAgentFailed, Message: fmt.Sprintf("%s %s: %s", s.o.Agent.Name, what, proc.Text([]byte(answer.Message))),
			Hint: "See the details; the agent's own settings or account may be the reason.", Retryable: true, Details: joinDetails(string(answer.Data), s.p.StderrTail())}
	case errors.Is(err, jsonl.ErrClosed):
		// The streams end a moment before the process is reaped.
		timer := time.NewTimer(exitGrace)
		defer timer.Stop()
		select {
		case <-s.done:
			if e := api.AsError(s.Err()); e != nil {
				return e
			}
		case <-timer.C:
		}
		if errors.Is(err, jsonl.ErrWriteTimeout) {
			return &api.Error{Code: api.CodeAgentFailed, Message: s.o.Agent.Name + " stopped reading and was ended.", Retryable: true, Details: s.p.StderrTail()}
		}
		return &api.Error{Code: api.CodeAgentFailed, Message: s.o.Agent.Name + " closed its connection.", Retryable: true, Details: s.p.StderrTail()}
	case errors.Is(context.Cause(ctx), context.Canceled):
		return &api.Error{Code: api.CodeCancelled, Message: s.o.Agent.Name + " " + what + ": cancelled.", Details: s.p.StderrTail()}
	case ctx.Err() != nil:
		return &api.Error{Code: api.CodeAgentFailed, Message: s.o.Agent.Name + " did not answer in time.", Retryable: true, Details: s.p.StderrTail()}
	}
	return &api.Error{Code: api.CodeAgentFailed, Message: fmt.Sprintf("%s %s: %v", s.o.Agent.Name, what, err), Details: s.p.StderrTail()}
}

func joinDetails(a, b string) string {
	const most = 4 << 10
	a = proc.Text([]byte(a[:min(len(a), most)]))
	if a != "" && b != "" {
		a += "\n"
	}
	return a + b
}

func (s *session) signIn(answer *jsonl.Error) *api.Error {
	e := &api.Error{Code: api.CodeAgentSignIn, Message: s.o.Agent.Name + " is not signed in.", Details: joinDetails(answer.Message, s.p.StderrTail())}
	if s.o.Agent.SignIn != "" {
		e.Hint = "Run this in a terminal, then try again: " + s.o.Agent.SignIn
	} else {
		e.Hint = "Sign in with the agent's own program in a terminal, then try again."
	}
	return e
}

func (s *session) Done() <-chan struct{} { return s.done }

func (s *session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *session) Info() agent.SessionInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info
}

// Close ends the process by the ladder.
func (s *session) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	if err := s.p.Stop(ctx, ladder); err != nil {
		return fmt.Errorf("close %s: %w", s.o.Agent.ID, err)
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close %s: its events are still being taken: %w", s.o.Agent.ID, context.Cause(ctx))
	}
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

// call is a call whose answer is decoded leniently into out, which may be nil.
func (s *session) call(ctx context.Context, method string, params, out any) error {
	raw, err := s.peer.Call(ctx, method, params)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		// What could be decoded is kept: one mistyped field must not make the agent unusable.
		s.log.Warn("agent's answer has an unexpected shape", "method", method, "error", err)
	}
	return nil
}

var clientInfo = map[string]any{"name": "catamaran", "title": "Catamaran", "version": build.Version}
