// Package claude drives Claude Code in its stream-json mode: one long-lived
// process per agent.Session, one JSON message a line both ways, with control
// requests among them. It translates what the agent says into agent.Event and
// keeps nothing of it; package engine calls it through agent.Driver.
//
// The control protocol is only half documented; what is known of it was observed
// with version 2.1.330. Invariants: decoding is lenient; whatever asks the person
// becomes an approval and is never dropped; the only session id that is resumed
// is that of system/init; the process and everything it started are gone when
// Close returns nil.
package claude

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/agent/jsonl"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/agent/rpc"
	"catamaran/internal/api"
)

// openTimeout bounds the whole of Open where ctx allows more: initialize has been
// measured at 0.4 to 1.3 s and is known to take 60 s on a cold machine.
const openTimeout = 90 * time.Second

// Driver opens Claude Code sessions.
type Driver struct {
	log          *slog.Logger
	writeTimeout time.Duration
}

// New returns a driver; log gets garbage lines and unknown messages, never their secrets.
func New(log *slog.Logger) *Driver {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Driver{log: log, writeTimeout: rpc.WriteTimeout}
}

var _ agent.Driver = (*Driver)(nil)

// modes are Claude Code's names of the permission modes.
var modes = map[api.PermissionMode]string{
	api.PermissionSupervised:  "default",
	api.PermissionAcceptEdits: "acceptEdits",
	api.PermissionFull:        bypassMode,
}

const bypassMode = "bypassPermissions"

const planMode = "plan"

// launch is how the agent is started this time.
type launch struct {
	resume, mode, model, effort string
}

func (l launch) args(fresh string) []string {
	args := []string{"-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose",
		"--permission-prompt-tool", "stdio", "--include-partial-messages", "--permission-mode", l.mode}
	for _, o := range [][2]string{{"--model", l.model}, {"--effort", l.effort}} {
		if o[1] != "" && !strings.HasPrefix(o[1], "-") {
			args = append(args, o[0], o[1])
		}
	}
	if l.resume != "" {
		return append(args, "--resume", l.resume)
	}
	return append(args, "--session-id", fresh)
}

// Open starts the agent and opens or resumes a session; see agent.Driver. The agent
// tells what it refuses by ending at once, so Open may start it up to three times:
// without a session it does not know, and without a mode it refuses (it does not
// bypass permissions as root), which the driver then makes up for.
func (d *Driver) Open(ctx context.Context, o agent.OpenOptions) (agent.Session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, openTimeout, errors.New("the agent did not answer in time"))
	defer cancel()
	l := launch{resume: o.Resume, mode: modes[o.Permission], model: o.Settings.Model, effort: o.Settings.Effort}
	if l.mode == "" {
		l.mode = modes[api.PermissionSupervised]
	}
	if strings.HasPrefix(l.resume, "-") {
		l.resume = "" // would be read as an option
	}
	for {
		s, ended, err := d.start(ctx, o, l)
		switch {
		case err == nil:
			return s, nil
		case ended && l.mode == bypassMode && refusedMode(err.Details):
			l.mode = modes[api.PermissionSupervised]
		case ended && l.resume != "" && forgotten(err.Details):
			d.log.Info("agent does not know the session any more", "agent", o.Agent.ID)
			l.resume = ""
		default:
			return nil, err
		}
	}
}

// refusedMode recognises what Claude Code writes on stderr when it may not go
// without permissions.
func refusedMode(stderr string) bool {
	stderr = strings.ToLower(stderr)
	return strings.Contains(stderr, "skip-permissions") || strings.Contains(stderr, "bypass")
}

// forgotten recognises what Claude Code writes on stderr when it cannot resume.
func forgotten(stderr string) bool {
	stderr = strings.ToLower(stderr)
	return strings.Contains(stderr, "no conversation found") || strings.Contains(stderr, "--resume")
}

// start makes one attempt; ended reports that the agent ended by itself.
func (d *Driver) start(ctx context.Context, o agent.OpenOptions, l launch) (opened *session, ended bool, failure *api.Error) {
	var random [20]byte
	_, _ = rand.Read(random[:]) // never fails
	fresh, nonce := uuid([16]byte(random[:16])), hex.EncodeToString(random[16:])
	o.Agent.Args = slices.Concat(o.Agent.Args, l.args(fresh))
	s := &session{o: o, t: newTranslator(nonce), mode: l.mode}
	conn, err := rpc.Start(rpc.Options{Open: o, Dialect: dialect, WriteTimeout: d.writeTimeout, Handle: s.handle, Log: d.log})
	if err != nil {
		return nil, false, api.AsError(err)
	}
	s.Conn, s.questions = conn, rpc.NewQuestions(conn, nonce)
	go s.Run()
	var in struct {
		Version string `json:"claude_code_version"`
	}
	if err := s.Call(ctx, "initialize", object{"hooks": nil}, &in); err != nil {
		ended := errors.Is(err, jsonl.ErrClosed)
		return nil, ended, s.Abandon(ctx, err)
	}
	if l.resume != "" && l.model == "" {
		s.ownModel(ctx)
	}
	s.mu.Lock()
	s.info = agent.SessionInfo{Resume: lenient.Or(l.resume, fresh), Resumed: l.resume != "", PID: s.PID(), Version: in.Version, Steer: true}
	s.mu.Unlock()
	if o.Permission == api.PermissionFull && l.mode != bypassMode {
		s.emit(agent.Event{Kind: agent.KindNotice, ID: "notice:" + nonce + "-mode", Level: "info",
			Append: o.Agent.Name + " refuses its own mode without permissions here, as it does for root. This app allows what it asks for instead."})
	}
	return s, false, nil
}

func uuid(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// session is one agent process with one conversation in it.
type session struct {
	*rpc.Conn
	o         agent.OpenOptions
	mode      string // the agent was started in it
	questions *rpc.Questions

	// sinkMu makes the sink's calls one after the other; it also guards t.
	sinkMu sync.Mutex
	t      *translator

	mu   sync.Mutex
	info agent.SessionInfo
	turn chan result // capacity 1; nil between turns
	owed int         // results of turns nobody waits for any more
	// waits are the messages of the running turn that no result has told of: what is sent
	// while the agent answers may become a turn of its own for it.
	waits       map[string]bool
	in, out     int64 // tokens of results that were not the turn's last
	interrupted bool
	interrupts  int
	planning    bool // the agent is in its plan mode
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

// Prompt runs one turn.
func (s *session) Prompt(ctx context.Context, in agent.Input) (agent.StopReason, error) {
	s.mu.Lock()
	if s.turn != nil {
		s.mu.Unlock()
		return "", &api.Error{Code: api.CodeConflict, Message: "A turn is already running in this session."}
	}
	turn := make(chan result, 1)
	s.turn, s.interrupted, s.waits, s.in, s.out = turn, false, map[string]bool{}, 0, 0
	s.mu.Unlock()
	s.sinkMu.Lock()
	s.t.newTurn()
	s.sinkMu.Unlock()

	err := s.setPlanning(ctx, in.Settings.Plan)
	if err == nil {
		err = s.send(ctx, in)
	}
	sent := err == nil
	var r result
	if sent {
		r, err = s.await(ctx, turn)
	}
	s.mu.Lock()
	s.turn = nil
	interrupted := s.interrupted
	if err != nil && sent {
		s.owed++
	}
	s.mu.Unlock()
	s.endTurn(r)
	if err != nil {
		return "", s.Failure(ctx, "failed", err)
	}
	return s.outcome(r, interrupted)
}

// await waits for the turn's result. What was sent before the connection ended has
// been handled by the time it has.
func (s *session) await(ctx context.Context, turn chan result) (result, error) {
	select {
	case r := <-turn:
		return r, nil
	case <-ctx.Done():
		return result{}, context.Cause(ctx)
	case <-s.PeerDone():
	}
	select {
	case r := <-turn:
		return r, nil
	default:
		return result{}, s.PeerErr()
	}
}

// outcome is what a turn's result means.
func (s *session) outcome(r result, interrupted bool) (agent.StopReason, error) {
	switch {
	case strings.HasPrefix(r.Terminal, "aborted") || interrupted && r.failed():
		return agent.StopCancelled, nil
	case r.failed() && r.signIn:
		return "", s.SignInNeeded(r.text())
	case r.failed():
		return "", &api.Error{Code: api.CodeAgentFailed, Message: s.o.Agent.Name + " failed: " + lenient.Or(r.text(), lenient.Or(r.Subtype, "it gave no reason")),
			Hint: "See the details; the agent's own settings or account may be the reason.", Retryable: true, Details: s.Details("")}
	case r.Stop == "refusal":
		return agent.StopRefusal, nil
	case r.Stop == "max_tokens":
		return agent.StopMaxTokens, nil
	}
	return agent.StopEndTurn, nil
}

// endTurn settles what the agent left open.
func (s *session) endTurn(r result) {
	left := s.questions.Settle()
	s.sinkMu.Lock()
	defer s.sinkMu.Unlock()
	for _, id := range left {
		s.emitLocked(agent.Event{Kind: agent.KindApprovalResolved, ID: id})
	}
	s.emitLocked(s.t.settle(r)...)
}

// Interrupt asks the agent to end the turn and answers what it has asked as
// cancelled. It does not wait for the agent's receipt.
func (s *session) Interrupt(ctx context.Context) error {
	s.mu.Lock()
	s.interrupted = true
	s.interrupts++
	id := fmt.Sprintf("interrupt-%d", s.interrupts)
	s.mu.Unlock()
	// What was sent to the turn while it ran ends with it.
	err := s.Notify(ctx, "control_request", controlRequest(id, "interrupt", object{"cancel_queued": true}))
	s.questions.Cancel()
	if err != nil {
		return s.Failure(ctx, "could not be interrupted", err)
	}
	return nil
}

// Answer answers an approval. Cancelled ends the turn.
func (s *session) Answer(approvalID, optionID string) error {
	return s.questions.Answer(approvalID, optionID)
}
