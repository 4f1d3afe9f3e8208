package acp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"catamaran/internal/agent"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
)

// translator turns session updates into events. It does no I/O.
type translator struct {
	// nonce makes synthesised ids differ from those of earlier processes of the same session.
	nonce string
	turn  int
	made  int
	// run is the kind of chunks without messageId that are coming in one after the other, runID their id.
	run, runID string
	tools      map[string]*toolState
	// plan is the text of the turn's last plan.
	plan string
}

type toolState struct {
	command, edits, ended bool
}

func toolID(id string) string { return "tool:" + id }

func (t *translator) newTurn() {
	t.turn++
	t.run, t.plan = "", ""
	// Only a running turn's calls can change; agents number them uniquely.
	t.tools = map[string]*toolState{}
}

func (t *translator) make(kind string) string {
	t.made++
	return fmt.Sprintf("%s:%s-%d", kind, t.nonce, t.made)
}

func (t *translator) update(raw json.RawMessage) []agent.Event {
	u := lenient.Fields(raw)
	kind := lenient.Text(u["sessionUpdate"])
	switch kind {
	case "agent_message_chunk":
		return t.chunk(agent.KindMessage, lenient.Text(u["messageId"]), blockText(u["content"]))
	case "agent_thought_chunk":
		return t.chunk(agent.KindReasoning, lenient.Text(u["messageId"]), blockText(u["content"]))
	case "usage_update":
		if n := (api.Usage{ContextUsed: int64(lenient.Number(u["used"])), ContextSize: int64(lenient.Number(u["size"]))}); n != (api.Usage{}) {
			return []agent.Event{{Kind: agent.KindUsage, ID: "usage", Usage: &n}}
		}
		return nil
	case "user_message_chunk", "available_commands_update", "current_mode_update", "config_option_update", "session_info_update":
		return nil
	}
	t.run = ""
	switch kind {
	case "tool_call", "tool_call_update":
		if id := lenient.Text(u["toolCallId"]); id != "" {
			return t.tool(id, u, kind == "tool_call")
		}
	case "plan":
		return []agent.Event{t.steps(u["entries"])}
	}
	return []agent.Event{{Kind: agent.KindUnknown, ID: t.make(agent.KindUnknown), Raw: raw}}
}

// textUpdate is the update that comes most, decoded in one pass: streamed text.
type textUpdate struct {
	SessionID string `json:"sessionId"`
	Update    struct {
		SessionUpdate string `json:"sessionUpdate"`
		MessageID     string `json:"messageId"`
		Content       struct {
			Type string `json:"type"`
			Text string `json:"text"`
		} `json:"content"`
	} `json:"update"`
}

func (u *textUpdate) kind() string {
	if u.Update.SessionUpdate == "agent_thought_chunk" {
		return agent.KindReasoning
	}
	return agent.KindMessage
}

// textChunk reports whether params are a chunk of text; anything else, mistyped
// fields included, takes the lenient way.
func textChunk(params json.RawMessage) (u textUpdate, ok bool) {
	if !bytes.Contains(params, []byte("_chunk")) || json.Unmarshal(params, &u) != nil {
		return textUpdate{}, false
	}
	k := u.Update.SessionUpdate
	return u, (k == "agent_message_chunk" || k == "agent_thought_chunk") && u.Update.Content.Type == "text"
}

func (t *translator) chunk(kind, id, s string) []agent.Event {
	switch {
	case id != "":
		t.run = ""
		id = kind + ":" + id // a thought may carry its message's id
	case t.run == kind:
		id = t.runID
	default:
		id = t.make(kind)
		t.run, t.runID = kind, id
	}
	if s == "" {
		return nil
	}
	return []agent.Event{{Kind: kind, ID: id, Append: s}}
}

// blockText renders a content block as Markdown.
func blockText(raw json.RawMessage) string {
	b := lenient.Fields(raw)
	switch kind := lenient.Text(b["type"]); kind {
	case "text", "":
		return lenient.Text(b["text"])
	case "resource_link":
		return fmt.Sprintf("[%s](%s)", lenient.Text(b["name"]), lenient.Text(b["uri"]))
	case "resource":
		r := lenient.Fields(b["resource"])
		if s := lenient.Text(r["text"]); s != "" {
			return s
		}
		return "[" + lenient.Text(r["uri"]) + "]"
	default:
		return "[" + kind + "]"
	}
}

func (t *translator) steps(entries json.RawMessage) agent.Event {
	return agent.Event{Kind: agent.KindPlan, ID: fmt.Sprintf("plan:%s-%d", t.nonce, t.turn), Plan: planSteps(entries)}
}

func planSteps(raw json.RawMessage) []api.PlanStep {
	steps := []api.PlanStep{}
	for _, e := range lenient.List(raw) {
		f := lenient.Fields(e)
		step := api.PlanStep{Text: lenient.Text(f["content"]), Status: lenient.Text(f["status"])}
		if step.Status != "in_progress" && step.Status != "completed" {
			step.Status = "pending"
		}
		steps = append(steps, step)
	}
	return steps
}

// plans are the plans that were written into files: in its plan mode Gemini CLI may write
// nothing but Markdown in a folder "plans", and tells of it like of any other edit.
func (t *translator) plans(events []agent.Event) []agent.Event {
	var out []agent.Event
	for _, e := range events {
		if e.Tool == nil {
			continue
		}
		for _, edit := range e.Tool.Edits {
			parts := strings.FieldsFunc(edit.Path, func(r rune) bool { return r == '/' || r == '\\' })
			if slices.Contains(parts, "plans") && strings.HasSuffix(edit.Path, ".md") {
				out = append(out, t.planned(edit.NewText)...)
			}
		}
	}
	return out
}

// planText is the plan in a request to carry it out, as Claude's adapter sends it.
func (t *translator) planText(call map[string]json.RawMessage) []agent.Event {
	text := lenient.Text(lenient.Fields(call["rawInput"])["plan"])
	if text == "" {
		text, _ = contents(call["content"])
	}
	return t.planned(text)
}

func (t *translator) planned(text string) []agent.Event {
	if strings.TrimSpace(text) == "" || text == t.plan {
		return nil
	}
	t.plan = text
	return []agent.Event{{Kind: agent.KindPlan, ID: t.make("plan"), Append: text}}
}

var statuses = map[string]api.ToolStatus{
	"pending": api.ToolPending, "in_progress": api.ToolRunning, "completed": api.ToolCompleted,
	"failed": api.ToolFailed, "cancelled": api.ToolCancelled, "canceled": api.ToolCancelled,
}

// tool translates a tool call or an update of one; Gemini CLI sends updates
// without an earlier call.
func (t *translator) tool(id string, u map[string]json.RawMessage, first bool) []agent.Event {
	state := t.tools[id]
	up := &agent.ToolUpdate{Kind: lenient.Text(u["kind"]), Title: lenient.Text(u["title"]), Status: statuses[lenient.Text(u["status"])]}
	if state == nil {
		state = &toolState{}
		t.tools[id] = state
		first = true
		if up.Status == "" {
			up.Status = api.ToolPending
		}
	}
	if first {
		up.Kind, up.Title = lenient.Or(up.Kind, "other"), lenient.Or(up.Title, lenient.Or(lenient.Text(u["name"]), "Tool call"))
	}
	e := agent.Event{Kind: agent.KindTool, ID: toolID(id), Tool: up}
	if in := u["rawInput"]; len(lenient.Fields(in)) > 0 || len(lenient.List(in)) > 0 || lenient.Text(in) != "" {
		up.Input = in
	}
	up.Command = command(u, state)
	up.Locations = locations(u["locations"])
	output, edits := contents(u["content"])
	up.Edits = edits
	if len(edits) > 0 {
		state.edits = true
	}
	if output == "" {
		output = rawOutput(u["rawOutput"])
	}
	if output != "" {
		up.Output = &output
	}
	meta := lenient.Fields(u["_meta"])
	e.Append = lenient.Text(lenient.Fields(meta["terminal_output_delta"])["data"]) // Codex's adapter streams output so
	up.ExitCode = exitCode(u["rawOutput"], meta)
	switch up.Status {
	case api.ToolCompleted, api.ToolFailed, api.ToolCancelled:
		state.ended = true
	case api.ToolPending, api.ToolRunning:
		state.ended = false
	}
	events := []agent.Event{e}
	// OpenCode tells its list of things to do as the input of a tool, not as a plan.
	if todos := lenient.Fields(up.Input)["todos"]; len(lenient.List(todos)) > 0 && lenient.Text(lenient.Fields(lenient.List(todos)[0])["content"]) != "" {
		events = append(events, t.steps(todos))
	}
	return events
}

// asked makes the tool call of a permission request known, without taking the
// request's explanations for the call's output.
func (t *translator) asked(id string, call map[string]json.RawMessage) []agent.Event {
	t.run = ""
	state := t.tools[id]
	if state == nil {
		u := map[string]json.RawMessage{}
		for _, k := range []string{"title", "kind", "status", "rawInput", "locations", "name"} {
			u[k] = call[k]
		}
		events := t.tool(id, u, true)
		_, events[0].Tool.Edits = contents(call["content"])
		t.tools[id].edits = len(events[0].Tool.Edits) > 0
		return events
	}
	if _, edits := contents(call["content"]); len(edits) > 0 && !state.edits {
		state.edits = true
		return []agent.Event{{Kind: agent.KindTool, ID: toolID(id), Tool: &agent.ToolUpdate{Edits: edits}}}
	}
	return nil
}

// settleTools ends the calls still open at the end of a turn: what was declined or cut
// short, which Gemini CLI for one does not tell.
func (t *translator) settleTools() []agent.Event {
	var events []agent.Event
	for id, s := range t.tools {
		if !s.ended {
			s.ended = true
			events = append(events, agent.Event{Kind: agent.KindTool, ID: toolID(id), Tool: &agent.ToolUpdate{Status: api.ToolCancelled}})
		}
	}
	return events
}

// approval translates a request for permission, known or not.
func (t *translator) approval(method string, p, call map[string]json.RawMessage) *api.Approval {
	_, edits := contents(call["content"])
	a := &api.Approval{
		State: api.ApprovalPending, Kind: lenient.Text(call["kind"]), Command: command(call, &toolState{}), Edits: edits,
		Title: lenient.Or(lenient.Text(call["title"]), lenient.Or(lenient.Text(p["title"]), lenient.Or(lenient.Text(p["message"]), lenient.Or(lenient.Text(p["description"]), lenient.Or(lenient.Text(p["reason"]), method))))),
	}
	// ACP's kind for a permission to leave the plan mode and carry the plan out.
	if a.Kind == "switch_mode" {
		a.Kind = "plan"
	}
	for _, raw := range lenient.List(p["options"]) {
		o := lenient.Fields(raw)
		id := lenient.Or(lenient.Text(o["optionId"]), lenient.Or(lenient.Text(o["id"]), lenient.Text(raw)))
		if id != "" {
			a.Options = append(a.Options, api.ApprovalOption{ID: id, Name: lenient.Or(lenient.Text(o["name"]), id), Kind: lenient.Text(o["kind"])})
		}
	}
	if len(a.Options) == 0 {
		a.Options = []api.ApprovalOption{{ID: "allow_once", Name: "Allow", Kind: "allow_once"}, {ID: "reject_once", Name: "Decline", Kind: "reject_once"}}
	}
	return a
}
