// Package rpc is what drivers of agents that speak JSON-RPC, or a dialect of it,
// on their standard streams share: one agent process with its connection, the
// errors its failures become for people, and the questions it waits on
// (Questions). It knows no protocol's methods; the drivers embed it.
//
// Invariants: the process runs under a guard and is gone, with everything it
// started, when Close returns nil; an agent whose streams have ended or that
// stopped reading is ended too.
package rpc

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
	"catamaran/internal/proc"
)

const (
	// WriteTimeout is how long an agent may leave its stdin unread.
	WriteTimeout = 10 * time.Second
	// exitGrace is how long the exit code is awaited once the streams have ended.
	exitGrace = 3 * time.Second
	// abandonTimeout bounds the end of a process whose session could not be opened.
	abandonTimeout = 10 * time.Second
)

// ladder is the order agents like best: most end at once when stdin ends, Gemini
// CLI ignores SIGTERM for 4 s.
var ladder = proc.Ladder{CloseStdin: time.Second, Terminate: 2 * time.Second, Kill: 5 * time.Second}

// Nonce is for ids that must differ from those of earlier processes of a session.
func Nonce() string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}

// Options describe the process and its protocol.
type Options struct {
	Open agent.OpenOptions
	// Bare leaves out the "jsonrpc" member.
	Bare bool
	// Dialect is how the agent words its messages; nil means JSON-RPC.
	Dialect *jsonl.Dialect
	// WriteTimeout is how long the agent may leave its stdin unread; 0 means WriteTimeout.
	WriteTimeout time.Duration
	// Handle gets the agent's calls and notifications, see jsonl.Options.
	Handle func(jsonl.Message)
	// SignIn reports whether an error answer means that the person must sign in. May be nil.
	SignIn func(*jsonl.Error) bool
	Log    *slog.Logger
}

// Conn is one agent process and the connection to it. Its methods are safe for
// concurrent use.
type Conn struct {
	Log  *slog.Logger // with the agent's id and pid
	o    Options
	p    *proc.Process
	peer *jsonl.Peer
	done chan struct{}

	mu      sync.Mutex
	closing bool
	err     error
}

// Start starts the agent's process. Nothing is read before Run, which must follow.
// Errors are *api.Error.
func Start(o Options) (*Conn, error) {
	if !filepath.IsAbs(o.Open.Dir) || o.Open.Sink == nil {
		return nil, &api.Error{Code: api.CodeInvalid, Message: "An agent needs an absolute working directory and a sink."}
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = WriteTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := o.Open.Agent
	env := slices.Concat(o.Open.Env, a.Env)
	p, err := proc.Start(proc.Spec{Name: "agent " + a.ID, Path: a.Path, Args: a.Args, Dir: o.Open.Dir, Env: env, Guard: true})
	if err != nil {
		return nil, &api.Error{Code: api.CodeAgentFailed, Message: a.Name + " could not be started.",
			Hint: "Check that its program is still installed, then look for agents again.", Details: err.Error()}
	}
	c := &Conn{Log: o.Log.With("agent", a.ID, "pid", p.PID()), o: o, p: p, done: make(chan struct{})}
	c.peer, err = jsonl.New(jsonl.Options{
		Reader: p.Stdout(), Writer: p.Stdin(), Bare: o.Bare, Dialect: o.Dialect, WriteTimeout: o.WriteTimeout, Handle: o.Handle,
		Garbage: func(line []byte, reason error) {
			c.Log.Warn("agent wrote a line that is no message", "line", proc.Text(line), "reason", reason)
		},
	})
	if err != nil {
		p.Kill()
		return nil, err
	}
	return c, nil
}

// Run reads until the streams end, then sees the process off. It may be called once.
func (c *Conn) Run() {
	err := c.peer.Run(context.Background())
	if err != nil {
		c.Log.Warn("connection to the agent failed", "error", err)
	}
	// An agent whose streams have ended or that stopped reading is of no use any more.
	if stopErr := c.p.Stop(context.Background(), ladder); stopErr != nil {
		c.Log.Error("agent could not be ended", "error", stopErr)
	}
	c.mu.Lock()
	if !c.closing {
		c.err = c.exitError(err)
	}
	c.mu.Unlock()
	close(c.done)
}

// exitError tells how the process ended.
func (c *Conn) exitError(cause error) *api.Error {
	name := c.o.Open.Agent.Name
	e := &api.Error{Code: api.CodeAgentFailed, Retryable: true, Details: c.p.StderrTail(), Hint: "Send the message again; the agent is started anew."}
	switch {
	case errors.Is(cause, jsonl.ErrWriteTimeout):
		e.Message = name + " stopped reading and was ended."
	case c.p.Signal() != "":
		e.Message = fmt.Sprintf("%s was ended by a signal (%s).", name, c.p.Signal())
	default:
		e.Message = fmt.Sprintf("%s ended with exit code %d.", name, c.p.ExitCode())
	}
	return e
}

// Failure turns the error of a call into one for people; what completes "Agent ...".
func (c *Conn) Failure(ctx context.Context, what string, err error) *api.Error {
	var known *api.Error
	var answer *jsonl.Error
	name := c.o.Open.Agent.Name
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &answer) && c.o.SignIn != nil && c.o.SignIn(answer):
		return c.SignInNeeded(answer.Message)
	case errors.As(err, &answer):
		return &api.Error{Code: api.CodeAgentFailed, Message: fmt.Sprintf("%s %s: %s", name, what, proc.Text([]byte(answer.Message))),
			Hint: "See the details; the agent's own settings or account may be the reason.", Retryable: true, Details: c.Details(string(answer.Data))}
	case errors.Is(err, jsonl.ErrClosed):
		// The streams end a moment before the process is reaped.
		timer := time.NewTimer(exitGrace)
		defer timer.Stop()
		select {
		case <-c.done:
			if e := api.AsError(c.Err()); e != nil {
				return e
			}
		case <-timer.C:
		}
		if errors.Is(err, jsonl.ErrWriteTimeout) {
			return &api.Error{Code: api.CodeAgentFailed, Message: name + " stopped reading and was ended.", Retryable: true, Details: c.p.StderrTail()}
		}
		return &api.Error{Code: api.CodeAgentFailed, Message: name + " closed its connection.", Retryable: true, Details: c.p.StderrTail()}
	case errors.Is(context.Cause(ctx), context.Canceled):
		return &api.Error{Code: api.CodeCancelled, Message: name + " " + what + ": cancelled.", Details: c.p.StderrTail()}
	case ctx.Err() != nil:
		return &api.Error{Code: api.CodeAgentFailed, Message: name + " did not answer in time.", Retryable: true, Details: c.p.StderrTail()}
	}
	return &api.Error{Code: api.CodeAgentFailed, Message: fmt.Sprintf("%s %s: %v", name, what, err), Details: c.p.StderrTail()}
}

// Details are what the agent said, bounded, and the tail of its stderr.
func (c *Conn) Details(said string) string {
	const most = 4 << 10
	said = proc.Text([]byte(said[:min(len(said), most)]))
	tail := c.p.StderrTail()
	if said != "" && tail != "" {
		said += "\n"
	}
	return said + tail
}

// SignInNeeded is the error that tells how to sign in.
func (c *Conn) SignInNeeded(details string) *api.Error {
	a := c.o.Open.Agent
	e := &api.Error{Code: api.CodeAgentSignIn, Message: a.Name + " is not signed in.", Details: c.Details(details)}
	if a.SignIn != "" {
		e.Hint = "Run this in a terminal, then try again: " + a.SignIn
	} else {
		e.Hint = "Sign in with the agent's own program in a terminal, then try again."
	}
	return e
}

// PID is the agent's process id.
func (c *Conn) PID() int { return c.p.PID() }

// Done is closed when the process has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// PeerDone is closed when the connection has ended, a moment before Done; until
// then everything that was sent before has been handled.
func (c *Conn) PeerDone() <-chan struct{} { return c.peer.Done() }

// PeerErr tells why the connection ended, as an error that wraps jsonl.ErrClosed.
func (c *Conn) PeerErr() error {
	if err := c.peer.Err(); errors.Is(err, jsonl.ErrWriteTimeout) {
		return fmt.Errorf("%w: %w", jsonl.ErrClosed, err)
	}
	return jsonl.ErrClosed
}

// Err tells why the process ended, nil after Close.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the process by the ladder; see agent.Session.
func (c *Conn) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	id := c.o.Open.Agent.ID
	if err := c.p.Stop(ctx, ladder); err != nil {
		return fmt.Errorf("close %s: %w", id, err)
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close %s: its events are still being taken: %w", id, context.Cause(ctx))
	}
}

// End closes a connection that has done its work, within a bounded time beyond ctx.
func (c *Conn) End(ctx context.Context) error {
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
	defer cancel()
	return c.Close(stop)
}

// Abandon ends the process of a session that could not be opened and returns the
// reason for people. It outlives ctx by a bounded time.
func (c *Conn) Abandon(ctx context.Context, reason error) *api.Error {
	failure := c.Failure(ctx, "could not open a session", reason)
	if err := c.End(ctx); err != nil {
		c.Log.Error("agent could not be ended", "error", err)
	}
	return failure
}

// Offers asks an agent that was started for nothing else what it offers, and ends it. An
// error of ask's is for people.
func (c *Conn) Offers(ctx context.Context, ask func(context.Context) (api.AgentOptions, error)) (api.AgentOptions, error) {
	options, err := ask(ctx)
	if err != nil {
		return options, c.Abandon(ctx, err)
	}
	if err := c.End(ctx); err != nil {
		c.Log.Error("agent could not be ended", "error", err)
	}
	return options, nil
}

// Call is a call whose answer is decoded leniently into out, which may be nil.
func (c *Conn) Call(ctx context.Context, method string, params, out any) error {
	raw, err := c.peer.Call(ctx, method, params)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		// What could be decoded is kept: one mistyped field must not make the agent unusable.
		c.Log.Warn("agent's answer has an unexpected shape", "method", method, "error", err)
	}
	return nil
}

// Notify sends a notification.
func (c *Conn) Notify(ctx context.Context, method string, params any) error {
	return c.peer.Notify(ctx, method, params)
}

// Respond answers a call of the agent; that it could not be delivered is logged.
func (c *Conn) Respond(id json.RawMessage, result any) {
	if err := c.peer.Respond(id, result); err != nil {
		c.Log.Warn("answer not delivered", "error", err)
	}
}

// Refuse answers a call whose method is not known.
func (c *Conn) Refuse(m jsonl.Message) {
	c.Log.Info("unknown request refused", "method", proc.Text([]byte(m.Method)))
	if err := c.peer.RespondError(m.ID, jsonl.CodeMethodNotFound, "method not found: "+m.Method); err != nil {
		c.Log.Warn("answer not delivered", "error", err)
	}
}
