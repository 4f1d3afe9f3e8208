package acp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/agent/rpc"
	"catamaran/internal/api"
)

// commandsTimeout is how long the list of slash commands is awaited: agents send it right
// after a session was made, or never.
const commandsTimeout = 2 * time.Second

// Reply answers a question.
func (s *session) Reply(questionID string, answers []api.QuestionAnswerPart) error {
	return s.questions.Reply(questionID, answers)
}

// Takes reports whether the session can go on with other settings: every prompt chooses.
func (s *session) Takes(agent.Settings) bool { return true }

// Steer hands a message to the running turn, which ACP has no way for.
func (s *session) Steer(context.Context, agent.Input) error { return rpc.NoSteer() }

// blocks are the content blocks of a prompt.
func (s *session) blocks(in agent.Input) ([]object, error) {
	s.mu.Lock()
	pictures := s.pictures
	s.mu.Unlock()
	var blocks []object
	for _, img := range in.Images {
		if !pictures {
			s.emit(agent.Event{Kind: agent.KindNotice, ID: "notice:" + s.t.nonce + "-pictures", Level: "warning",
				Append: s.o.Agent.Name + " takes no pictures: those of this message were left out."})
			break
		}
		b, err := os.ReadFile(img.Path)
		if err != nil {
			return nil, &api.Error{Code: api.CodeNotFound, Message: "The picture " + img.Name + " could not be read.", Hint: "Add it to the message again.", Details: err.Error()}
		}
		blocks = append(blocks, object{"type": "image", "mimeType": img.Mime, "data": base64.StdEncoding.EncodeToString(b)})
	}
	if in.Text != "" || len(blocks) == 0 {
		blocks = append(blocks, object{"type": "text", "text": in.Text})
	}
	return blocks, nil
}

// Options asks the agent what it offers, for which a session must be made: the protocol
// tells it no earlier. The session is closed again where the agent can.
func (d *Driver) Options(ctx context.Context, o agent.OpenOptions) (api.AgentOptions, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.openTimeout, errors.New("the agent did not answer in time"))
	defer cancel()
	s, err := d.start(ctx, o)
	if err != nil {
		return api.AgentOptions{}, err
	}
	return s.Offers(ctx, s.options)
}

func (s *session) options(ctx context.Context) (api.AgentOptions, error) {
	in, err := s.initialize(ctx)
	if err != nil {
		return api.AgentOptions{}, err
	}
	op, err := s.create(ctx)
	if err != nil {
		return api.AgentOptions{}, err
	}
	o := op.read().options()
	o.Version, o.Images = lenient.Or(in.AgentInfo.Version, s.o.Agent.Version), in.AgentCapabilities.PromptCapabilities.Image
	late := time.NewTimer(commandsTimeout)
	defer late.Stop()
	select {
	case o.Commands = <-s.commands:
	case <-late.C:
	case <-s.PeerDone():
	case <-ctx.Done():
	}
	if offered(in.AgentCapabilities.SessionCapabilities.Close) {
		if err := s.Call(ctx, "session/close", object{"sessionId": op.SessionID}, nil); err != nil {
			s.Log.Info("session not closed", "error", err)
		}
	}
	return o, nil
}

func (c choices) options() api.AgentOptions {
	o := api.AgentOptions{DefaultModel: c.model.current, DefaultEffort: c.effort.current, Plan: c.mode.planMode() != ""}
	for _, v := range c.model.values {
		o.Models = append(o.Models, api.AgentModel{ID: v.id, Name: v.name, Description: v.description})
	}
	for _, v := range c.effort.values {
		o.Efforts = append(o.Efforts, v.id)
	}
	return o
}

// heard keeps the newest list of slash commands.
func (s *session) heard(raw json.RawMessage) {
	var list []api.AgentCommand
	for _, e := range lenient.List(raw) {
		f := lenient.Fields(e)
		if name := lenient.Text(f["name"]); name != "" {
			list = append(list, api.AgentCommand{Name: name, Description: lenient.Text(f["description"]), Hint: lenient.Text(lenient.Fields(f["input"])["hint"])})
		}
	}
	select {
	case <-s.commands:
	default:
	}
	s.commands <- list // there is room: only the reading goroutine writes
}
