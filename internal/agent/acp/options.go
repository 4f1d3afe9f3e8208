package acp

import (
	"context"

	"catamaran/internal/agent"
	"catamaran/internal/agent/rpc"
	"catamaran/internal/api"
)

// Reply answers a question.
func (s *session) Reply(questionID string, answers []api.QuestionAnswerPart) error {
	return s.questions.Reply(questionID, answers)
}

// Takes reports whether the session can go on with other settings.
func (s *session) Takes(settings agent.Settings) bool { return settings == s.o.Settings }

// Steer hands a message to the running turn.
func (s *session) Steer(context.Context, agent.Input) error { return rpc.NoSteer() }

// Options asks the agent what it offers.
func (d *Driver) Options(ctx context.Context, o agent.OpenOptions) (api.AgentOptions, error) {
	return api.AgentOptions{Version: o.Agent.Version}, nil
}
