package codex

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

// handle takes everything Codex sends unasked, in order.
func (s *session) handle(m jsonl.Message) {
	if m.ID != nil {
		s.request(m)
		return
	}
	switch m.Method {
	case "configWarning", "deprecationNotice":
		// About the user's configuration, told by every new process: once a thread is enough.
		if s.o.Resume != "" {
			return
		}
	case "serverRequest/resolved":
		for _, id := range s.questions.Withdraw(lenient.Fields(m.Params)["requestId"]) {
			s.emit(agent.Event{Kind: agent.KindApprovalResolved, ID: id})
		}
		return
	}
	if s.foreign(m.Params) {
		return
	}
	if m.Method == "turn/completed" {
		s.complete(m.Params)
		return
	}
	s.sinkMu.Lock()
	defer s.sinkMu.Unlock()
	events := s.t.notification(m.Method, m.Params)
	if events == nil {
		s.Log.Debug("notification gave nothing", "method", proc.Text([]byte(m.Method)))
	}
	s.emitLocked(events...)
}

// foreign reports whether a notification is about another thread, as sub-agents have.
func (s *session) foreign(params json.RawMessage) bool {
	var p struct {
		ThreadID string `json:"threadId"`
	}
	_ = json.Unmarshal(params, &p) // no thread named: it is of all
	if p.ThreadID == "" {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.thread != "" && p.ThreadID != s.thread
}

// request passes what Codex asks a person on; everything else is refused.
func (s *session) request(m jsonl.Message) {
	s.sinkMu.Lock()
	defer s.sinkMu.Unlock()
	q := s.t.request(m.Method, m.Params)
	if q == nil {
		s.Refuse(m)
		return
	}
	e := agent.Event{ToolID: q.toolID}
	s.mu.Lock()
	// After an interrupt every question is answered as cancelled.
	late := s.turn != nil && s.turn.interrupted
	switch {
	case late:
	case q.question != nil:
		e.Kind, e.Question = agent.KindQuestion, q.question
		e.ID = s.questions.Ask(m.ID, q.answer(""), q.reply)
	default:
		e.Kind, e.Approval = agent.KindApproval, q.approval
		e.ID = s.questions.Add(m.ID, q.approval.Options, q.answer)
		if q.approval.Kind == "" {
			e.Raw = m.Params
		}
	}
	s.mu.Unlock()
	if late {
		s.Respond(m.ID, q.answer(""))
		return
	}
	s.emitLocked(e)
}

// request is what Codex asks a person: an approval, or a question. answer makes the
// call's result of an option's id, "" meaning cancelled, reply that of answers.
type request struct {
	approval *api.Approval
	question *api.Question
	toolID   string
	answer   func(option string) any
	reply    func(answers []api.QuestionAnswerPart) any
}

// request translates a request; nil for one that asks nobody anything.
func (t *translator) request(method string, params json.RawMessage) *request {
	p := lenient.Fields(params)
	text := func(name string) string { return lenient.Text(p[name]) }
	var tool string
	state := t.items[text("itemId")]
	if state != nil && state.tool {
		tool = toolID(text("itemId"))
	}
	switch method {
	case "item/commandExecution/requestApproval":
		a := &api.Approval{Kind: "execute", Command: unwrap(text("command")), Title: t.commandTitle(p)}
		if a.Command == "" {
			a.Kind = "" // about the network: there is no command to show
		}
		return decided(a, tool, decisions(p["availableDecisions"]))
	case "item/fileChange/requestApproval":
		a := &api.Approval{Kind: "edit", Title: lenient.Or(text("reason"), "Change these files?")}
		if root := text("grantRoot"); root != "" {
			a.Title = joined(" ", a.Title, "(also allows further changes below "+root+" in this session)")
		}
		if state != nil {
			a.Edits = state.edits
		}
		return decided(a, tool, decisions(p["availableDecisions"]))
	case "item/permissions/requestApproval":
		return permissions(p, tool)
	case "item/tool/requestUserInput":
		return userInput(p, tool)
	case "mcpServer/elicitation/request":
		return elicitation(params)
	case "execCommandApproval", "applyPatchApproval":
		return decided(&api.Approval{Title: lenient.Or(text("reason"), "Codex asks for your approval."), Command: strings.Join(texts(p["command"]), " ")}, tool, earlier)
	}
	if asks(method) {
		title := lenient.Or(text("reason"), lenient.Or(text("message"), lenient.Or(text("title"), method)))
		return decided(&api.Approval{Title: title, Command: text("command")}, tool, decisions(p["availableDecisions"]))
	}
	return nil
}

// asks reports whether a call that is not known looks like one for a person.
func asks(method string) bool {
	method = strings.ToLower(method)
	for _, word := range []string{"approval", "permission", "elicitation", "userinput", "confirm"} {
		if strings.Contains(method, word) {
			return true
		}
	}
	return false
}

func (t *translator) commandTitle(p map[string]json.RawMessage) string {
	title := "Run this command?"
	switch lenient.Text(p["kind"]) {
	case "writeStdin":
		title = "Send this input to a running command?"
	case "humanCommand":
		title = "Run your command?"
	}
	network := lenient.Fields(p["networkApprovalContext"])
	if host := lenient.Text(network["host"]); host != "" {
		title = "Allow network access to " + host + joined("", " (", lenient.Or(lenient.Text(network["protocol"]), "any protocol"), ")") + "?"
	}
	title = lenient.Or(lenient.Text(p["reason"]), title)
	if dir := lenient.Text(p["cwd"]); dir != "" && dir != t.dir {
		title += " In " + dir + "."
	}
	if more := granted(p["additionalPermissions"]); more != "" {
		title += " With more permissions: " + more + "."
	}
	return title
}

// decision is an answer Codex offers: the option for people and the value it wants back.
type decision struct {
	option api.ApprovalOption
	value  any
}

var (
	usual = []decision{named("accept"), named("acceptForSession"), named("decline"), named("cancel")}
	// earlier are the answers to the requests of the interface before this one.
	earlier = []decision{
		{api.ApprovalOption{ID: "approved", Name: "Allow once", Kind: "allow_once"}, "approved"},
		{api.ApprovalOption{ID: "approved_for_session", Name: "Allow for this session", Kind: "allow_always"}, "approved_for_session"},
		{api.ApprovalOption{ID: "abort", Name: "Decline and stop", Kind: "reject_once"}, "abort"},
	}
)

func named(name string) decision {
	o := api.ApprovalOption{ID: name, Name: name}
	switch name {
	case "accept":
		o.Name, o.Kind = "Allow once", "allow_once"
	case "acceptForSession":
		o.Name, o.Kind = "Allow for this session", "allow_always"
	case "decline":
		o.Name, o.Kind = "Decline", "reject_once"
	case "cancel":
		o.Name, o.Kind = "Decline and stop", "reject_once"
	}
	return decision{o, name}
}

// decisions reads availableDecisions; what Codex usually takes where there are none.
func decisions(raw json.RawMessage) []decision {
	var out []decision
	seen := map[string]bool{}
	for _, e := range lenient.List(raw) {
		d := named(lenient.Text(e))
		if f := lenient.Fields(e); len(f) > 0 {
			d = amendment(f)
		}
		d.value = e
		if d.option.ID == "" {
			continue
		}
		for n, id := 2, d.option.ID; seen[d.option.ID]; n++ {
			d.option.ID = fmt.Sprintf("%s-%d", id, n)
		}
		seen[d.option.ID] = true
		out = append(out, d)
	}
	if len(out) == 0 {
		return usual
	}
	return out
}

// amendment names a decision that also changes a rule.
func amendment(f map[string]json.RawMessage) decision {
	for name, raw := range f {
		o := api.ApprovalOption{ID: name, Name: name}
		inner := lenient.Fields(raw)
		switch name {
		case "acceptWithExecpolicyAmendment":
			words := texts(inner["execpolicy_amendment"])
			o.Kind, o.Name = "allow_always", "Always allow commands that start with: "+short(prefix(words))
		case "applyNetworkPolicyAmendment":
			rule := lenient.Fields(inner["network_policy_amendment"])
			o.Kind, o.Name = "allow_always", "Always allow "+lenient.Or(lenient.Text(rule["host"]), "this host")
			if lenient.Text(rule["action"]) == "deny" {
				o.Kind, o.Name = "reject_always", "Always refuse "+lenient.Or(lenient.Text(rule["host"]), "this host")
			}
		}
		if len(f) == 1 {
			return decision{option: o}
		}
	}
	return decision{option: api.ApprovalOption{ID: "other", Name: "Another answer"}}
}

// prefix shows the words of a rule; the script alone where they are a shell and its script.
func prefix(words []string) string {
	if len(words) == 3 && (words[1] == "-lc" || words[1] == "-c") {
		for _, s := range shells {
			if words[0] == s {
				return words[2]
			}
		}
	}
	return strings.Join(words, " ")
}

func short(s string) string {
	const most = 80
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + " ..."
	}
	return s
}

// decided is a question that one of the decisions answers. An approval that is
// cancelled as a whole is answered "cancel", which also ends the turn.
func decided(a *api.Approval, tool string, offered []decision) *request {
	a.State = api.ApprovalPending
	a.Title = lenient.Or(a.Title, "Codex asks for your approval.")
	values := map[string]any{"": "cancel"}
	for _, d := range offered {
		a.Options = append(a.Options, d.option)
		values[d.option.ID] = d.value
		if d.value == "abort" {
			values[""] = "abort"
		}
	}
	return &request{approval: a, toolID: tool, answer: func(option string) any { return object{"decision": values[option]} }}
}

// permissions asks for more than the sandbox allows; what is granted is what was asked for.
func permissions(p map[string]json.RawMessage, tool string) *request {
	wanted := p["permissions"]
	title := lenient.Or(lenient.Text(p["reason"]), "Codex asks for more permissions.")
	if more := granted(wanted); more != "" {
		title += " Wanted: " + more + "."
	}
	a := &api.Approval{State: api.ApprovalPending, Title: title, Options: []api.ApprovalOption{
		{ID: "turn", Name: "Allow for this turn", Kind: "allow_once"},
		{ID: "session", Name: "Allow for this session", Kind: "allow_always"},
		{ID: "decline", Name: "Decline", Kind: "reject_once"},
	}}
	return &request{approval: a, toolID: tool, answer: func(option string) any {
		if (option == "turn" || option == "session") && lenient.Fields(wanted) != nil {
			return object{"permissions": wanted, "scope": option}
		}
		return object{"permissions": object{}, "scope": "turn"}
	}}
}

// granted lists a profile of permissions for people.
func granted(raw json.RawMessage) string {
	p := lenient.Fields(raw)
	var out []string
	if lenient.True(lenient.Fields(p["network"])["enabled"]) {
		out = append(out, "network access")
	}
	files := lenient.Fields(p["fileSystem"])
	for _, access := range []string{"read", "write"} {
		for _, path := range texts(files[access]) {
			out = append(out, access+" "+path)
		}
	}
	for _, e := range lenient.List(files["entries"]) {
		f := lenient.Fields(e)
		path := lenient.Fields(f["path"])
		special := lenient.Fields(path["value"])
		out = append(out, joined(" ", lenient.Text(f["access"]), lenient.Text(path["path"]), lenient.Text(path["pattern"]),
			lenient.Text(special["kind"]), lenient.Text(special["subpath"])))
	}
	return strings.Join(out, ", ")
}
