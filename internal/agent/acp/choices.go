package acp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"catamaran/internal/agent"
	"catamaran/internal/agent/jsonl"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
	"catamaran/internal/proc"
)

// choicesJSON is what an agent says of a session's choices: by configOptions, or by the
// earlier modes and models.
type choicesJSON struct {
	Modes         json.RawMessage `json:"modes"`
	Models        json.RawMessage `json:"models"`
	ConfigOptions json.RawMessage `json:"configOptions"`
}

// settings are the values chosen.
type settings struct{ mode, model, effort string }

// choice is one of them: what it can be, and is. option is the id of the config option,
// "" where the earlier method sets it.
type choice struct {
	option, current string
	values          []value
}

type value struct{ id, name, description string }

func (c choice) has(id string) bool {
	return slices.ContainsFunc(c.values, func(v value) bool { return v.id == id })
}

type choices struct{ mode, model, effort choice }

func (c choices) chosen() settings {
	return settings{c.mode.current, c.model.current, c.effort.current}
}

func (j choicesJSON) read() choices {
	var c choices
	c.readOptions(j.ConfigOptions)
	if f := lenient.Fields(j.Modes); len(c.mode.values) == 0 && f != nil {
		c.mode = choice{current: lenient.Text(f["currentModeId"]), values: values(f["availableModes"], "id")}
	}
	if f := lenient.Fields(j.Models); len(c.model.values) == 0 && f != nil {
		c.model = choice{current: lenient.Text(f["currentModelId"]), values: values(f["availableModels"], "modelId")}
	}
	return c
}

// readOptions takes config options, all of them at every change.
func (c *choices) readOptions(raw json.RawMessage) {
	found := choices{}
	for _, e := range lenient.List(raw) {
		f := lenient.Fields(e)
		id, category := lenient.Text(f["id"]), lenient.Text(f["category"])
		o := choice{option: id, current: lenient.Text(f["currentValue"]), values: values(f["options"], "value")}
		if len(o.values) == 0 || id == "" {
			continue
		}
		switch to := &found; {
		case (category == "mode" || category == "" && id == "mode") && to.mode.option == "":
			to.mode = o
		case (category == "model" || category == "" && id == "model") && to.model.option == "":
			to.model = o
		case (category == "thought_level" || category == "" && (id == "thought_level" || id == "effort" || id == "reasoning_effort")) && to.effort.option == "":
			to.effort = o
		}
	}
	if raw != nil {
		*c = found
	}
}

// values reads the values of a choice, grouped or not.
func values(raw json.RawMessage, idName string) []value {
	var out []value
	for _, e := range lenient.List(raw) {
		f := lenient.Fields(e)
		if f["options"] != nil {
			out = append(out, values(f["options"], idName)...)
			continue
		}
		v := value{id: lenient.Text(f[idName]), description: lenient.Text(f["description"])}
		if v.name = lenient.Or(lenient.Text(f["name"]), v.id); v.id != "" {
			out = append(out, v)
		}
	}
	return out
}

// modeNames are the ids that agents use for our three permission modes, in the
// order they are tried: Gemini CLI and the demo agent, Claude's adapter, Codex's adapter.
var modeNames = map[api.PermissionMode][]string{
	api.PermissionSupervised:  {"default", "ask", "manual", "read-only"},
	api.PermissionAcceptEdits: {"autoEdit", "auto-edit", "auto_edit", "acceptEdits", "accept-edits", "workspace-write", "default"},
	api.PermissionFull:        {"yolo", "bypassPermissions", "agent-full-access", "full-access"},
}

// planMode is the id of an agent's mode for planning, "" where it has none.
func (c choice) planMode() string {
	for _, v := range c.values {
		if id := strings.ToLower(v.id); id == "plan" || id == "planning" || id == "plan-mode" {
			return v.id
		}
	}
	return ""
}

// wanted are the values that settings and a permission mode come to; own are those of
// the session as it was opened, for what is not chosen.
func (c choices) wanted(to agent.Settings, mode api.PermissionMode, own settings) (settings, error) {
	w := settings{mode: own.mode, model: lenient.Or(to.Model, own.model), effort: lenient.Or(to.Effort, own.effort)}
	plan := c.mode.planMode()
	if plan != "" && w.mode == plan {
		// A conversation that was left while it planned goes on in an ordinary mode.
		w.mode = ""
		for _, v := range c.mode.values {
			if v.id != plan && w.mode == "" {
				w.mode = v.id
			}
		}
	}
	for _, name := range modeNames[mode] {
		if c.mode.has(name) {
			w.mode = name
			break
		}
	}
	if to.Plan {
		if w.mode = plan; plan == "" {
			return w, errors.New("it has no plan mode")
		}
	}
	if to.Model != "" && !c.model.has(to.Model) {
		return w, fmt.Errorf("it does not offer the model %s", to.Model)
	}
	if !c.effort.has(w.effort) {
		w.effort = "" // another model may have other efforts, or none
	}
	return w, nil
}

// choose makes the agent's own mode, model and effort match. Agents start in modes that
// do not ask, so a mode that is refused is told to the person.
func (s *session) choose(ctx context.Context, to agent.Settings) error {
	s.mu.Lock()
	c, own := s.choices, s.own
	s.mu.Unlock()
	w, err := c.wanted(to, s.o.Permission, own)
	if err != nil {
		return &api.Error{Code: api.CodeAgentFailed, Message: "Not with " + s.o.Agent.Name + ": " + err.Error() + ".", Hint: "Choose another one."}
	}
	if err := s.set(ctx, c.model, "session/set_model", "modelId", w.model); err != nil {
		return s.refused(err, "model", w.model)
	}
	s.mu.Lock()
	c = s.choices // another model may bring other efforts
	s.mu.Unlock()
	if to.Effort != "" && c.effort.has(to.Effort) {
		w.effort = to.Effort
	}
	if c.effort.has(w.effort) {
		if err := s.set(ctx, c.effort, "", "", w.effort); err != nil {
			return s.refused(err, "effort", w.effort)
		}
	}
	err = s.set(ctx, c.mode, "session/set_mode", "modeId", w.mode)
	var answer *jsonl.Error
	if !errors.As(err, &answer) || to.Plan {
		return err
	}
	s.Log.Warn("agent refused a mode", "mode", w.mode, "error", err)
	if s.o.Permission != api.PermissionFull {
		s.emit(agent.Event{Kind: agent.KindNotice, ID: "notice:" + s.t.nonce + "-mode", Level: "warning",
			Append: fmt.Sprintf("%s refused its mode %q and stays in %q: it may act without asking.", s.o.Agent.Name, w.mode, c.mode.current)})
	}
	return nil
}

func (s *session) refused(err error, what, value string) error {
	var answer *jsonl.Error
	if errors.As(err, &answer) {
		return &api.Error{Code: api.CodeAgentFailed, Message: fmt.Sprintf("%s does not take the %s %s: %s", s.o.Agent.Name, what, value, proc.Text([]byte(answer.Message))), Hint: "Choose another one."}
	}
	return err
}

// set sets one choice where it is not what is wanted.
func (s *session) set(ctx context.Context, c choice, method, name, value string) error {
	if value == "" || value == c.current || len(c.values) == 0 {
		return nil
	}
	s.mu.Lock()
	id := s.id
	s.mu.Unlock()
	if c.option == "" {
		if err := s.Call(ctx, method, object{"sessionId": id, name: value}, nil); err != nil {
			return err
		}
		s.took(method, value)
		return nil
	}
	var now choicesJSON
	if err := s.Call(ctx, "session/set_config_option", object{"sessionId": id, "configId": c.option, "value": value}, &now); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.choices.readOptions(now.ConfigOptions)
	for _, o := range []*choice{&s.choices.mode, &s.choices.model, &s.choices.effort} {
		if o.option == c.option {
			o.current = value
		}
	}
	return nil
}

func (s *session) took(method, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if method == "session/set_mode" {
		s.choices.mode.current = value
	} else {
		s.choices.model.current = value
	}
}

// changed takes what the agent says of its choices by itself; it is told when the agent
// begins to plan or ends that.
func (s *session) changed(u map[string]json.RawMessage) {
	s.mu.Lock()
	plan := s.choices.mode.planMode()
	was := s.choices.mode.current == plan
	switch lenient.Text(u["sessionUpdate"]) {
	case "current_mode_update":
		s.choices.mode.current = lenient.Or(lenient.Text(u["currentModeId"]), s.choices.mode.current)
	case "config_option_update":
		s.choices.readOptions(u["configOptions"])
	}
	is := s.choices.mode.current == plan
	tell := plan != "" && was != is && s.prompting
	s.mu.Unlock()
	if tell {
		s.emit(agent.Event{Kind: agent.KindMode, ID: "mode", Planning: is})
	}
}
