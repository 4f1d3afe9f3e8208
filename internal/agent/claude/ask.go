package claude

import (
	"encoding/json"
	"fmt"
	"strings"

	"catamaran/internal/agent"
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
	s.sinkMu.Lock()
	s.dropLocked()
	s.sinkMu.Unlock()
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

// system keeps the session id: every start of a turn tells it.
func (s *session) system(f map[string]json.RawMessage) {
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

// result ends the running turn. One that tells of turns still queued belongs to a
// turn the agent began by itself, before ours.
func (s *session) result(line json.RawMessage) {
	r := readResult(line)
	s.sinkMu.Lock()
	r.signIn = s.t.signIn
	s.sinkMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.owed > 0:
		s.owed--
	case s.turn == nil || r.Queued > 0:
		s.Log.Info("end of a turn nobody waits for", "subtype", proc.Text([]byte(r.Subtype)))
	default:
		select {
		case s.turn <- r:
		default:
		}
	}
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
		s.Respond(m.ID, object{"action": "decline"})
		s.sinkMu.Lock()
		defer s.sinkMu.Unlock()
		s.emitLocked(s.t.notice("warning", "A tool server asked for input that this app cannot show; it was declined: "+lenient.Text(f["message"])))
	case asksPermission(m.Method):
		title := lenient.Or(lenient.Text(f["title"]), lenient.Or(lenient.Text(f["message"]), lenient.Or(lenient.Text(f["description"]), lenient.Or(lenient.Text(f["reason"]), m.Method))))
		s.ask(m, question{
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

// question is one card of a request.
type question struct {
	approval *api.Approval
	toolID   string
	raw      json.RawMessage
	answer   func(option string) any
}

// ask shows the cards of one request. After an interrupt everything is answered as
// cancelled. sinkMu must not be held.
func (s *session) ask(m jsonl.Message, cards ...question) {
	s.sinkMu.Lock()
	defer s.sinkMu.Unlock()
	s.mu.Lock()
	late := s.turn != nil && s.interrupted
	var ids []string
	if !late {
		for _, c := range cards {
			ids = append(ids, s.questions.Add(m.ID, c.approval.Options, c.answer))
		}
	}
	s.mu.Unlock()
	if late {
		s.Respond(m.ID, decision("", nil, nil, ""))
		return
	}
	for i, c := range cards {
		c.approval.State = api.ApprovalPending
		s.emitLocked(agent.Event{Kind: agent.KindApproval, ID: ids[i], ToolID: c.toolID, Approval: c.approval, Raw: c.raw})
	}
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
	card := question{}
	if use != "" {
		card.toolID = toolID(use)
	}
	switch {
	case name == "AskUserQuestion" && s.questionnaire(m, card, input):
	case name == "ExitPlanMode":
		if plan != "" {
			s.emit(agent.Event{Kind: agent.KindMessage, ID: "message:plan-" + lenient.Or(use, "0"), Append: plan})
		}
		card.approval = &api.Approval{Title: "Carry out this plan?", Options: yesNo("Carry it out", "Keep planning")}
		card.answer = func(option string) any {
			// The agent goes on in its default mode unless it is told otherwise.
			return decision(option, input, []any{object{"type": "setMode", "mode": s.mode, "destination": "session"}}, replan)
		}
		s.ask(m, card)
	case s.o.Permission == api.PermissionFull && name != "AskUserQuestion" && !lenient.True(f["requires_user_interaction"]) && !s.stopping():
		s.Respond(m.ID, decision(allowOnce, input, nil, ""))
	default:
		d := describe(name, input)
		card.approval = &api.Approval{Title: d.Title, Kind: d.Kind, Command: d.Command, Edits: d.Edits}
		permissions, label := suggestions(f["permission_suggestions"])
		card.approval.Options = yesNo("Allow", "Decline")
		if len(permissions) > 0 {
			card.approval.Options = append(card.approval.Options, api.ApprovalOption{ID: allowSession, Name: label, Kind: "allow_always"})
		}
		card.answer = func(option string) any {
			if option == allowSession {
				return decision(option, input, permissions, "")
			}
			return decision(option, input, nil, declined)
		}
		s.ask(m, card)
	}
}

func (s *session) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turn != nil && s.interrupted
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

// questionnaire shows one card per question and answers when all are answered;
// declining one declines all. It reports false when there is nothing to choose.
func (s *session) questionnaire(m jsonl.Message, card question, input json.RawMessage) bool {
	questions := lenient.List(lenient.Fields(input)["questions"])
	answers := map[string]string{}
	given, over := 0, false
	var cards []question
	for _, raw := range questions {
		q := lenient.Fields(raw)
		text := lenient.Text(q["question"])
		options, labels := choices(q)
		if text == "" || len(labels) == 0 {
			return false
		}
		c := card
		c.approval = &api.Approval{Title: text, Options: options}
		// Answers of one request are made one at a time, see rpc.Questions.
		c.answer = func(option string) any {
			if over {
				return nil
			}
			if option == "" || option == decline {
				over = true
				s.dropMu.Lock()
				s.drop = append(s.drop, m.ID)
				s.dropMu.Unlock()
				return decision(option, nil, nil, unanswered)
			}
			answers[text] = labels[option]
			if given++; given < len(cards) {
				return nil
			}
			all := lenient.Fields(input)
			b, err := json.Marshal(answers)
			if err != nil {
				return decision(decline, nil, nil, unanswered)
			}
			all["answers"] = b
			whole, err := json.Marshal(all)
			if err != nil {
				return decision(decline, nil, nil, unanswered)
			}
			return decision(allowOnce, whole, nil, "")
		}
		cards = append(cards, c)
	}
	if len(cards) == 0 {
		return false
	}
	s.ask(m, cards...)
	return true
}

// choices are a question's options, and what each of them says to the agent. A card
// takes one answer, so of a multiple choice it offers each and all of them.
func choices(q map[string]json.RawMessage) ([]api.ApprovalOption, map[string]string) {
	var options []api.ApprovalOption
	says := map[string]string{}
	var labels []string
	add := func(name, meaning string) {
		id := fmt.Sprintf("answer-%d", len(options)+1)
		options = append(options, api.ApprovalOption{ID: id, Name: name, Kind: "answer"})
		says[id] = meaning
	}
	for _, raw := range lenient.List(q["options"]) {
		label := lenient.Or(lenient.Text(lenient.Fields(raw)["label"]), lenient.Text(raw))
		if label == "" {
			continue
		}
		labels = append(labels, label)
		add(label, label)
	}
	if lenient.True(q["multiSelect"]) && len(labels) > 1 {
		add("All of these", strings.Join(labels, ", "))
	}
	if len(labels) > 0 {
		options = append(options, api.ApprovalOption{ID: decline, Name: "Answer in a message", Kind: "reject_once"})
	}
	return options, says
}

// dropLocked takes back the cards of requests that were answered as a whole.
func (s *session) dropLocked() {
	s.dropMu.Lock()
	requests := s.drop
	s.drop = nil
	s.dropMu.Unlock()
	for _, r := range requests {
		for _, id := range s.questions.Withdraw(r) {
			s.emitLocked(agent.Event{Kind: agent.KindApprovalResolved, ID: id})
		}
	}
}
