package modelsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
)

// neverAsks is what Codex tells the model where nothing may be asked (policy never);
// a command that asks to leave the sandbox is refused then (seen with 0.169).
const neverAsks = "Approval policy is currently never"

// responses is OpenAI's Responses API, always streamed, as Codex uses it: a command
// by exec_command, an edit by the freeform tool apply_patch. Where the request
// allows it the command asks to run outside of the sandbox, which is what makes
// Codex ask the person. A prompt that holds "question" or "permissions" is answered
// by asking for that, where there is a tool for it, and then with what the tool said.
func (s *Sim) responses(w http.ResponseWriter, r *http.Request, body []byte) {
	var q struct {
		Model string `json:"model"`
		Input []struct {
			Type    string          `json:"type"`
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
			Output  json.RawMessage `json:"output"`
		} `json:"input"`
		Tools []struct {
			Name string `json:"name"`
		} `json:"tools"`
	}
	if err := json.Unmarshal(body, &q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a, output := asked{model: q.Model}, ""
	for _, in := range q.Input {
		switch {
		case in.Role == "user":
			var parts []struct {
				Type string `json:"type"`
				Text string `json:"text"`
			}
			_ = json.Unmarshal(in.Content, &parts) // other content is no prompt
			for _, p := range parts {
				// Codex wraps what it adds itself in tags.
				if p.Text != "" && !strings.HasPrefix(p.Text, "<") {
					a.prompt, a.results = p.Text, 0
				}
				if p.Type == "input_image" {
					a.pictures++
				}
			}
		case in.Type == "function_call_output", in.Type == "custom_tool_call_output":
			a.results++
			output = string(in.Output)
		}
	}
	for _, t := range q.Tools {
		a.tools = append(a.tools, t.Name)
	}
	n := s.calls.Add(1)
	// A resumed thread has the instructions of every mode it was in; the last ones count.
	rules := string(body[max(0, bytes.LastIndex(body, []byte("<permissions instructions>"))):])
	st := s.nextResponse(a, output, !strings.Contains(rules, neverAsks), strings.Contains(string(body), "# Plan Mode"))
	s.Log("modelsim: responses of %s, %d results, tools %v: %q %v", q.Model, a.results, a.tools, st.text, st.call)

	send := events(w)
	id := fmt.Sprintf("resp_%d", n)
	send(object{"type": "response.created", "response": object{"id": id}})
	item := func(v object) { send(object{"type": "response.output_item.done", "output_index": 0, "item": v}) }
	if st.think != "" {
		thought := fmt.Sprintf("rs_%d", n)
		send(object{"type": "response.output_item.added", "output_index": 0, "item": object{"type": "reasoning", "id": thought, "summary": []object{}}})
		send(object{"type": "response.reasoning_summary_part.added", "item_id": thought, "summary_index": 0})
		for word := range strings.SplitAfterSeq(st.think, " ") {
			send(object{"type": "response.reasoning_summary_text.delta", "item_id": thought, "summary_index": 0, "delta": word})
		}
		item(object{"type": "reasoning", "id": thought, "summary": []object{{"type": "summary_text", "text": st.think}}, "encrypted_content": nil})
	}
	message := fmt.Sprintf("msg_%d", n)
	said := func(text string) object {
		return object{"type": "message", "id": message, "role": "assistant", "content": []object{{"type": "output_text", "text": text}}}
	}
	send(object{"type": "response.output_item.added", "output_index": 0, "item": object{"type": "message", "id": message, "role": "assistant", "content": []object{}}})
	word := func(text string) bool {
		return send(object{"type": "response.output_text.delta", "item_id": message, "output_index": 0, "content_index": 0, "delta": text})
	}
	if st.words {
		endless(r, word)
		return
	}
	spoken(r, st.text, st.slow, word)
	item(said(st.text))
	if st.call != nil {
		st.call["id"], st.call["call_id"] = fmt.Sprintf("fc_%d", n), fmt.Sprintf("call_%d", n)
		item(st.call)
	}
	send(object{"type": "response.completed", "response": object{"id": id, "usage": object{
		"input_tokens": 1200, "input_tokens_details": object{"cached_tokens": 0}, "output_tokens": 40,
		"output_tokens_details": object{"reasoning_tokens": 0}, "total_tokens": 1240}}})
}

// response is what the model does next over the Responses API.
type response struct {
	think, text string
	call        object
	words, slow bool
}

func (s *Sim) nextResponse(a asked, output string, mayAsk, planning bool) response {
	prompt, results, tools := a.prompt, a.results, a.tools
	function := func(name string, args object) object {
		b, _ := json.Marshal(args)
		return object{"type": "function_call", "name": name, "arguments": string(b)}
	}
	switch {
	case strings.Contains(prompt, "stream"):
		return response{words: true}
	case strings.Contains(prompt, "make a plan") && planning:
		return response{text: "My plan is ready.\n<proposed_plan>\n1. Look\n2. Leap\n</proposed_plan>\n"}
	}
	if text, slow := said(a); text != "" {
		return response{text: text, slow: slow}
	}
	switch {
	case strings.Contains(prompt, "question") && results == 0 && slices.Contains(tools, "request_user_input"):
		return response{text: "I have a question. ", call: function("request_user_input", object{"questions": []object{{
			"id": "colour", "header": "Colour", "question": "Which colour do you want?",
			"options": []object{{"label": "Red", "description": "like fire"}, {"label": "Blue", "description": "like water"}},
		}}})}
	case strings.Contains(prompt, "permissions") && results == 0 && slices.Contains(tools, "request_permissions"):
		return response{text: "I need more. ", call: function("request_permissions", object{
			"reason": "The script wants to reach the network.", "permissions": object{"network": object{"enabled": true}}})}
	case strings.Contains(prompt, "question"), strings.Contains(prompt, "permissions"):
		return response{text: "I was told: " + output}
	case results == 0 && slices.Contains(tools, "exec_command"):
		args := object{"cmd": s.script.Command}
		if mayAsk && !strings.Contains(prompt, "inside") {
			args["sandbox_permissions"], args["justification"] = "require_escalated", "The script wants to be asked."
		}
		return response{think: "**Thinking** about the command to run.", text: "I will run a command. ", call: function("exec_command", args)}
	case results == 1 && slices.Contains(tools, "apply_patch"):
		var patch strings.Builder
		fmt.Fprintf(&patch, "*** Begin Patch\n*** Add File: %s\n", filepath.Base(s.script.File))
		for line := range strings.Lines(s.script.Text) {
			patch.WriteString("+" + line)
		}
		patch.WriteString("*** End Patch\n")
		return response{text: "Now I will edit a file. ", call: object{"type": "custom_tool_call", "name": "apply_patch", "input": patch.String()}}
	}
	return response{text: s.script.Say}
}
