package codex

import (
	"context"
	"encoding/json"
	"errors"

	"catamaran/internal/agent"
	"catamaran/internal/agent/jsonl"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/agent/rpc"
	"catamaran/internal/api"
	"catamaran/internal/proc"
)

// turn is a running turn. Its end may be told before the goroutine that started
// it has seen its id. Guarded by session.mu, but for the channels.
type turn struct {
	id          string
	known       chan struct{} // closed when id is known or the start failed
	started     bool
	early       []completion
	ended       bool
	end         chan completion // capacity 1
	interrupted bool
	over        chan struct{} // closed when Prompt returns
}

// completion is the content of turn/completed.
type completion struct {
	id, status string
	err        json.RawMessage
}

// complete takes turn/completed.
func (s *session) complete(params json.RawMessage) {
	f := lenient.Fields(lenient.Fields(params)["turn"])
	c := completion{id: lenient.Text(f["id"]), status: lenient.Text(f["status"]), err: f["error"]}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch t := s.turn; {
	case t == nil:
	case !t.started:
		t.early = append(t.early, c)
	default:
		t.offer(c)
	}
}

// offer ends the turn if c is of it; an id that is missing on either side is taken
// for the same. session.mu must be held.
func (t *turn) offer(c completion) {
	if t.ended || (c.id != "" && t.id != "" && c.id != t.id) {
		return
	}
	t.ended = true
	t.end <- c
}

// Prompt runs one turn.
func (s *session) Prompt(ctx context.Context, in agent.Input) (agent.StopReason, error) {
	t := &turn{known: make(chan struct{}), end: make(chan completion, 1), over: make(chan struct{})}
	s.mu.Lock()
	if s.turn != nil {
		s.mu.Unlock()
		return "", &api.Error{Code: api.CodeConflict, Message: "A turn is already running in this session."}
	}
	s.turn = t
	thread := s.thread
	s.mu.Unlock()
	s.sinkMu.Lock()
	s.t.newTurn()
	s.sinkMu.Unlock()

	c, err := s.runTurn(ctx, t, thread, in)

	s.mu.Lock()
	s.turn = nil
	interrupted := t.interrupted
	close(t.over)
	s.mu.Unlock()
	s.endTurn()
	var answer *jsonl.Error
	switch {
	case err != nil && interrupted && errors.As(err, &answer):
		s.Log.Info("codex answered a cancelled turn with an error", "error", err)
		return agent.StopCancelled, nil
	case err != nil:
		return "", s.Failure(ctx, "failed", err)
	case c.status == "interrupted", c.status == "failed" && interrupted:
		return agent.StopCancelled, nil
	case c.status == "failed":
		return "", s.turnError(c.err)
	}
	return agent.StopEndTurn, nil
}

func (s *session) runTurn(ctx context.Context, t *turn, thread string, in agent.Input) (completion, error) {
	var r struct {
		Turn struct {
			ID string `json:"id"`
		} `json:"turn"`
	}
	params, err := s.settings(ctx, in.Settings)
	if err != nil {
		close(t.known)
		return completion{}, err
	}
	params["threadId"], params["input"] = thread, input(in)
	err = s.call(ctx, "turn/start", params, &r)
	s.mu.Lock()
	t.id, t.started = r.Turn.ID, err == nil
	for _, c := range t.early {
		t.offer(c)
	}
	t.early = nil
	s.mu.Unlock()
	close(t.known)
	if err != nil {
		return completion{}, err
	}
	select {
	case c := <-t.end:
		return c, nil
	case <-ctx.Done():
		return completion{}, context.Cause(ctx)
	case <-s.PeerDone():
		select {
		case c := <-t.end: // it ended the turn before it ended itself
			return c, nil
		default:
			return completion{}, s.PeerErr()
		}
	}
}

// input is what a person sent, in Codex's words.
func input(in agent.Input) []object {
	var parts []object
	if in.Text != "" {
		parts = append(parts, object{"type": "text", "text": in.Text})
	}
	for _, img := range in.Images {
		parts = append(parts, object{"type": "localImage", "path": img.Path})
	}
	return parts
}

// Steer hands a message to the running turn.
func (s *session) Steer(ctx context.Context, in agent.Input) error {
	s.mu.Lock()
	t, thread := s.turn, s.thread
	s.mu.Unlock()
	if t == nil {
		return rpc.NoSteer()
	}
	select {
	case <-t.known:
	case <-t.over:
		return rpc.NoSteer()
	case <-ctx.Done():
		return s.Failure(ctx, "did not take the message", context.Cause(ctx))
	}
	s.mu.Lock()
	id, ended := t.id, t.ended || !t.started || t.interrupted
	s.mu.Unlock()
	if ended {
		return rpc.NoSteer()
	}
	err := s.call(ctx, "turn/steer", object{"threadId": thread, "expectedTurnId": id, "input": input(in)}, nil)
	var answer *jsonl.Error
	if errors.As(err, &answer) && answer.Code != overloaded {
		s.Log.Info("codex refused a message for the running turn", "error", err)
		return rpc.NoSteer()
	}
	if err != nil {
		return s.Failure(ctx, "did not take the message", err)
	}
	return nil
}

// endTurn settles what Codex left open.
func (s *session) endTurn() {
	left := s.questions.Settle()
	s.sinkMu.Lock()
	defer s.sinkMu.Unlock()
	for _, id := range left {
		s.emitLocked(agent.Event{Kind: agent.KindApprovalResolved, ID: id})
	}
	s.emitLocked(s.t.settle()...)
}

// Interrupt answers what Codex has asked as cancelled and asks it to end the turn.
// It returns when Codex has answered, when the turn has ended, or with ctx.
func (s *session) Interrupt(ctx context.Context) error {
	s.mu.Lock()
	t := s.turn
	if t == nil {
		s.mu.Unlock()
		return nil
	}
	t.interrupted = true
	thread := s.thread
	s.mu.Unlock()
	s.questions.Cancel()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case <-t.known:
	case <-t.over:
		return nil
	case <-ctx.Done():
		return s.Failure(ctx, "could not be interrupted", context.Cause(ctx))
	}
	s.mu.Lock()
	id, ended := t.id, t.ended || !t.started
	s.mu.Unlock()
	if ended {
		return nil
	}
	called := make(chan error, 1)
	go func() { called <- s.call(ctx, "turn/interrupt", object{"threadId": thread, "turnId": id}, nil) }()
	var err error
	select {
	case err = <-called:
	case <-t.over:
		cancel()
		<-called
		return nil
	}
	var answer *jsonl.Error
	switch {
	case err == nil:
	case errors.As(err, &answer):
		// A cancelled question may have ended the turn already.
		s.Log.Info("codex refused an interrupt", "error", err)
	default:
		return s.Failure(ctx, "could not be interrupted", err)
	}
	return nil
}

// hints say what to do about Codex's kinds of errors.
var hints = map[string]string{
	"contextWindowExceeded": "The conversation no longer fits the model: start a new thread.",
	"sessionBudgetExceeded": "The session's budget is used up: start a new thread or raise the limit.",
	"usageLimitExceeded":    "The account's usage limit is reached: wait until it resets or use another account.",
	"rateLimitExceeded":     "Wait a moment, then send the message again.",
	"serverOverloaded":      "Wait a moment, then send the message again.",
	"modelNotFound":         "Choose another model in Codex's configuration.",
	"sandboxError":          "Codex's sandbox does not work here; see the details.",
}

// turnError turns the error of a failed turn into one for people.
func (s *session) turnError(raw json.RawMessage) *api.Error {
	f := lenient.Fields(raw)
	kind := lenient.Text(f["codexErrorInfo"])
	for k := range lenient.Fields(f["codexErrorInfo"]) {
		kind = k
	}
	message := proc.Text([]byte(lenient.Or(lenient.Text(f["message"]), "the turn failed without a reason.")))
	details := lenient.Text(f["additionalDetails"])
	if kind == "unauthorized" {
		return s.SignInNeeded(message)
	}
	hint := lenient.Or(hints[kind], "See the details; Codex's own settings or account may be the reason.")
	return &api.Error{Code: api.CodeAgentFailed, Message: s.o.Agent.Name + " failed: " + message, Hint: hint, Retryable: true, Details: s.Details(details)}
}
