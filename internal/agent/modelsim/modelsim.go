// Package modelsim is a scripted model on loopback for tests that drive real
// agent programs: OpenAI-compatible chat completions, Gemini's generateContent
// and Anthropic's messages, streamed as server-sent events. In every turn it answers step
// 0 with a shell tool call, step 1 with a file write, step 2 with text; a prompt
// that holds "stream" it answers with words until the agent hangs up. Only tests
// import it; it listens on 127.0.0.1 alone.
package modelsim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Script is what the model does.
type Script struct {
	Command    string // run in step 0
	File, Text string // written in step 1; File is absolute
	Say        string // said in step 2
}

// Sim is a running model server.
type Sim struct {
	URL string
	// Log is told of every request; may be nil.
	Log    func(format string, args ...any)
	script Script
	server *httptest.Server
	calls  atomic.Int64
}

// Start serves a script until Close.
func Start(script Script, log func(string, ...any)) *Sim {
	s := &Sim{script: script, Log: log}
	if s.Log == nil {
		s.Log = func(string, ...any) {}
	}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = s.server.URL
	return s
}

// Close hangs up on everybody and ends the server.
func (s *Sim) Close() {
	s.server.CloseClientConnections()
	s.server.Close()
}

type object = map[string]any

// maxRequest bounds a request body in bytes.
const maxRequest = 32 << 20

func (s *Sim) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/chat/completions"):
		s.chat(w, r, body)
	case strings.HasSuffix(r.URL.Path, "/responses"):
		s.responses(w, r, body)
	case strings.HasSuffix(r.URL.Path, ":streamGenerateContent"):
		s.gemini(w, r, body, true)
	case strings.HasSuffix(r.URL.Path, ":generateContent"):
		s.gemini(w, r, body, false)
	case strings.HasSuffix(r.URL.Path, ":countTokens"):
		reply(w, object{"totalTokens": 10})
	case strings.HasSuffix(r.URL.Path, "/messages"):
		s.anthropic(w, r, body)
	case strings.HasSuffix(r.URL.Path, "/messages/count_tokens"):
		reply(w, object{"input_tokens": 10})
	case r.Method == http.MethodHead:
		w.WriteHeader(http.StatusOK) // a client that looks whether anybody is there
	default:
		s.Log("modelsim: no answer to %s %s", r.Method, r.URL.Path)
		http.NotFound(w, r)
	}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// asked is what a request comes down to.
type asked struct {
	model, prompt string
	results       int      // tool results since the prompt
	tools         []string // offered
	pictures      int      // that came with the prompt
}

// said is the answer to prompts that every protocol takes alike: which model it is, how
// many pictures it sees, words for a while, and that it was steered.
func said(a asked) (text string, slow bool) {
	switch p := a.prompt; {
	case strings.Contains(p, "steered"):
		return "I was steered.", false
	case strings.Contains(p, "which model"):
		return "The model is " + a.model + ".", false
	case strings.Contains(p, "pictures"):
		return fmt.Sprintf("I see %d of them.", a.pictures), false
	case strings.Contains(p, "take your time"):
		return strings.Repeat("word ", slowWords) + "done.", true
	}
	return "", false
}

// slowWords come slowPause apart where the model takes its time: long enough for a
// message to reach the turn, short enough to wait for.
const (
	slowWords = 40
	slowPause = 50 * time.Millisecond
)

// spoken sends a text word by word.
func spoken(r *http.Request, text string, slow bool, send func(word string) bool) {
	for word := range strings.SplitAfterSeq(text, " ") {
		if slow {
			select {
			case <-time.After(slowPause):
			case <-r.Context().Done():
				return
			}
		}
		if !send(word) {
			return
		}
	}
}

// step is what the model does next.
type step struct {
	text  string
	think string // before the text, where the protocol has it
	tool  string
	args  object
	words bool // endless
	slow  bool // the text comes slowly
}

var (
	shells = []string{"bash", "run_shell_command", "shell", "Bash"}
	writes = []string{"write", "write_file", "Write"}
)

// next decides from the newest prompt, the number of tool results after it, and the offered tools.
func (s *Sim) next(a asked) step {
	prompt, results, tools := a.prompt, a.results, a.tools
	find := func(names []string) string {
		for _, n := range names {
			if slices.Contains(tools, n) {
				return n
			}
		}
		return ""
	}
	shell, write := find(shells), find(writes)
	switch {
	case len(tools) == 0:
		return step{text: "A short title"}
	case strings.Contains(prompt, "stream"):
		return step{words: true}
	}
	if text, slow := said(a); text != "" {
		return step{text: text, slow: slow}
	}
	if strings.Contains(prompt, "make a plan") {
		// OpenCode plans by its list of things to do.
		if results == 0 && slices.Contains(tools, "todowrite") {
			return step{text: "Planning. ", tool: "todowrite", args: object{"todos": []object{
				{"content": "1. Look", "status": "in_progress", "priority": "high"}, {"content": "2. Leap", "status": "pending", "priority": "high"}}}}
		}
		return step{text: "The plan is settled.\n"}
	}
	switch {
	case results == 0 && shell != "":
		return step{text: "I will run a command. ", tool: shell, args: object{"command": s.script.Command, "description": "scripted command"}}
	case results == 1 && write == "write":
		return step{text: "Now I will edit a file. ", tool: write, args: object{"filePath": s.script.File, "content": s.script.Text}}
	case results == 1 && write != "":
		return step{text: "Now I will edit a file. ", tool: write, args: object{"file_path": s.script.File, "content": s.script.Text}}
	}
	return step{text: s.script.Say}
}

// events writes server-sent events; false when the agent has hung up.
func events(w http.ResponseWriter) func(v any) bool {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	return func(v any) bool {
		data, ok := v.(string)
		if !ok {
			b, _ := json.Marshal(v)
			data = string(b)
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil {
			return false
		}
		return flush.Flush() == nil
	}
}

// endless sends words until the agent hangs up or a minute has passed.
func endless(r *http.Request, send func(word string) bool) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := range 3000 {
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
			if !send(fmt.Sprintf("word%d ", i)) {
				return
			}
		}
	}
}

func (s *Sim) chat(w http.ResponseWriter, r *http.Request, body []byte) {
	var q struct {
		Model    string `json:"model"`
		Stream   bool   `json:"stream"`
		Messages []struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
		Tools []struct {
			Function struct {
				Name string `json:"name"`
			} `json:"function"`
		} `json:"tools"`
	}
	if err := json.Unmarshal(body, &q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a := asked{model: q.Model}
	for _, m := range q.Messages {
		switch m.Role {
		case "user":
			a.prompt, a.results, a.pictures = string(m.Content), 0, strings.Count(string(m.Content), `"image_url":`)
		case "tool":
			a.results++
		}
	}
	for _, t := range q.Tools {
		a.tools = append(a.tools, t.Function.Name)
	}
	st := s.next(a)
	s.Log("modelsim: chat, %d results, tools %v: %q %s", a.results, a.tools, st.text, st.tool)
	id := fmt.Sprintf("chatcmpl-%d", s.calls.Add(1))
	usage := object{"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
	if !q.Stream {
		reply(w, object{"id": id, "object": "chat.completion", "model": "fake-model", "usage": usage, "choices": []object{
			{"index": 0, "finish_reason": "stop", "message": object{"role": "assistant", "content": st.text}}}})
		return
	}
	send := events(w)
	delta := func(d object, finish any) bool {
		return send(object{"id": id, "object": "chat.completion.chunk", "model": "fake-model", "choices": []object{{"index": 0, "delta": d, "finish_reason": finish}}})
	}
	if st.words {
		endless(r, func(word string) bool { return delta(object{"role": "assistant", "content": word}, nil) })
		return
	}
	spoken(r, st.text, st.slow, func(word string) bool { return delta(object{"role": "assistant", "content": word}, nil) })
	finish := "stop"
	if st.tool != "" {
		finish = "tool_calls"
		args, _ := json.Marshal(st.args)
		delta(object{"tool_calls": []object{{"index": 0, "id": "call_" + id, "type": "function", "function": object{"name": st.tool, "arguments": string(args)}}}}, nil)
	}
	delta(object{}, finish)
	send(object{"id": id, "object": "chat.completion.chunk", "model": "fake-model", "choices": []object{}, "usage": usage})
	send("[DONE]")
}

// geminiPlans is how Gemini CLI names the folder that plans belong in, to the model.
var geminiPlans = regexp.MustCompile(`in the plans directory: ([^"\\]+)/`)

// nextGemini adds the plan mode's steps: a file in the folder for plans, and the request to
// carry it out.
func (s *Sim) nextGemini(a asked, body []byte) step {
	folder := geminiPlans.FindSubmatch(body)
	if !strings.Contains(a.prompt, "make a plan") || folder == nil {
		return s.next(a)
	}
	switch a.results {
	case 0:
		return step{text: "I write it down. ", tool: "write_file", args: object{"file_path": string(folder[1]) + "/leap.md", "content": "1. Look\n2. Leap\n"}}
	case 1:
		return step{text: "My plan is ready. ", tool: "exit_plan_mode", args: object{"plan_filename": "leap.md"}}
	}
	return step{text: "The plan is settled.\n"}
}

func (s *Sim) gemini(w http.ResponseWriter, r *http.Request, body []byte, stream bool) {
	type part struct {
		Text             string          `json:"text"`
		FunctionResponse json.RawMessage `json:"functionResponse"`
		InlineData       json.RawMessage `json:"inlineData"`
	}
	var q struct {
		Contents []struct {
			Role  string `json:"role"`
			Parts []part `json:"parts"`
		} `json:"contents"`
		Tools []struct {
			FunctionDeclarations []struct {
				Name string `json:"name"`
			} `json:"functionDeclarations"`
		} `json:"tools"`
		GenerationConfig struct {
			ResponseMimeType string `json:"responseMimeType"`
		} `json:"generationConfig"`
	}
	if err := json.Unmarshal(body, &q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, model, _ := strings.Cut(strings.TrimSuffix(r.URL.Path, ":streamGenerateContent"), "/models/")
	a := asked{model: model}
	for _, c := range q.Contents {
		if c.Role != "user" {
			continue
		}
		for _, p := range c.Parts {
			switch {
			case len(p.FunctionResponse) > 0:
				a.results++
			case len(p.InlineData) > 0:
				a.pictures++
			case p.Text != "":
				a.prompt, a.results = p.Text, 0
			}
		}
	}
	for _, t := range q.Tools {
		for _, f := range t.FunctionDeclarations {
			a.tools = append(a.tools, f.Name)
		}
	}
	usage := object{"promptTokenCount": 10, "candidatesTokenCount": 10, "totalTokenCount": 20}
	answer := func(finish string, parts ...object) object {
		c := object{"index": 0, "content": object{"role": "model", "parts": parts}}
		if finish != "" {
			c["finishReason"] = finish
		}
		return object{"candidates": []object{c}, "usageMetadata": usage, "modelVersion": "fake-model"}
	}
	if q.GenerationConfig.ResponseMimeType == "application/json" || !stream {
		// The router and other helpers of Gemini CLI want JSON of their own shape.
		reply(w, answer("STOP", object{"text": `{"reasoning":"scripted","model_choice":"flash","complexity_reasoning":"scripted","complexity_score":1,"next_speaker":"user"}`}))
		return
	}
	st := s.nextGemini(a, body)
	s.Log("modelsim: gemini %s, %d results, tools %v: %q %s", model, a.results, a.tools, st.text, st.tool)
	send := events(w)
	if st.words {
		endless(r, func(word string) bool { return send(answer("", object{"text": word})) })
		return
	}
	spoken(r, st.text, st.slow, func(word string) bool { return send(answer("", object{"text": word})) })
	if st.tool != "" {
		send(answer("STOP", object{"functionCall": object{"id": fmt.Sprintf("fc_%d", s.calls.Add(1)), "name": st.tool, "args": st.args}}))
		return
	}
	send(answer("STOP", object{"text": ""}))
}
