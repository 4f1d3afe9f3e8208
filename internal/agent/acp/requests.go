package acp

import (
	"encoding/json"
	"strings"

	"catamaran/internal/agent"
	"catamaran/internal/agent/form"
	"catamaran/internal/agent/jsonl"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
	"catamaran/internal/proc"
)

// handle takes everything the agent sends unasked, in order.
func (s *session) handle(m jsonl.Message) {
	switch {
	case m.ID == nil && m.Method == "session/update":
		s.update(m.Params)
	case m.ID == nil:
		// Vendors add their own notifications with every release.
		s.Log.Debug("notification ignored", "method", proc.Text([]byte(m.Method)))
	case m.Method == "session/request_permission":
		s.ask(m)
	case m.Method == "elicitation/create", m.Method == "session/elicitation":
		s.elicit(m)
	case asksPermission(m.Method):
		s.ask(m)
	default:
		// That includes fs/write_text_file, which OpenCode 1.18 sends after an approved
		// edit though no client capability offers it: it does not wait for the answer
		// and writes the file itself, so a second writer here could only undo what it
		// (or its formatter) wrote.
		s.Refuse(m)
	}
}

// geminiExitPlan begins the ids of the calls by which Gemini CLI asks to leave its plan mode.
const geminiExitPlan = "exit_plan_mode"

func asksPermission(method string) bool {
	method = strings.ToLower(method)
	return strings.Contains(method, "permission") || strings.Contains(method, "approval")
}

func (s *session) update(params json.RawMessage) {
	var p map[string]json.RawMessage
	quick, isText := textChunk(params)
	id := quick.SessionID
	if !isText {
		p = lenient.Fields(params)
		id = lenient.Text(p["sessionId"])
	}
	s.mu.Lock()
	foreign := id != "" && s.id != "" && id != s.id
	s.mu.Unlock()
	if foreign {
		s.Log.Debug("update of another session ignored")
		return
	}
	raw := p["update"]
	if raw == nil {
		raw = params
	}
	if !isText {
		u := lenient.Fields(raw)
		switch lenient.Text(u["sessionUpdate"]) {
		case "available_commands_update":
			s.heard(u["availableCommands"])
			return
		case "current_mode_update", "config_option_update":
			s.changed(u)
			return
		}
	}
	s.sinkMu.Lock()
	defer s.sinkMu.Unlock()
	// What comes before the first prompt is the history of a loaded session, which is
	// in the timeline already.
	if s.replaying {
		return
	}
	if isText {
		s.emitLocked(s.t.chunk(quick.kind(), quick.Update.MessageID, quick.Update.Content.Text)...)
		return
	}
	events := s.t.update(raw)
	s.emitLocked(append(events, s.planned(events)...)...)
}

// planning reports whether the agent is in its plan mode.
func (s *session) planning() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	plan := s.choices.mode.planMode()
	return plan != "" && s.choices.mode.current == plan
}

// planned finds the plans among what an agent does in its plan mode. Called under sinkMu.
func (s *session) planned(events []agent.Event) []agent.Event {
	if !s.planning() {
		return nil
	}
	return s.t.plans(events)
}

// ask passes a request for permission on, or answers it where the mode says so.
func (s *session) ask(m jsonl.Message) {
	p := lenient.Fields(m.Params)
	call := lenient.Fields(p["toolCall"])
	s.sinkMu.Lock()
	defer s.sinkMu.Unlock()
	planning := s.planning()
	if id := lenient.Text(call["toolCallId"]); id != "" {
		events := s.t.asked(id, call)
		s.emitLocked(append(events, s.planned(events)...)...)
	}
	a := s.t.approval(m.Method, p, call)
	if planning && strings.HasPrefix(lenient.Text(call["toolCallId"]), geminiExitPlan) {
		a.Kind = "plan" // Gemini CLI calls it "other"
	}
	if a.Kind == "plan" {
		s.emitLocked(s.t.planText(call)...)
	}
	option := s.automatic(a)
	s.mu.Lock()
	id := ""
	// After an interrupt every question is answered as cancelled, whatever the mode.
	late := s.prompting && s.interrupted
	if !late && option == "" {
		id = s.questions.Add(m.ID, a.Options, outcome)
	}
	s.mu.Unlock()
	switch {
	case late:
		s.Respond(m.ID, outcome(""))
		return
	case option != "":
		s.Respond(m.ID, outcome(option))
		return
	}
	e := agent.Event{Kind: agent.KindApproval, ID: id, Approval: a}
	if t := lenient.Text(call["toolCallId"]); t != "" {
		e.ToolID = toolID(t)
	}
	if m.Method != "session/request_permission" {
		e.Raw = m.Params
	}
	s.emitLocked(e)
}

// elicit asks what the agent wants to know. It is for the person in every mode.
func (s *session) elicit(m jsonl.Message) {
	q, reply := form.Read(m.Params, s.o.Agent.Name)
	e := agent.Event{Kind: agent.KindQuestion, Question: q}
	if t := lenient.Text(lenient.Fields(m.Params)["toolCallId"]); t != "" {
		e.ToolID = toolID(t)
	}
	s.sinkMu.Lock()
	defer s.sinkMu.Unlock()
	s.mu.Lock()
	late := s.prompting && s.interrupted
	if !late {
		e.ID = s.questions.Ask(m.ID, form.Cancelled(), reply)
	}
	s.mu.Unlock()
	if late {
		s.Respond(m.ID, form.Cancelled())
		return
	}
	s.emitLocked(e)
}

// automatic returns the option the permission mode chooses, "" to ask the person.
func (s *session) automatic(a *api.Approval) string {
	if s.planning() {
		return "" // what it asks then is whether to carry the plan out
	}
	switch s.o.Permission {
	case api.PermissionFull:
	case api.PermissionAcceptEdits:
		if a.Kind != "edit" {
			return ""
		}
	default:
		return ""
	}
	for _, kind := range []string{"allow_once", "allow_always"} {
		for _, o := range a.Options {
			if o.Kind == kind {
				return o.ID
			}
		}
	}
	return ""
}

// outcome is the answer to a request for permission; "" means cancelled.
func outcome(option string) any {
	if option == "" {
		return object{"outcome": object{"outcome": "cancelled"}}
	}
	return object{"outcome": object{"outcome": "selected", "optionId": option}}
}

// Answer answers an approval.
func (s *session) Answer(approvalID, optionID string) error {
	return s.questions.Answer(approvalID, optionID)
}
