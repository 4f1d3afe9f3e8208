package modelsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// block is a content block of Anthropic's Messages API.
type block struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// anthropic serves the Messages API: a streamed answer where it is asked for one.
// The model's name is the client's own, since clients know what their models can do.
func (s *Sim) anthropic(w http.ResponseWriter, r *http.Request, body []byte) {
	var q struct {
		Model    string `json:"model"`
		Stream   bool   `json:"stream"`
		Messages []struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
		Tools []struct {
			Name string `json:"name"`
		} `json:"tools"`
	}
	if err := json.Unmarshal(body, &q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a := asked{model: q.Model}
	for _, m := range q.Messages {
		if m.Role != "user" {
			continue
		}
		pictures := 0
		for _, b := range blocks(m.Content) {
			switch {
			case b.Type == "tool_result":
				a.results++
			case b.Type == "image":
				pictures++
			case b.Type == "text" && !strings.HasPrefix(b.Text, "<system-reminder>") && !strings.HasPrefix(b.Text, "[Image: "): // added by the agent
				a.prompt, a.results = b.Text, 0
			}
		}
		a.pictures = max(a.pictures, pictures)
	}
	for _, t := range q.Tools {
		a.tools = append(a.tools, t.Name)
	}
	st := s.nextAnthropic(a, string(body))
	s.Log("modelsim: messages of %s, %d results, %d tools: %q %s, for %.300q", q.Model, a.results, len(a.tools), st.text, st.tool, a.prompt)
	n := s.calls.Add(1)
	message := object{"id": fmt.Sprintf("msg_%d", n), "type": "message", "role": "assistant", "model": q.Model, "content": []object{}, "stop_reason": nil, "stop_sequence": nil,
		"usage": object{"input_tokens": 100, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}}
	stop := "end_turn"
	if st.tool != "" {
		stop = "tool_use"
	}
	id := fmt.Sprintf("toolu_%d", n)
	if !q.Stream {
		content := []object{{"type": "text", "text": st.text}}
		if st.tool != "" {
			content = append(content, object{"type": "tool_use", "id": id, "name": st.tool, "input": st.args})
		}
		message["content"], message["stop_reason"] = content, stop
		reply(w, message)
		return
	}
	raw := events(w)
	send := func(kind string, fields object) bool {
		fields["type"] = kind
		if _, err := fmt.Fprintf(w, "event: %s\n", kind); err != nil {
			return false
		}
		return raw(fields)
	}
	index := 0
	open := func(b object) { send("content_block_start", object{"index": index, "content_block": b}) }
	delta := func(d object) bool { return send("content_block_delta", object{"index": index, "delta": d}) }
	end := func() {
		send("content_block_stop", object{"index": index})
		index++
	}
	send("message_start", object{"message": message})
	if st.think != "" {
		open(object{"type": "thinking", "thinking": "", "signature": ""})
		for word := range strings.SplitAfterSeq(st.think, " ") {
			delta(object{"type": "thinking_delta", "thinking": word})
		}
		delta(object{"type": "signature_delta", "signature": "c2NyaXB0ZWQ="})
		end()
	}
	open(object{"type": "text", "text": ""})
	if st.words {
		endless(r, func(word string) bool { return delta(object{"type": "text_delta", "text": word}) })
		return
	}
	spoken(r, st.text, st.slow, func(word string) bool { return delta(object{"type": "text_delta", "text": word}) })
	end()
	if st.tool != "" {
		args, _ := json.Marshal(st.args)
		open(object{"type": "tool_use", "id": id, "name": st.tool, "input": object{}})
		half := len(args) / 2
		delta(object{"type": "input_json_delta", "partial_json": string(args[:half])})
		delta(object{"type": "input_json_delta", "partial_json": string(args[half:])})
		end()
	}
	send("message_delta", object{"delta": object{"stop_reason": stop, "stop_sequence": nil}, "usage": object{"output_tokens": 20}})
	send("message_stop", object{})
}

// blocks reads a message's content, which may be a bare string.
func blocks(raw json.RawMessage) []block {
	var list []block
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	var text string
	_ = json.Unmarshal(raw, &text)
	return []block{{Type: "text", Text: text}}
}

var planFile = regexp.MustCompile(`/[^\s"\\]*/plans/[\w-]+\.md`)

// nextAnthropic adds what only Claude Code's model is asked for: the suggestion of
// a next prompt, which comes with tools, a question to the person, and a plan.
func (s *Sim) nextAnthropic(a asked, body string) step {
	prompt, results := a.prompt, a.results
	if len(a.tools) == 0 {
		return step{text: "A short title"}
	}
	switch {
	case strings.Contains(prompt, "SUGGESTION MODE") || strings.Contains(prompt, "ONLY the suggestion"):
		return step{text: "run the tests"}
	case strings.Contains(prompt, "ask me") && results == 0:
		return step{text: "A question. ", think: "They want to be asked. ", tool: "AskUserQuestion", args: object{"questions": []object{{
			"question": "Which colour?", "header": "Colour", "multiSelect": false,
			"options": []object{{"label": "Red", "description": "warm"}, {"label": "Blue", "description": "cold"}},
		}}}}
	case strings.Contains(prompt, "ask me"):
		return step{text: "Thank you for the answer.\n"}
	case strings.Contains(prompt, "make a plan") && results == 0:
		return step{text: "Planning. ", tool: "EnterPlanMode", args: object{}}
	case strings.Contains(prompt, "make a plan") && results == 1:
		// In plan mode the agent names the file that the plan belongs in.
		if file := planFile.FindString(body); file != "" {
			return step{text: "I write it down. ", tool: "Write", args: object{"file_path": file, "content": "1. Look\n2. Leap\n"}}
		}
		return step{text: "My plan is ready. ", tool: "ExitPlanMode", args: object{"plan": "1. Look\n2. Leap\n"}}
	case strings.Contains(prompt, "make a plan") && results == 2:
		return step{text: "My plan is ready. ", tool: "ExitPlanMode", args: object{}}
	case strings.Contains(prompt, "make a plan"):
		return step{text: "The plan is settled.\n"}
	}
	return s.next(a)
}
