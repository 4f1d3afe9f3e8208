package acp

import (
	"encoding/json"
	"strings"

	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
)

// command finds the shell command of an execute call: in its input, or, for an
// agent that sends no input (Gemini CLI), in its title.
func command(u map[string]json.RawMessage, state *toolState) string {
	in := lenient.Fields(u["rawInput"])
	c := lenient.Text(in["command"])
	if c == "" {
		var words []string
		for _, w := range lenient.List(in["command"]) {
			words = append(words, lenient.Text(w))
		}
		c = strings.Join(words, " ")
	}
	if c == "" && lenient.Text(u["kind"]) == "execute" && in == nil && !state.command {
		c = lenient.Text(u["title"])
	}
	if c != "" {
		state.command = true
	}
	return c
}

func locations(raw json.RawMessage) []api.Location {
	var out []api.Location
	for _, l := range lenient.List(raw) {
		f := lenient.Fields(l)
		if p := lenient.Text(f["path"]); p != "" {
			out = append(out, api.Location{Path: p, Line: lenient.Number(f["line"])})
		}
	}
	return out
}

// contents splits a tool call's content into text and edits.
func contents(raw json.RawMessage) (string, []api.FileEdit) {
	var texts []string
	var edits []api.FileEdit
	for _, c := range lenient.List(raw) {
		f := lenient.Fields(c)
		switch lenient.Text(f["type"]) {
		case "content":
			if s := blockText(f["content"]); s != "" {
				texts = append(texts, s)
			}
		case "diff":
			edits = append(edits, api.FileEdit{Path: lenient.Text(f["path"]), OldText: lenient.Text(f["oldText"]), NewText: lenient.Text(f["newText"])})
		}
	}
	return strings.Join(texts, "\n"), edits
}

func rawOutput(raw json.RawMessage) string {
	if s := lenient.Text(raw); s != "" {
		return s
	}
	f := lenient.Fields(raw)
	return lenient.Or(lenient.Text(f["output"]), lenient.Or(lenient.Text(f["stdout"]), lenient.Text(f["error"])))
}

// exitCode looks where OpenCode, the demo agent and Codex's adapter put it.
func exitCode(output json.RawMessage, meta map[string]json.RawMessage) *int {
	out := lenient.Fields(output)
	inner := lenient.Fields(out["metadata"])
	for _, raw := range []json.RawMessage{
		out["exitCode"], out["exit_code"], out["exit"], inner["exit"], inner["exitCode"], lenient.Fields(meta["terminal_exit"])["exit_code"],
	} {
		if n, ok := lenient.Whole(raw); ok {
			return &n
		}
	}
	return nil
}

// turnUsage reads the tokens of a prompt's answer, or of Gemini CLI's note beside it.
func turnUsage(usage, meta json.RawMessage) *api.Usage {
	u := lenient.Fields(usage)
	in, out := lenient.Number(u["inputTokens"]), lenient.Number(u["outputTokens"])
	if in == 0 && out == 0 {
		q := lenient.Fields(lenient.Fields(lenient.Fields(meta)["quota"])["token_count"])
		in, out = lenient.Number(q["input_tokens"]), lenient.Number(q["output_tokens"])
	}
	if in == 0 && out == 0 {
		return nil
	}
	return &api.Usage{InputTokens: int64(in), OutputTokens: int64(out)}
}
