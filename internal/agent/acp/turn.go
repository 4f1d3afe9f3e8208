package acp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"catamaran/internal/agent"
	"catamaran/internal/agent/jsonl"
	"catamaran/internal/api"
	"catamaran/internal/proc"
)

type object = map[string]any

type initialized struct {
	ProtocolVersion   json.Number `json:"protocolVersion"`
	AgentCapabilities struct {
		LoadSession        bool `json:"loadSession"`
		PromptCapabilities struct {
			Image bool `json:"image"`
		} `json:"promptCapabilities"`
		SessionCapabilities struct {
			Resume json.RawMessage `json:"resume"`
			Close  json.RawMessage `json:"close"`
		} `json:"sessionCapabilities"`
	} `json:"agentCapabilities"`
	AgentInfo struct {
		Version string `json:"version"`
	} `json:"agentInfo"`
}

type opened struct {
	SessionID string `json:"sessionId"`
	choicesJSON
}

func offered(raw json.RawMessage) bool {
	return len(raw) > 0 && string(raw) != "null" && string(raw) != "false"
}

// initialize begins the conversation.
func (s *session) initialize(ctx context.Context) (in initialized, err error) {
	err = s.Call(ctx, "initialize", object{
		"protocolVersion": 1,
		"clientCapabilities": object{
			"fs": object{"readTextFile": false, "writeTextFile": false}, "terminal": false,
			"elicitation": object{"form": object{}, "url": object{}},
		},
		"clientInfo": clientInfo,
	}, &in)
	if err != nil {
		return in, err
	}
	if v := in.ProtocolVersion.String(); v != "" && v != "1" {
		return in, &api.Error{Code: api.CodeAgentFailed, Message: fmt.Sprintf("%s speaks version %s of the agent protocol; this app speaks version 1.", s.o.Agent.Name, v),
			Hint: "Update the app or install another version of the agent."}
	}
	s.mu.Lock()
	s.info.PID, s.info.Version, s.pictures = s.PID(), in.AgentInfo.Version, in.AgentCapabilities.PromptCapabilities.Image
	s.mu.Unlock()
	return in, nil
}

// create makes a fresh session.
func (s *session) create(ctx context.Context) (op opened, err error) {
	if err := s.Call(ctx, "session/new", object{"cwd": s.o.Dir, "mcpServers": []any{}}, &op); err != nil {
		return op, err
	}
	if op.SessionID == "" {
		return op, &api.Error{Code: api.CodeAgentFailed, Message: s.o.Agent.Name + " opened a session without an id.", Details: s.Details("")}
	}
	return op, nil
}

// open initializes and gets a session.
func (s *session) open(ctx context.Context) error {
	in, err := s.initialize(ctx)
	if err != nil {
		return err
	}
	var op opened
	resumed := false
	if s.o.Resume != "" {
		op, resumed, err = s.resume(ctx, in)
		if err != nil {
			return err
		}
	}
	if !resumed {
		if op, err = s.create(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.id = op.SessionID
	s.info.Resume, s.info.Resumed = op.SessionID, resumed
	s.choices = op.read()
	s.own = s.choices.chosen()
	s.mu.Unlock()
	return s.choose(ctx, s.o.Settings)
}

// resume continues the session of an earlier process: by session/resume where the
// agent has it, because that replays nothing, else by session/load. An agent that
// does not know the session any more is no error.
func (s *session) resume(ctx context.Context, in initialized) (opened, bool, error) {
	method := ""
	switch {
	case offered(in.AgentCapabilities.SessionCapabilities.Resume):
		method = "session/resume"
	case in.AgentCapabilities.LoadSession:
		method = "session/load"
	default:
		return opened{}, false, nil
	}
	var op opened
	err := s.Call(ctx, method, object{"sessionId": s.o.Resume, "cwd": s.o.Dir, "mcpServers": []any{}}, &op)
	var answer *jsonl.Error
	switch {
	case err == nil:
		if method == "session/load" {
			s.flush(ctx)
		}
		op.SessionID = s.o.Resume
		return op, true, nil
	case errors.As(err, &answer) && answer.Code != authRequired:
		s.Log.Info("agent does not know the session any more", "method", method, "error", err, "data", proc.Text(answer.Data[:min(len(answer.Data), 1<<10)]))
		return opened{}, false, nil
	}
	return opened{}, false, err
}

// flush waits for what an agent still sends of a loaded session's history after it
// has answered (Gemini CLI does): a call that every agent answers, with an error,
// comes back behind it.
func (s *session) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	var answer *jsonl.Error
	if err := s.Call(ctx, "_catamaran/flush", object{}, nil); err != nil && !errors.As(err, &answer) {
		s.Log.Info("agent does not answer unknown calls", "error", err)
	}
}

// Prompt runs one turn.
func (s *session) Prompt(ctx context.Context, in agent.Input) (agent.StopReason, error) {
	s.mu.Lock()
	if s.prompting {
		s.mu.Unlock()
		return "", &api.Error{Code: api.CodeConflict, Message: "A turn is already running in this session."}
	}
	s.prompting, s.interrupted = true, false
	id := s.id
	s.mu.Unlock()
	s.sinkMu.Lock()
	s.replaying = false
	s.t.newTurn()
	s.sinkMu.Unlock()

	var r struct {
		StopReason string          `json:"stopReason"`
		Usage      json.RawMessage `json:"usage"`
		Meta       json.RawMessage `json:"_meta"`
	}
	blocks, err := s.blocks(in)
	if err == nil {
		err = s.choose(ctx, in.Settings)
	}
	if err == nil {
		err = s.Call(ctx, "session/prompt", object{"sessionId": id, "prompt": blocks}, &r)
	}

	s.mu.Lock()
	s.prompting = false
	interrupted := s.interrupted
	s.mu.Unlock()
	stop := agent.StopReason(r.StopReason)
	var answer *jsonl.Error
	if err != nil && interrupted && errors.As(err, &answer) {
		// Some agents answer a cancelled turn with the error their own abort raised.
		s.Log.Info("agent answered a cancelled turn with an error", "error", err)
		stop, err = agent.StopCancelled, nil
	}
	if stop == "" {
		stop = agent.StopEndTurn
	}
	s.endTurn(turnUsage(r.Usage, r.Meta))
	if err != nil {
		return "", s.Failure(ctx, "failed", err)
	}
	return stop, nil
}

// endTurn settles what the agent left open.
func (s *session) endTurn(usage *api.Usage) {
	left := s.questions.Settle()
	s.sinkMu.Lock()
	defer s.sinkMu.Unlock()
	for _, id := range left {
		s.emitLocked(agent.Event{Kind: agent.KindApprovalResolved, ID: id})
	}
	s.emitLocked(s.t.settleTools()...)
	if usage != nil {
		s.emitLocked(agent.Event{Kind: agent.KindUsage, ID: "usage", Usage: usage})
	}
}

// Interrupt asks the agent to end the turn and answers what it has asked as cancelled.
func (s *session) Interrupt(ctx context.Context) error {
	s.mu.Lock()
	s.interrupted = true
	id := s.id
	s.mu.Unlock()
	err := s.Notify(ctx, "session/cancel", object{"sessionId": id})
	s.questions.Cancel()
	if err != nil {
		return s.Failure(ctx, "could not be interrupted", err)
	}
	return nil
}
