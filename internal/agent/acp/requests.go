package acp

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"catamaran/internal/agent"
	"catamaran/internal/agent/jsonl"
	"catamaran/internal/api"
	"catamaran/internal/proc"
)

// approval is a question the agent waits on.
type approval struct {
	request json.RawMessage // the call's id
	options []api.ApprovalOption
}

// handle takes everything the agent sends unasked, in order.
func (s *session) handle(m jsonl.Message) {
	switch {
	case m.ID == nil && m.Method == "session/update":
		s.update(m.Params)
	case m.ID == nil:
		// Vendors add their own notifications with every release.
		s.log.Debug("notification ignored", "method", proc.Text([]byte(m.Method)))
	case m.Method == "session/request_permission":
		s.ask(m)
	case asksPermission(m.Method):
		s.ask(m)
	default:
		// That includes fs/write_text_file, which OpenCode 1.18 sends after an approved
		// edit though no client capability offers it: it does not wait for the answer
		// and writes the file itself, so a second writer here could only undo what it
		// (or its formatter) wrote.
		s.log.Info("unknown request refused", "method", proc.Text([]byte(m.Method)))
		s.respondError(m.ID, jsonl.CodeMethodNotFound, "method not found: "+m.Method)
	}
}

func asksPermission(method string) bool {
	method = strings.ToLower(method)
	return strings.Contains(method, "permission") || strings.Contains(method, "approval")
}

func (s *session) respond(id json.RawMessage, result any) {
	if err := s.peer.Respond(id, result); err != nil {
		s.log.Warn("answer not delivered", "error", err)
	}
}

func (s *session) respondError(id json.RawMessage, code int, message string) {
	if err := s.peer.RespondError(id, code, message); err != nil {
		s.log.Warn("answer not delivered", "error", err)
	}
}

func (s *session) update(params json.RawMessage) {
	var p map[string]json.RawMessage
	quick, isText := textChunk(params)
	id := quick.SessionID
	if !isText {
		p = fields(params)
		id = text(p["sessionId"])
	}
	s.mu.Lock()
	foreign := id != "" && s.id != "" && id != s.id
	s.mu.Unlock()
	if foreign {
		s.log.Debug("update of another session ignored")
		return
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
	raw := p["update"]
	if raw == nil {
		raw = params
	}
	s.emitLocked(s.t.update(raw)...)
}

// ask passes a request for permission on, or answers it where the mode says so.
func (s *session) ask(m jsonl.Message) {
	p := fields(m.Params)
	call := fields(p["toolCall"])
	s.sinkMu.Lock()
	defer s.sinkMu.Unlock()
	if id := text(call["toolCallId"]); id != "" {
		s.emitLocked(s.t.asked(id, call)...)
	}
	a := s.t.approval(m.Method, p, call)
	option := s.automatic(a)
	s.mu.Lock()
	s.asked++
	id := fmt.Sprintf("approval:%s-%d", s.t.nonce, s.asked)
	// After an interrupt every question is answered as cancelled, whatever the mode.
	late := s.prompting && s.interrupted
	if !late && option == "" {
		s.approvals[id] = &approval{request: m.ID, options: a.Options}
	}
	s.mu.Unlock()
	switch {
	case late:
		s.respond(m.ID, cancelled)
		return
	case option != "":
		s.respond(m.ID, selected(option))
		return
	}
	e := agent.Event{Kind: agent.KindApproval, ID: id, Approval: a}
	if t := text(call["toolCallId"]); t != "" {
		e.ToolID = toolID(t)
	}
	if m.Method != "session/request_permission" {
		e.Raw = m.Params
	}
	s.emitLocked(e)
}

// automatic returns the option the permission mode chooses, "" to ask the person.
func (s *session) automatic(a *api.Approval) string {
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

func selected(option string) object {
	return object{"outcome": object{"outcome": "selected", "optionId": option}}
}

var cancelled = object{"outcome": object{"outcome": "cancelled"}}

// Answer answers an approval.
func (s *session) Answer(approvalID, optionID string) error {
	s.mu.Lock()
	a := s.approvals[approvalID]
	if a == nil {
		s.mu.Unlock()
		return &api.Error{Code: api.CodeConflict, Message: "The agent does not wait for this answer any more."}
	}
	if optionID != "" && !slices.ContainsFunc(a.options, func(o api.ApprovalOption) bool { return o.ID == optionID }) {
		s.mu.Unlock()
		return &api.Error{Code: api.CodeInvalid, Message: "The agent does not offer this answer."}
	}
	delete(s.approvals, approvalID)
	s.mu.Unlock()
	result := cancelled
	if optionID != "" {
		result = selected(optionID)
	}
	if err := s.peer.Respond(a.request, result); err != nil {
		return &api.Error{Code: api.CodeAgentFailed, Message: s.o.Agent.Name + " could not be given the answer.", Details: err.Error()}
	}
	return nil
}

// cancelApprovals answers every open question as cancelled and returns their ids.
func (s *session) cancelApprovals() []string {
	s.mu.Lock()
	open := s.approvals
	s.approvals = map[string]*approval{}
	s.mu.Unlock()
	var ids []string
	for id, a := range open {
		ids = append(ids, id)
		s.respond(a.request, cancelled)
	}
	slices.Sort(ids)
	return ids
}
