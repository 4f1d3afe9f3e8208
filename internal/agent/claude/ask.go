package claude

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

// Ids of the answers this driver offers.
const (
	allowOnce    = "allow"
	allowSession = "session"
	decline      = "decline"
)

// handle takes everything the agent sends unasked, in order.
func (s *session) handle(m jsonl.Message) {
	if m.ID != nil {
		s.request(m)
		return
	}
	switch m.Method {
	case "result":
		s.result(m.Params)
	case "control_cancel_request":
		id := lenient.Fields(m.Params)["request_id"]
		for _, id := range s.questions.Withdraw(id) {
			s.emit(agent.Event{Kind: agent.KindApprovalResolved, ID: id})
		}
	default:
		if m.Method == "system" {
			s.system(lenient.Fields(m.Params))
		}
		s.sinkMu.Lock()
		defer s.sinkMu.Unlock()
		s.emitLocked(s.t.message(m.Method, m.Params)...)
	}
}

// system keeps the session id, which every start of a turn tells, and the agent's mode.
func (s *session) system(f map[string]json.RawMessage) {
	if mode := lenient.Text(f["permissionMode"]); mode != "" {
		s.planned(mode == planMode)
	}
	id := lenient.Text(f["session_id"])
	if lenient.Text(f["subtype"]) != "init" || id == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != s.info.Resume {
		s.Log.Info("agent changed its session id")
	}
	s.info.Resume = id
	s.info.Version = lenient.Or(lenient.Text(f["claude_code_version"]), s.info.Version)
}

// result ends the running turn, unless it is of another one: of a turn that nobody
// waits for any more, or that the agent began by itself, or of the first of several
// that answer what was sent to this one.
func (s *session) result(line json.RawMessage) {
	r := readResult(line)
	s.sinkMu.Lock()
	r.signIn = s.t.signIn
	s.sinkMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ends(&r) {
		s.Log.Info("end of a turn nobody waits for, or not yet", "subtype", proc.Text([]byte(r.Subtype)))
		return
	}
	select {
	case s.turn <- r:
	default:
	}
}

// ends reports whether a result is the running turn's last; s.mu must be held.
func (s *session) ends(r *result) bool {
	mine := false
	for _, id := range r.Messages {
		if s.waits[id] {
			mine = true
			delete(s.waits, id)
		}
	}
	switch {
	case s.owed > 0 && !mine:
		s.owed--
		return false
	case s.turn == nil:
		return false
	case s.interrupted:
	case len(r.Messages) > 0 && (!mine || len(s.waits) > 0):
		s.in, s.out = s.in+r.Input, s.out+r.Output
		return false
	case len(r.Messages) == 0 && r.Queued > 0:
		return false
	}
	r.Input, r.Output = s.in+r.Input, s.out+r.Output
	return true
}

// request answers the agent's control requests, or passes them on.
func (s *session) request(m jsonl.Message) {
	f := lenient.Fields(m.Params)
	switch {
	case m.Method == "can_use_tool":
		s.tool(m, f)
	case m.Method == "hook_callback":
		// No hooks were registered; without an answer the agent would wait.
		s.Respond(m.ID, object{"continue": true})
	case m.Method == "elicitation":
		q, reply := form.Read(elicitation(f), lenient.Or(lenient.Text(f["mcp_server_name"]), "A tool server"))
		s.ask(m, card{question: q, reply: reply, cancelled: form.Cancelled()})
	case asksPermission(m.Method):
		title := lenient.Or(lenient.Text(f["title"]), lenient.Or(lenient.Text(f["message"]), lenient.Or(lenient.Text(f["description"]), lenient.Or(lenient.Text(f["reason"]), m.Method))))
		s.ask(m, card{
			approval: &api.Approval{Title: title, Options: yesNo("Allow", "Decline")}, raw: m.Params,
			answer: func(option string) any { return decision(option, f["input"], nil, declined) },
		})
	default:
		s.Refuse(m) // that includes mcp_message: no tool servers were offered
	}
}

func asksPermission(method string) bool {
	method = strings.ToLower(method)
	return strings.Contains(method, "permission") || strings.Contains(method, "approval") || strings.Contains(method, "can_use")
}

// card is what a request asks a person: an approval with its answer by option, or a
// question with its reply and its answer where the turn is cancelled.
type card struct {
	approval  *api.Approval
	question  *api.Question
	toolID    string
	raw       json.RawMessage
	answer    func(option string) any
	reply     func(answers []api.QuestionAnswerPart) any
	cancelled any
}

// ask shows the card of a request. After an interrupt everything is answered as
// cancelled. sinkMu must not be held.
func (s *session) ask(m jsonl.Message, c card) {
	if c.cancelled == nil {
		c.cancelled = decision("", nil, nil, "")
	}
	e := agent.Event{Kind: agent.KindApproval, ToolID: c.toolID, Approval: c.approval, Question: c.question, Raw: c.raw}
	s.sinkMu.Lock()
	defer s.sinkMu.Unlock()
	s.mu.Lock()
	late := s.turn != nil && s.interrupted
	switch {
	case late:
	case c.question != nil:
		e.Kind = agent.KindQuestion
		e.ID = s.questions.Ask(m.ID, c.cancelled, c.reply)
	default:
		c.approval.State = api.ApprovalPending
		e.ID = s.questions.Add(m.ID, c.approval.Options, c.answer)
	}
	s.mu.Unlock()
	if late {
		s.Respond(m.ID, c.cancelled)
		return
	}
	s.emitLocked(e)
}

func yesNo(yes, no string) []api.ApprovalOption {
	return []api.ApprovalOption{{ID: allowOnce, Name: yes, Kind: "allow_once"}, {ID: decline, Name: no, Kind: "reject_once"}}
}

// What the model is told.
const (
	declined   = "The user declined this."
	unanswered = "The user did not choose an answer. Ask in a message, or go on without."
	replan     = "The user does not approve the plan yet. Ask what to change."
)

// decision is the answer to can_use_tool; "" cancels the turn.
func decision(option string, input json.RawMessage, permissions []any, no string) any {
	switch option {
	case "":
		return object{"behavior": "deny", "message": "The user cancelled the turn.", "interrupt": true}
	case decline:
		return object{"behavior": "deny", "message": no}
	}
	if len(lenient.Fields(input)) == 0 {
		input = json.RawMessage("{}")
	}
	d := object{"behavior": "allow", "updatedInput": input}
	if len(permissions) > 0 {
		d["updatedPermissions"] = permissions
	}
	return d
}

// tool passes a request for permission to use a tool on, or allows it where the
// person allowed everything and the agent does not keep to that by itself.
func (s *session) tool(m jsonl.Message, f map[string]json.RawMessage) {
	name, input := lenient.Text(f["tool_name"]), f["input"]
	use := lenient.Text(f["tool_use_id"])
	s.sinkMu.Lock()
	s.emitLocked(s.t.use(use, name, input)...)
	plan := s.t.plan(use, input)
	s.sinkMu.Unlock()
	c := card{}
	if use != "" {
		c.toolID = toolID(use)
	}
	if name == "AskUserQuestion" {
		if q, reply := questionnaire(input); q != nil {
			c.question, c.reply = q, reply
			s.ask(m, c)
			return
		}
	}
	switch {
	case name == "ExitPlanMode":
		if plan != "" {
			s.emit(agent.Event{Kind: agent.KindPlan, ID: "plan:" + lenient.Or(use, "0"), Append: plan})
		}
		c.approval = &api.Approval{Title: "Carry out this plan?", Kind: "plan", Options: yesNo("Carry it out", "Keep planning")}
		c.answer = func(option string) any {
			// The agent goes on in its default mode unless it is told otherwise.
			return decision(option, input, []any{object{"type": "setMode", "mode": s.mode, "destination": "session"}}, replan)
		}
		s.ask(m, c)
	case s.unasked(name) && !lenient.True(f["requires_user_interaction"]):
		s.Respond(m.ID, decision(allowOnce, input, nil, ""))
	default:
		d := describe(name, input)
		c.approval = &api.Approval{Title: d.Title, Kind: d.Kind, Command: d.Command, Edits: d.Edits}
		permissions, label := suggestions(f["permission_suggestions"])
		c.approval.Options = yesNo("Allow", "Decline")
		if len(permissions) > 0 {
			c.approval.Options = append(c.approval.Options, api.ApprovalOption{ID: allowSession, Name: label, Kind: "allow_always"})
		}
		c.answer = func(option string) any {
			if option == allowSession {
				return decision(option, input, permissions, "")
			}
			return decision(option, input, nil, declined)
		}
		s.ask(m, c)
	}
}

// unasked reports whether a tool is allowed without asking: with full access, but for
// questions, while the agent plans, and once the turn is being stopped.
func (s *session) unasked(tool string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	stopping := s.turn != nil && s.interrupted
	return s.o.Permission == api.PermissionFull && tool != "AskUserQuestion" && !s.planning && !stopping
}

// suggestions are the agent's own proposals of what to allow from now on, for this
// session only, whatever place the agent would have written them to.
func suggestions(raw json.RawMessage) (permissions []any, label string) {
	var rules []string
	for _, p := range lenient.List(raw) {
		f := lenient.Fields(p)
		if len(f) == 0 || lenient.Text(f["behavior"]) == "deny" {
			continue
		}
		for _, r := range lenient.List(f["rules"]) {
			rule := lenient.Fields(r)
			if s := lenient.Or(lenient.Text(rule["ruleContent"]), lenient.Text(rule["toolName"])); s != "" {
				rules = append(rules, s)
			}
		}
		if lenient.Text(f["mode"]) == "acceptEdits" {
			rules = append(rules, "all edits")
		}
		f["destination"] = quote("session")
		permissions = append(permissions, f)
	}
	const longest = 60
	label = "Allow for this session"
	if s := strings.Join(rules, ", "); s != "" && len(s) <= longest {
		label += ": " + s
	}
	return permissions, label
}
