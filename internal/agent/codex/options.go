package codex

import (
	"context"
	"encoding/json"
	"errors"

	"catamaran/internal/agent"
	"catamaran/internal/agent/jsonl"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
)

// pagesMost bounds the pages of a list that are asked for.
const pagesMost = 10

// Reply answers a question.
func (s *session) Reply(questionID string, answers []api.QuestionAnswerPart) error {
	return s.questions.Reply(questionID, answers)
}

// Options asks Codex for its models; nobody need be signed in. No thread is started.
func (d *Driver) Options(ctx context.Context, o agent.OpenOptions) (api.AgentOptions, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, openTimeout, errors.New("the agent did not answer in time"))
	defer cancel()
	s := &session{o: o, firstWait: d.firstWait, t: newTranslator("options", o.Dir)}
	if err := s.start(d); err != nil {
		return api.AgentOptions{}, err
	}
	return s.Offers(ctx, s.options)
}

func (s *session) options(ctx context.Context) (api.AgentOptions, error) {
	in, err := s.initialize(ctx)
	if err != nil {
		return api.AgentOptions{}, err
	}
	o, err := s.offered(ctx)
	o.Version, o.Images, o.Steer, o.Sessions = orVersion(in.UserAgent, s.o.Agent.Version), true, true, true
	if err != nil {
		return o, err
	}
	raw, err := s.list(ctx, "collaborationMode/list", object{})
	if err != nil {
		return o, err
	}
	for _, e := range lenient.List(raw["data"]) {
		o.Plan = o.Plan || lenient.Text(lenient.Fields(e)["mode"]) == "plan"
	}
	return o, nil
}

// offered are the models, and which one is taken unasked.
func (s *session) offered(ctx context.Context) (o api.AgentOptions, err error) {
	cursor := ""
	for range pagesMost {
		params := object{}
		if cursor != "" {
			params["cursor"] = cursor
		}
		raw, err := s.list(ctx, "model/list", params)
		if err != nil {
			return o, err
		}
		for _, e := range lenient.List(raw["data"]) {
			m, isDefault, ok := model(e)
			if !ok {
				continue
			}
			o.Models = append(o.Models, m)
			if isDefault {
				o.DefaultModel = m.ID
			}
		}
		if cursor = lenient.Text(raw["nextCursor"]); cursor == "" {
			break
		}
	}
	// What the person's own configuration names comes before Codex's recommendation.
	raw, err := s.list(ctx, "config/read", object{"includeLayers": false, "cwd": s.o.Dir})
	if err != nil {
		return o, err
	}
	config := lenient.Fields(raw["config"])
	o.DefaultModel = lenient.Or(lenient.Text(config["model"]), o.DefaultModel)
	o.DefaultEffort = lenient.Text(config["model_reasoning_effort"])
	return o, nil
}

// list is a call whose refusal is an empty answer: an older Codex has not all of them.
func (s *session) list(ctx context.Context, method string, params object) (map[string]json.RawMessage, error) {
	var raw json.RawMessage
	err := s.call(ctx, method, params, &raw)
	var answer *jsonl.Error
	if errors.As(err, &answer) && answer.Code != overloaded {
		s.Log.Info("codex does not tell", "method", method, "error", err)
		return nil, nil
	}
	return lenient.Fields(raw), err
}

// model translates an entry of model/list; hidden ones are left out.
func model(raw json.RawMessage) (m api.AgentModel, isDefault, ok bool) {
	f := lenient.Fields(raw)
	m = api.AgentModel{
		ID: lenient.Or(lenient.Text(f["model"]), lenient.Text(f["id"])), Description: lenient.Text(f["description"]),
		DefaultEffort: lenient.Text(f["defaultReasoningEffort"]),
	}
	m.Name = lenient.Or(lenient.Text(f["displayName"]), m.ID)
	for _, e := range lenient.List(f["supportedReasoningEfforts"]) {
		if s := lenient.Or(lenient.Text(lenient.Fields(e)["reasoningEffort"]), lenient.Text(e)); s != "" {
			m.Efforts = append(m.Efforts, s)
		}
	}
	return m, lenient.True(f["isDefault"]), m.ID != "" && !lenient.True(f["hidden"])
}
