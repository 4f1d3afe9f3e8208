package claude

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/agent/jsonl"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/agent/rpc"
	"catamaran/internal/api"
	"catamaran/internal/proc"
)

// Reply answers a question.
func (s *session) Reply(questionID string, answers []api.QuestionAnswerPart) error {
	return s.questions.Reply(questionID, answers)
}

// Takes reports whether the session can go on with other settings. Another model or
// effort is an argument of the program; the plan mode can be told.
func (s *session) Takes(to agent.Settings) bool {
	return to.Model == s.o.Settings.Model && to.Effort == s.o.Settings.Effort
}

// send writes what a person said.
func (s *session) send(ctx context.Context, in agent.Input) error {
	content, err := blocksOf(in)
	if err != nil {
		return err
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	id := uuid(random)
	s.mu.Lock()
	s.waits[id] = true
	s.mu.Unlock()
	return s.Notify(ctx, "user", object{
		"type": "user", "uuid": id, "parent_tool_use_id": nil, "session_id": "", "message": object{"role": "user", "content": content},
	})
}

// blocksOf are the content blocks of a prompt.
func blocksOf(in agent.Input) ([]object, error) {
	var blocks []object
	for _, img := range in.Images {
		b, err := os.ReadFile(img.Path)
		if err != nil {
			return nil, &api.Error{Code: api.CodeNotFound, Message: "The picture " + img.Name + " could not be read.", Hint: "Add it to the message again.", Details: err.Error()}
		}
		blocks = append(blocks, object{"type": "image", "source": object{"type": "base64", "media_type": img.Mime, "data": base64.StdEncoding.EncodeToString(b)}})
	}
	if in.Text != "" || len(blocks) == 0 {
		blocks = append(blocks, object{"type": "text", "text": in.Text})
	}
	return blocks, nil
}

// Steer hands a message to the running turn: the agent takes it up with its next step,
// or goes on with it where there is none.
func (s *session) Steer(ctx context.Context, in agent.Input) error {
	s.mu.Lock()
	running := s.turn != nil && !s.interrupted && len(s.waits) > 0
	s.mu.Unlock()
	if !running {
		return rpc.NoSteer()
	}
	if err := s.send(ctx, in); err != nil {
		return s.Failure(ctx, "did not take the message", err)
	}
	return nil
}

// setPlanning brings the agent into its plan mode or out of it.
func (s *session) setPlanning(ctx context.Context, on bool) error {
	s.mu.Lock()
	was := s.planning
	s.mu.Unlock()
	if on == was {
		return nil
	}
	mode := s.mode
	if on {
		mode = planMode
	}
	err := s.Call(ctx, "set_permission_mode", object{"mode": mode}, nil)
	var answer *jsonl.Error
	if errors.As(err, &answer) && !on {
		return err // it would go on planning, where work is wanted
	} else if errors.As(err, &answer) {
		s.Log.Warn("agent refused its plan mode", "error", err)
		return &api.Error{Code: api.CodeAgentFailed, Message: s.o.Agent.Name + " has no plan mode here: " + proc.Text([]byte(answer.Message)), Hint: "Turn planning off."}
	} else if err != nil {
		return err
	}
	s.mu.Lock()
	s.planning = on
	s.mu.Unlock()
	return nil
}

// planned takes what the agent says of its mode.
func (s *session) planned(on bool) {
	s.mu.Lock()
	changed := s.planning != on
	s.planning = on
	s.mu.Unlock()
	if changed {
		s.emit(agent.Event{Kind: agent.KindMode, ID: "mode", Planning: on})
	}
}

// ownModelTimeout bounds a look at the settings and a change that the agent may check with its server.
const ownModelTimeout = 5 * time.Second

// ownModel sets a resumed conversation back to the model that the person's settings name:
// the agent keeps the one it had, also one that is not chosen any more.
func (s *session) ownModel(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ownModelTimeout)
	defer cancel()
	var in struct {
		Effective struct {
			Model string `json:"model"`
		} `json:"effective"`
	}
	err := s.Call(ctx, "get_settings", object{}, &in)
	if err == nil {
		err = s.Call(ctx, "set_model", object{"model": lenient.Or(in.Effective.Model, "default")}, nil)
	}
	if err != nil {
		s.Log.Warn("agent keeps the conversation's model", "error", err)
	}
}

// Options asks the agent for its models and commands. No session is made.
func (d *Driver) Options(ctx context.Context, o agent.OpenOptions) (api.AgentOptions, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, openTimeout, errors.New("the agent did not answer in time"))
	defer cancel()
	o.Agent.Args = slices.Concat(o.Agent.Args, launch{mode: modes[api.PermissionSupervised]}.args(""))
	o.Agent.Args = o.Agent.Args[:len(o.Agent.Args)-2] // the id of a session
	s := &session{o: o, t: newTranslator("options")}
	conn, err := rpc.Start(rpc.Options{Open: o, Dialect: dialect, WriteTimeout: d.writeTimeout, Handle: s.handle, Log: d.log})
	if err != nil {
		return api.AgentOptions{}, err
	}
	s.Conn, s.questions = conn, rpc.NewQuestions(conn, "options")
	go s.Run()
	return s.Offers(ctx, func(ctx context.Context) (api.AgentOptions, error) {
		var raw json.RawMessage
		err := s.Call(ctx, "initialize", object{"hooks": nil}, &raw)
		return options(raw), err
	})
}

// options reads the answer to initialize.
func options(raw json.RawMessage) api.AgentOptions {
	f := lenient.Fields(raw)
	o := api.AgentOptions{Version: lenient.Text(f["claude_code_version"]), Plan: true, Images: true, Steer: true, Sessions: true}
	resolved, first := map[string]string{}, ""
	for _, e := range lenient.List(f["models"]) {
		mf := lenient.Fields(e)
		m := api.AgentModel{ID: lenient.Text(mf["value"]), Description: lenient.Text(mf["description"])}
		m.Name = lenient.Or(lenient.Text(mf["displayName"]), m.ID)
		for _, l := range lenient.List(mf["supportedEffortLevels"]) {
			if s := lenient.Text(l); s != "" {
				m.Efforts = append(m.Efforts, s)
			}
		}
		switch m.ID {
		case "":
		case "default": // what is taken unasked, under a name of its own
			first = lenient.Text(mf["resolvedModel"])
		default:
			o.Models = append(o.Models, m)
			if r := lenient.Text(mf["resolvedModel"]); resolved[r] == "" {
				resolved[r] = m.ID
			}
		}
	}
	if first != "" {
		o.DefaultModel = resolved[first]
	}
	for _, e := range lenient.List(f["commands"]) {
		c := lenient.Fields(e)
		if name := lenient.Text(c["name"]); name != "" {
			o.Commands = append(o.Commands, api.AgentCommand{Name: name, Description: lenient.Text(c["description"]), Hint: lenient.Text(c["argumentHint"])})
		}
	}
	return o
}
