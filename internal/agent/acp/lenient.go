package acp

import (
	"encoding/json"
	"strings"

	"catamaran/internal/api"
)

// The functions here read what is there and take anything else for absent.

func fields(raw json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

func list(raw json.RawMessage) []json.RawMessage {
	var l []json.RawMessage
	if json.Unmarshal(raw, &l) != nil {
		return nil
	}
	return l
}

func text(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func number(raw json.RawMessage) int {
	n, ok := whole(raw)
	if !ok {
		return 0
	}
	return n
}

func whole(raw json.RawMessage) (int, bool) {
	var f *float64
	if len(raw) == 0 || json.Unmarshal(raw, &f) != nil || f == nil || *f != *f || *f > 1e15 || *f < -1e15 {
		return 0, false
	}
	return int(*f), true
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// command finds the shell command of an execute call: in its input, or, for an
// agent that sends no input (Gemini CLI), in its title.
func command(u map[string]json.RawMessage, state *toolState) string {
	in := fields(u["rawInput"])
	c := text(in["command"])
	if c == "" {
		var words []string
		for _, w := range list(in["command"]) {
			words = append(words, text(w))
		}
		c = strings.Join(words, " ")
	}
	if c == "" && text(u["kind"]) == "execute" && in == nil && !state.command {
		c = text(u["title"])
	}
	if c != "" {
		state.command = true
	}
	return c
}

func locations(raw json.RawMessage) []api.Location {
	var out []api.Location
	for _, l := range list(raw) {
		f := fields(l)
		if p := text(f["path"]); p != "" {
			out = append(out, api.Location{Path: p, Line: number(f["line"])})
		}
	}
	return out
}

// contents splits a tool call's content into text and edits.
func contents(raw json.RawMessage) (string, []api.FileEdit) {
	var texts []string
	var edits []api.FileEdit
	for _, c := range list(raw) {
		f := fields(c)
		switch text(f["type"]) {
		case "content":
			if s := blockText(f["content"]); s != "" {
				texts = append(texts, s)
			}
		case "diff":
			edits = append(edits, api.FileEdit{Path: text(f["path"]), OldText: text(f["oldText"]), NewText: text(f["newText"])})
		}
	}
	return strings.Join(texts, "\n"), edits
}

func rawOutput(raw json.RawMessage) string {
	if s := text(raw); s != "" {
		return s
	}
	f := fields(raw)
	return or(text(f["output"]), or(text(f["stdout"]), text(f["error"])))
}

// exitCode looks where OpenCode, the demo agent and Codex's adapter put it.
func exitCode(output json.RawMessage, meta map[string]json.RawMessage) *int {
	out := fields(output)
	inner := fields(out["metadata"])
	for _, raw := range []json.RawMessage{
		out["exitCode"], out["exit_code"], out["exit"], inner["exit"], inner["exitCode"], fields(meta["terminal_exit"])["exit_code"],
	} {
		if n, ok := whole(raw); ok {
			return &n
		}
	}
	return nil
}

// turnUsage reads the tokens of a prompt's answer, or of Gemini CLI's note beside it.
func turnUsage(usage, meta json.RawMessage) *api.Usage {
	u := fields(usage)
	in, out := number(u["inputTokens"]), number(u["outputTokens"])
	if in == 0 && out == 0 {
		q := fields(fields(fields(meta)["quota"])["token_count"])
		in, out = number(q["input_tokens"]), number(q["output_tokens"])
	}
	if in == 0 && out == 0 {
		return nil
	}
	return &api.Usage{InputTokens: int64(in), OutputTokens: int64(out)}
}
