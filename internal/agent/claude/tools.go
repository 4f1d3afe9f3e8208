package claude

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"

	"catamaran/internal/agent"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
)

func toolID(id string) string { return "tool:" + id }

// kinds of Claude Code's own tools; any other is "other".
var kinds = map[string]string{
	"Bash": "execute", "PowerShell": "execute",
	"Read": "read", "NotebookRead": "read", "ReadMcpResource": "read",
	"Write": "edit", "Edit": "edit", "MultiEdit": "edit", "NotebookEdit": "edit",
	"Glob": "search", "Grep": "search", "LS": "search", "ToolSearch": "search", "WebSearch": "search",
	"WebFetch": "fetch", "Task": "think", "Agent": "think", "EnterPlanMode": "think", "ExitPlanMode": "think",
}

// describe is what can be said of a tool call from its input alone.
func describe(name string, input json.RawMessage) *agent.ToolUpdate {
	f := lenient.Fields(input)
	u := &agent.ToolUpdate{Kind: lenient.Or(kinds[name], "other"), Title: lenient.Or(name, "Tool call")}
	if len(f) > 0 {
		u.Input = input
	}
	path := lenient.Or(lenient.Text(f["file_path"]), lenient.Text(f["notebook_path"]))
	if path != "" {
		u.Locations = []api.Location{{Path: path, Line: lenient.Number(f["offset"])}}
	}
	what := ""
	switch u.Kind {
	case "execute":
		u.Command = lenient.Text(f["command"])
		u.Title = lenient.Or(lenient.Text(f["description"]), lenient.Or(u.Command, u.Title))
		return u
	case "edit":
		u.Edits = edits(path, f)
		fallthrough
	case "read":
		if path != "" {
			what = filepath.Base(path)
		}
	case "search":
		what = lenient.Or(lenient.Text(f["pattern"]), lenient.Or(lenient.Text(f["query"]), lenient.Text(f["path"])))
	case "fetch":
		what = lenient.Text(f["url"])
	default:
		what = lenient.Text(f["description"])
	}
	if what != "" {
		u.Title += " " + what
	}
	return u
}

// edits are the changes an edit tool is about to make.
func edits(path string, f map[string]json.RawMessage) []api.FileEdit {
	if path == "" {
		return nil
	}
	if l := lenient.List(f["edits"]); len(l) > 0 {
		var out []api.FileEdit
		for _, raw := range l {
			e := lenient.Fields(raw)
			out = append(out, api.FileEdit{Path: path, OldText: lenient.Text(e["old_string"]), NewText: lenient.Text(e["new_string"])})
		}
		return out
	}
	for _, name := range []string{"content", "new_string", "new_source"} {
		if f[name] != nil {
			return []api.FileEdit{{Path: path, OldText: lenient.Text(f["old_string"]), NewText: lenient.Text(f[name])}}
		}
	}
	return nil
}

// toolState is what the translator keeps of a tool call until it has ended.
type toolState struct {
	name          string
	path, written string // of a Write
	plan          string // of ExitPlanMode
	hidden, ended bool
	known         bool // its input is
}

// use makes a tool call known, as often as it is told about.
func (t *translator) use(id, name string, input json.RawMessage) []agent.Event {
	if id == "" {
		return nil
	}
	s := t.tools[id]
	fresh := s == nil
	if fresh {
		// A to-do list is shown as the plan it is.
		s = &toolState{name: name, hidden: name == "TodoWrite"}
		t.tools[id] = s
	}
	f := lenient.Fields(input)
	if s.known || !fresh && len(f) == 0 {
		return nil
	}
	s.known = len(f) > 0
	s.name = lenient.Or(s.name, name)
	s.plan = lenient.Text(f["plan"])
	if s.name == "Write" {
		s.path, s.written = lenient.Text(f["file_path"]), lenient.Text(f["content"])
	}
	if s.hidden {
		if steps := todos(f["todos"]); steps != nil {
			return []agent.Event{{Kind: agent.KindPlan, ID: t.numbered("plan", t.turn), Plan: steps}}
		}
		return nil
	}
	u := describe(s.name, input)
	// The agent does not tell when a call begins to run; what it waits for is asked.
	u.Status = api.ToolPending
	if s.known {
		u.Status = api.ToolRunning
	}
	return []agent.Event{{Kind: agent.KindTool, ID: toolID(id), Tool: u}}
}

// plan finds the plan that ExitPlanMode is about: in the request, or in the call. The
// agent puts the text of its plan file into both; a plan of the model's own is in
// the call only.
func (t *translator) plan(id string, input json.RawMessage) string {
	plan := lenient.Text(lenient.Fields(input)["plan"])
	if s := t.tools[id]; plan == "" && s != nil {
		plan = s.plan
	}
	return plan
}

func todos(raw json.RawMessage) []api.PlanStep {
	var steps []api.PlanStep
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

// toolResult ends a tool call. details is the agent's own view of the result, skipped
// that the tool did not run.
func (t *translator) toolResult(block map[string]json.RawMessage, details json.RawMessage, skipped bool) []agent.Event {
	id := lenient.Text(block["tool_use_id"])
	if id == "" {
		return nil
	}
	var events []agent.Event
	s := t.tools[id]
	if s == nil {
		events = t.use(id, "", nil)
		s = t.tools[id]
	}
	s.ended = true
	if s.hidden {
		return events
	}
	output := contentText(block["content"])
	u := &agent.ToolUpdate{Status: api.ToolCompleted, Output: &output}
	switch {
	case skipped:
		u.Status = api.ToolCancelled
	case lenient.True(block["is_error"]):
		u.Status = api.ToolFailed
		if kinds[s.name] == "execute" {
			u.ExitCode = exitCode(output)
		}
	case s.written != "" && s.path != "":
		if old := lenient.Text(lenient.Fields(details)["originalFile"]); old != "" {
			u.Edits = []api.FileEdit{{Path: s.path, OldText: old, NewText: s.written}}
		}
	}
	s.written = ""
	return append(events, agent.Event{Kind: agent.KindTool, ID: toolID(id), Tool: u})
}

// exitCode reads the first line of a failed command's result: "Exit code 1".
func exitCode(output string) *int {
	first, _, _ := strings.Cut(output, "\n")
	rest, ok := strings.CutPrefix(first, "Exit code ")
	if !ok {
		return nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(rest))
	if err != nil {
		return nil
	}
	return &n
}

// contentText renders a tool result's content, text or blocks.
func contentText(raw json.RawMessage) string {
	if s := lenient.Text(raw); s != "" {
		return s
	}
	var parts []string
	for _, b := range lenient.List(raw) {
		f := lenient.Fields(b)
		switch kind := lenient.Text(f["type"]); kind {
		case "text":
			parts = append(parts, lenient.Text(f["text"]))
		case "":
		default:
			parts = append(parts, "["+kind+"]")
		}
	}
	return strings.Join(parts, "\n")
}
