// Package codex drives OpenAI's Codex through `codex app-server`: one process and
// one thread per agent.Session. It translates what Codex says into agent.Event and
// keeps nothing of it; package engine calls it through agent.Driver.
//
// What it leans on, seen with Codex 0.169 and its own generated schema:
//   - Messages are JSON-RPC without the "jsonrpc" member, one a line. Nothing but
//     initialize, then the notification initialized, is taken first.
//   - thread/start and thread/resume take the working directory, the approval
//     policy and the sandbox; a thread that was never prompted cannot be resumed.
//   - turn/start answers at once with the turn's id; turn/completed ends the turn
//     (completed, interrupted, failed with an error). Items begin with item/started,
//     grow by deltas, and item/completed is authoritative.
//   - Codex asks by calls of its own; those it offers availableDecisions for take
//     no other answer. serverRequest/resolved says that it waits no longer.
//   - Error -32001 means that it is overloaded and nothing was done.
//   - A new thread with a sandbox that may write marks a Git repository as trusted
//     in the user's config.toml. The user is told when that happened.
//   - With policy untrusted, an approved command still runs in the sandbox unless
//     the model asked to leave it, and in the read-only one it fails where it writes.
//     So turns of the supervised mode run in the one that may write the workspace,
//     while the thread starts read-only; edits are asked for by the policy (ADR 20).
//   - A model, an effort and a collaboration mode that a turn names hold for the turns
//     after it, so a choice that is taken back is undone by naming the thread's own.
//
// Invariants: decoding is lenient; a call that asks a person something is never
// dropped, whatever its shape; notifications of other threads (sub-agents) are
// ignored, their questions are not.
package codex

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/agent/jsonl"
	"catamaran/internal/agent/rpc"
	"catamaran/internal/api"
)

const (
	// openTimeout bounds the whole of Open where ctx allows more; measured at 0.3 to 0.6 s.
	openTimeout = 60 * time.Second
	// overloaded is Codex's error code for "try again later".
	overloaded = -32001
	// retries is how often an overloaded Codex is asked again; with firstWait doubled
	// up to mostWait that is about ten seconds.
	retries   = 6
	firstWait = 250 * time.Millisecond
	mostWait  = 4 * time.Second
)

type object = map[string]any

// Driver opens Codex sessions.
type Driver struct {
	log          *slog.Logger
	writeTimeout time.Duration // 0: rpc.WriteTimeout
	firstWait    time.Duration
}

// New returns a driver; log gets garbage lines and unknown methods, never their secrets.
func New(log *slog.Logger) *Driver {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Driver{log: log, firstWait: firstWait}
}

var _ agent.Driver = (*Driver)(nil)

// Open starts Codex and starts or resumes a thread; see agent.Driver.
func (d *Driver) Open(ctx context.Context, o agent.OpenOptions) (agent.Session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, openTimeout, errors.New("the agent did not answer in time"))
	defer cancel()
	s := &session{o: o, firstWait: d.firstWait, t: newTranslator(rpc.Nonce(), o.Dir)}
	if err := s.start(d); err != nil {
		return nil, err
	}
	if err := s.open(ctx); err != nil {
		return nil, s.Abandon(ctx, err)
	}
	return s, nil
}

func (s *session) start(d *Driver) error {
	conn, err := rpc.Start(rpc.Options{Open: s.o, Bare: true, WriteTimeout: d.writeTimeout, Handle: s.handle, Log: d.log})
	if err != nil {
		return err
	}
	s.Conn, s.questions = conn, rpc.NewQuestions(conn, s.t.nonce)
	go s.Run()
	return nil
}

// session is one Codex process with one thread in it.
type session struct {
	*rpc.Conn
	o         agent.OpenOptions
	questions *rpc.Questions
	firstWait time.Duration

	// sinkMu makes the sink's calls one after the other; it also guards t.
	sinkMu sync.Mutex
	t      *translator

	mu     sync.Mutex
	thread string
	info   agent.SessionInfo
	turn   *turn // the running one
	// own are the thread's model and effort as it was opened, told what its newest turn was given.
	own  agent.Settings
	told *agent.Settings
}

func (s *session) Info() agent.SessionInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info
}

// Answer answers an approval.
func (s *session) Answer(approvalID, optionID string) error {
	return s.questions.Answer(approvalID, optionID)
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

// call is Call that asks an overloaded Codex again, a bounded number of times.
func (s *session) call(ctx context.Context, method string, params, out any) error {
	wait := s.firstWait
	for try := 1; ; try++ {
		err := s.Call(ctx, method, params, out)
		var answer *jsonl.Error
		if !errors.As(err, &answer) || answer.Code != overloaded || try > retries {
			return err
		}
		s.Log.Info("codex is overloaded", "method", method, "try", try)
		timer := time.NewTimer(jittered(wait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(context.Cause(ctx), err)
		case <-s.PeerDone():
			timer.Stop()
			return s.PeerErr()
		}
		wait = min(2*wait, mostWait)
	}
}

// policy is how Codex says a permission mode: for a thread, and the sandbox of its
// turns where that is another one.
type policy struct {
	approval, sandbox string
	turn              object
}

func policyOf(mode api.PermissionMode) policy {
	switch mode {
	case api.PermissionFull:
		return policy{approval: "never", sandbox: "danger-full-access"}
	case api.PermissionAcceptEdits:
		return policy{approval: "on-request", sandbox: "workspace-write"}
	default:
		return policy{approval: "untrusted", sandbox: "read-only", turn: object{"type": "workspaceWrite"}}
	}
}
