package codex

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"catamaran/internal/agent"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
)

var statuses = map[string]api.ToolStatus{
	"inProgress": api.ToolRunning, "completed": api.ToolCompleted, "failed": api.ToolFailed,
	"declined": api.ToolCancelled, "interrupted": api.ToolCancelled,
}

// wholeItem translates item/started and item/completed.
func (t *translator) wholeItem(raw json.RawMessage, completed bool) []agent.Event {
	it := lenient.Fields(raw)
	kind, id := lenient.Text(it["type"]), lenient.Text(it["id"])
	switch kind {
	case "userMessage", "hookPrompt":
		return nil
	}
	if id == "" {
		if !completed {
			return nil
		}
		id = t.make("item")
	}
	state := t.item(id)
	switch kind {
	case "plan":
		// Shown whole, as the plan it is.
		if text := lenient.Text(it["text"]); completed && text != "" {
			return []agent.Event{{Kind: agent.KindPlan, ID: "plan:" + id, Append: text}}
		}
		return nil
	case "agentMessage":
		return t.text(agent.KindMessage, agent.KindMessage+":"+id, state, lenient.Text(it["text"]))
	case "reasoning":
		summary, content := texts(it["summary"]), texts(it["content"])
		return append(t.text(agent.KindReasoning, agent.KindReasoning+":"+id, state, strings.Join(summary, partBreak)),
			t.text(agent.KindReasoning, rawReasoning(id), state, strings.Join(content, ""))...)
	case "exitedReviewMode":
		if completed {
			return t.text(agent.KindMessage, agent.KindMessage+":"+id, state, lenient.Text(it["review"]))
		}
		return nil
	case "enteredReviewMode":
		if completed {
			return t.notice("info", joined(" ", "Review:", lenient.Text(it["review"])))
		}
		return nil
	case "contextCompaction":
		if completed {
			return t.notice("info", "The conversation was shortened to fit the model.")
		}
		return nil
	case "fileChange":
		return t.fileChange(id, it, completed)
	}
	up := describe(kind, it)
	if up == nil {
		if !completed {
			return nil
		}
		return []agent.Event{{Kind: agent.KindUnknown, ID: "unknown:" + id, Raw: raw}}
	}
	if kind == "commandExecution" {
		n, ok := lenient.Whole(it["exitCode"])
		if ok {
			up.ExitCode = &n
		}
		if out := lenient.Text(it["aggregatedOutput"]); out != "" {
			t.output(up, id, state, out)
		}
	} else if out := output(it); out != "" {
		t.output(up, id, state, out)
	}
	return t.tool(id, state, up, lenient.Text(it["status"]), completed)
}

// output sets the output where it is not what was streamed.
func (t *translator) output(up *agent.ToolUpdate, id string, state *itemState, whole string) {
	if rest, same := state.rest(toolID(id), whole); rest == "" && same {
		return
	}
	up.Output = &whole
}

// tool finishes an update of a tool call.
func (t *translator) tool(id string, state *itemState, up *agent.ToolUpdate, status string, completed bool) []agent.Event {
	up.Status = statuses[status]
	switch {
	case completed && (up.Status == "" || up.Status == api.ToolRunning):
		up.Status = api.ToolCompleted
	case up.Status == "" && !state.tool:
		up.Status = api.ToolRunning
	}
	state.tool = true
	state.ended = up.Status != api.ToolRunning && up.Status != ""
	return []agent.Event{{Kind: agent.KindTool, ID: toolID(id), Tool: up}}
}

// describe says what a tool call is; nil for an item that is none or is not known.
func describe(kind string, it map[string]json.RawMessage) *agent.ToolUpdate {
	text := func(name string) string { return lenient.Text(it[name]) }
	switch kind {
	case "commandExecution":
		c := unwrap(text("command"))
		return &agent.ToolUpdate{Kind: "execute", Title: lenient.Or(firstLine(c), "Command"), Command: c}
	case "mcpToolCall":
		return &agent.ToolUpdate{Kind: "other", Title: joined(": ", text("server"), lenient.Or(text("tool"), "tool")), Input: it["arguments"]}
	case "dynamicToolCall":
		return &agent.ToolUpdate{Kind: "other", Title: lenient.Or(text("tool"), "Tool call"), Input: it["arguments"]}
	case "functionCallOutput":
		return &agent.ToolUpdate{Kind: "other", Title: lenient.Or(text("name"), "Tool call")}
	case "collabAgentToolCall":
		return &agent.ToolUpdate{Kind: "other", Title: joined(": ", "Sub-agent", text("tool")), Input: it["prompt"]}
	case "subAgentActivity":
		return &agent.ToolUpdate{Kind: "other", Title: joined(" ", "Sub-agent", text("agentPath"), text("kind"))}
	case "webSearch":
		return &agent.ToolUpdate{Kind: "search", Title: joined(": ", "Web search", text("query"))}
	case "imageView":
		return &agent.ToolUpdate{Kind: "read", Title: joined(" ", "View", text("path")), Locations: []api.Location{{Path: text("path")}}}
	case "imageGeneration":
		return &agent.ToolUpdate{Kind: "other", Title: "Generate an image"}
	case "sleep":
		return &agent.ToolUpdate{Kind: "other", Title: "Wait"}
	}
	return nil
}

// output finds the text that a call other than a command gave back.
func output(it map[string]json.RawMessage) string {
	if s := lenient.Text(lenient.Fields(it["error"])["message"]); s != "" {
		return s
	}
	if s := lenient.Text(it["output"]); s != "" {
		return s
	}
	var parts []string
	content := lenient.List(lenient.Fields(it["result"])["content"])
	for _, c := range append(content, lenient.List(it["contentItems"])...) {
		if s := lenient.Text(lenient.Fields(c)["text"]); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "\n")
}

func texts(raw json.RawMessage) []string {
	var out []string
	for _, e := range lenient.List(raw) {
		if s := lenient.Or(lenient.Text(e), lenient.Text(lenient.Fields(e)["text"])); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func firstLine(s string) string {
	line, _, more := strings.Cut(strings.TrimSpace(s), "\n")
	if more {
		line += " ..."
	}
	return line
}

// shells are those that can be left out; one of another place must be seen.
var shells = []string{"bash", "sh", "zsh", "/bin/bash", "/bin/sh", "/bin/zsh", "/usr/bin/bash", "/usr/bin/sh", "/usr/bin/zsh"}

// unwrap takes the script out of `/bin/bash -lc 'script'`, which is how Codex runs
// every command. Whatever is not exactly that stays as it is, so that nobody
// approves less than what runs.
func unwrap(command string) string {
	shell, rest, _ := strings.Cut(command, " ")
	if !slices.Contains(shells, shell) {
		return command
	}
	flag, script, ok := strings.Cut(rest, " ")
	if !ok || (flag != "-lc" && flag != "-c") {
		return command
	}
	if plain, ok := unquote(script); ok && strings.TrimSpace(plain) != "" {
		return plain
	}
	return command
}

// unquote undoes the quoting of exactly one shell word.
func unquote(word string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(word); {
		switch c := word[i]; c {
		case '\'':
			end := strings.IndexByte(word[i+1:], '\'')
			if end < 0 {
				return "", false
			}
			b.WriteString(word[i+1 : i+1+end])
			i += end + 2
		case '"':
			i++
			for ; ; i++ {
				if i >= len(word) || word[i] == '$' || word[i] == '`' {
					return "", false
				}
				if word[i] == '"' {
					break
				}
				if word[i] == '\\' && i+1 < len(word) && strings.IndexByte("$`\"\\", word[i+1]) >= 0 {
					i++
				}
				b.WriteByte(word[i])
			}
			i++
		case '\\':
			if i+1 >= len(word) || word[i+1] == '\n' {
				return "", false
			}
			b.WriteByte(word[i+1])
			i += 2
		default:
			if strings.IndexByte(" \t\n;&|<>()$`*?[]#~=%!{}", c) >= 0 {
				return "", false
			}
			b.WriteByte(c)
			i++
		}
	}
	return b.String(), true
}

// fileChange translates a change of files.
func (t *translator) fileChange(id string, it map[string]json.RawMessage, completed bool) []agent.Event {
	state := t.item(id)
	up := &agent.ToolUpdate{}
	var verbs []string
	for _, c := range lenient.List(it["changes"]) {
		f := lenient.Fields(c)
		kind := lenient.Fields(f["kind"])
		path := lenient.Text(f["path"])
		verb, edits := changed(path, lenient.Or(lenient.Text(kind["type"]), lenient.Text(f["kind"])), lenient.Text(f["diff"]))
		up.Edits = append(up.Edits, edits...)
		up.Locations = append(up.Locations, api.Location{Path: path})
		what := verb + " " + t.relative(path)
		if to := lenient.Text(kind["move_path"]); to != "" {
			up.Locations = append(up.Locations, api.Location{Path: to})
			what = "Move " + t.relative(path) + " to " + t.relative(to)
		}
		verbs = append(verbs, what)
	}
	switch {
	case len(verbs) == 1:
		up.Title = verbs[0]
	case len(verbs) > 1:
		up.Title = fmt.Sprintf("Change %d files", len(verbs))
	case !state.tool:
		up.Title = "Change files"
	}
	if !state.tool {
		up.Kind = "edit"
	}
	if len(up.Edits) > 0 {
		state.edits = up.Edits
	}
	return t.tool(id, state, up, lenient.Text(it["status"]), completed)
}

func (t *translator) relative(path string) string {
	if rel, err := filepath.Rel(t.dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// changed reads one change: the whole text of a file that comes or goes, a unified
// diff without file names of one that changes, of which every hunk is an edit.
func changed(path, kind, diff string) (verb string, edits []api.FileEdit) {
	switch kind {
	case "add":
		return "Add", []api.FileEdit{{Path: path, NewText: diff}}
	case "delete":
		return "Delete", []api.FileEdit{{Path: path, OldText: diff}}
	}
	var before, after strings.Builder
	flush := func() {
		if before.Len() > 0 || after.Len() > 0 {
			edits = append(edits, api.FileEdit{Path: path, OldText: before.String(), NewText: after.String()})
		}
		before.Reset()
		after.Reset()
	}
	inside := false
	for line := range strings.Lines(diff) {
		if strings.HasPrefix(line, "@@") {
			flush()
			inside = true
			continue
		}
		if !inside || line == "" {
			continue
		}
		switch line[0] {
		case '-':
			before.WriteString(line[1:])
		case '+':
			after.WriteString(line[1:])
		case '\\': // no newline at the end of the file
		default:
			before.WriteString(strings.TrimPrefix(line, " "))
			after.WriteString(strings.TrimPrefix(line, " "))
		}
	}
	flush()
	if len(edits) == 0 && diff != "" {
		edits = []api.FileEdit{{Path: path, NewText: diff}}
	}
	return "Edit", edits
}
