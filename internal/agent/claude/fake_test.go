package claude_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"catamaran/internal/agent/agenttest"
)

// fakeAgent is a scripted agent: enough of the protocol to be opened, then what its
// role says.
type fakeAgent struct {
	in   *bufio.Reader
	out  *bufio.Writer
	id   string // of the session
	mode string
	n    int
}

type fakeMessage struct {
	Type      string          `json:"type"`
	UUID      string          `json:"uuid"`
	RequestID json.RawMessage `json:"request_id"`
	Request   struct {
		Subtype string `json:"subtype"`
		Mode    string `json:"mode"`
	} `json:"request"`
	Message struct {
		Content []struct {
			Type string `json:"type"`
			Text string `json:"text"`
		} `json:"content"`
	} `json:"message"`
	Response struct {
		Subtype  string          `json:"subtype"`
		Error    string          `json:"error"`
		Response json.RawMessage `json:"response"`
	} `json:"response"`
}

func (f *fakeAgent) read() (m fakeMessage, ok bool) {
	line, err := f.in.ReadBytes('\n')
	if err != nil {
		return m, false
	}
	_ = json.Unmarshal(line, &m)
	return m, true
}

func (f *fakeAgent) line(format string, args ...any) {
	fmt.Fprintf(f.out, format+"\n", args...)
	_ = f.out.Flush()
}

func js(v any) string { b, _ := json.Marshal(v); return string(b) }

// say streams text and then tells it whole, as the real one does.
func (f *fakeAgent) say(text string) {
	f.begin()
	f.delta(text)
	f.whole(text)
}

func (f *fakeAgent) begin() {
	f.n++
	f.line(`{"type":"stream_event","event":{"type":"message_start","message":{"id":"m%d","usage":{"input_tokens":7,"output_tokens":1}}},"parent_tool_use_id":null}`, f.n)
	f.line(`{"type":"stream_event","event":{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}},"parent_tool_use_id":null}`)
}

func (f *fakeAgent) delta(text string) {
	fmt.Fprintf(f.out, `{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":%s}},"parent_tool_use_id":null}`+"\n", js(text))
}

func (f *fakeAgent) whole(text string) {
	f.line(`{"type":"assistant","message":{"id":"m%d","role":"assistant","content":[{"type":"text","text":%s}]},"parent_tool_use_id":null}`, f.n, js(text))
}

// ask sends a control request and returns the answer; it says what else it was sent.
func (f *fakeAgent) ask(request string) fakeMessage {
	f.n++
	f.line(`{"type":"control_request","request_id":"r%d","request":%s}`, f.n, request)
	m, _ := f.read()
	return m
}

// tell asks and says what was answered.
func (f *fakeAgent) tell(request string) {
	m := f.ask(request)
	f.say(fmt.Sprintf("%s %s%s\n", m.Response.Subtype, m.Response.Response, m.Response.Error))
}

func (f *fakeAgent) use(name string, input any) string {
	f.n++
	f.line(`{"type":"assistant","message":{"id":"m%d","content":[{"type":"tool_use","id":"t%d","name":%q,"input":%s}]},"parent_tool_use_id":null}`, f.n, f.n, name, js(input))
	return fmt.Sprintf("t%d", f.n)
}

func (f *fakeAgent) result(fields string) {
	f.line(`{"type":"result","session_id":%q,"usage":{"input_tokens":5,"cache_read_input_tokens":2,"output_tokens":3},"modelUsage":{"m":{"contextWindow":1000}},%s}`, f.id, fields)
}

const success = `"subtype":"success","is_error":false,"terminal_reason":"completed","stop_reason":"end_turn"`

// hang waits for its end; a bare select would be taken for a deadlock.
func hang() { <-time.After(time.Hour) }

// option is the value of a command line option.
func option(name string) string {
	if i := slices.Index(os.Args, name); i > 0 && i+1 < len(os.Args) {
		return os.Args[i+1]
	}
	return ""
}

// fake plays a role until stdin ends.
func fake(role string) int {
	f := &fakeAgent{in: bufio.NewReaderSize(os.Stdin, 1<<16), out: bufio.NewWriter(os.Stdout), mode: option("--permission-mode")}
	sessions := os.Getenv(stateVar)
	f.id = option("--session-id")
	switch role {
	case "dead":
		fmt.Fprintln(os.Stderr, "fake: the licence server is on fire")
		return 3
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	case "root":
		if f.mode == "bypassPermissions" {
			fmt.Fprintln(os.Stderr, "--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons")
			return 1
		}
	case "mute":
		for {
			if _, ok := f.read(); !ok {
				return 0
			}
		}
	}
	if r := option("--resume"); r != "" {
		if _, err := os.Stat(filepath.Join(sessions, r)); err != nil {
			f.result(`"subtype":"error_during_execution","is_error":true`)
			fmt.Fprintln(os.Stderr, "No conversation found with session ID: "+r)
			return 1
		}
		f.id = r
	}
	if role == "recorded" {
		return f.recorded(os.Getenv(recordVar))
	}
	for {
		m, ok := f.read()
		if !ok {
			if role == "stubborn" {
				hang()
			}
			return 0
		}
		switch {
		case m.Request.Subtype == "initialize":
			if role == "garbage" {
				f.line("Welcome to Fake 1.0!\n\n{\"half\": \n\x1b[31mred\x1b[0m\n[]\n{}\n{\"type\":7}")
			}
			response := `{"claude_code_version":"1.2.3","commands":[{"name":"init","description":"Begin","argumentHint":"[how]"},{},7],"models":[{"value":"default","resolvedModel":"s-1"},` +
				`{"value":"small","resolvedModel":"s-1","displayName":"Small","supportedEffortLevels":["low","high"]},{"value":"big"},{}]}`
			if role == "missing" {
				response = `null`
			}
			f.line(`{"type":"control_response","response":{"subtype":"success","request_id":%s,"response":%s}}`, m.RequestID, response)
			if role == "deaf" {
				hang()
			}
		case m.Request.Subtype == "set_permission_mode":
			f.mode = m.Request.Mode
			f.line(`{"type":"control_response","response":{"subtype":"success","request_id":%s,"response":{"mode":%q}}}`, m.RequestID, f.mode)
			f.line(`{"type":"system","subtype":"status","permissionMode":%q}`, f.mode)
		case m.Request.Subtype == "get_settings":
			f.line(`{"type":"control_response","response":{"subtype":"success","request_id":%s,"response":{"effective":{}}}}`, m.RequestID)
		case m.Request.Subtype == "set_model":
			f.line(`{"type":"control_response","response":{"subtype":"error","request_id":%s,"error":"Network error."}}`, m.RequestID)
		case m.Request.Subtype == "interrupt":
			f.line(`{"type":"control_response","response":{"subtype":"success","request_id":%s,"response":{}}}`, m.RequestID)
		case m.Type == "user":
			if role == "moves" {
				f.id = "moved"
			}
			f.line(`{"type":"system","subtype":"init","session_id":%q,"claude_code_version":"1.2.3","permissionMode":%q}`, f.id, f.mode)
			if err := os.WriteFile(filepath.Join(sessions, f.id), nil, 0o600); err != nil {
				return 4
			}
			if r := f.turn(role, m); r != "" {
				f.result(r)
			}
		}
	}
}

const aborted = `"subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_tools","stop_reason":null,"errors":["aborted"]`

func (f *fakeAgent) turn(role string, m fakeMessage) string {
	switch role {
	case "works":
		return f.works(m)
	case "garbage":
		f.begin()
		for i := range 5 {
			f.line("debug: step %d", i)
			f.delta(fmt.Sprint(i))
		}
		f.whole("01234")
	case "odd":
		f.odd()
	case "asks":
		f.tell(`{"subtype":"hook_callback","callback_id":"h","input":{}}`)
		f.tell(`{"subtype":"mcp_message","server_name":"x","message":{}}`)
		f.tell(`{"subtype":"elicitation","mcp_server_name":"shoes","mode":"form","message":"Your shoe size?","requested_schema":{"type":"object","properties":{"size":{"type":"integer"}}}}`)
		f.tell(`{"subtype":"dance"}`)
		f.tell(`{"subtype":"request_permission_to_launch","reason":"Launch the rocket?","input":{"a":1}}`)
		f.tell(`{"subtype":"can_use_tool"}`)
		f.tell(`{"subtype":"can_use_tool","tool_name":"AskUserQuestion","input":{"questions":"?"},"tool_use_id":"q1"}`)
	case "questions":
		f.tell(`{"subtype":"can_use_tool","tool_name":"AskUserQuestion","tool_use_id":"q1","requires_user_interaction":true,"input":{"more":1,"questions":[` +
			`{"question":"Which colour?","options":[{"label":"Red"},{"label":"Blue"}]},{"question":"Which sizes?","multiSelect":true,"options":[{"label":"S"},{"label":"L"}]}]}}`)
	case "plan":
		id := f.use("ExitPlanMode", map[string]any{"plan": "1. Look"})
		f.tell(`{"subtype":"can_use_tool","tool_name":"ExitPlanMode","input":{},"tool_use_id":"` + id + `","requires_user_interaction":true}`)
	case "withdraws":
		f.n++
		f.line(`{"type":"control_request","request_id":"w1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"rm x"},"tool_use_id":"t1"}}`)
		f.line(`{"type":"control_cancel_request","request_id":"w1"}`)
	case "huge":
		f.whole(strings.Repeat("0123456789abcdef", agenttest.HugeBytes/16))
	case "flood":
		f.begin()
		for i := range agenttest.FloodPieces {
			f.delta(fmt.Sprintf("%d ", i))
		}
	case agenttest.Leaves:
		if err := (&agenttest.Fake{}).Leave(); err != nil {
			f.say(err.Error())
			break
		}
		f.say("it is on its way")
		_, _ = f.read()
		return ""
	case "stubborn":
		f.say("I will not stop")
		return ""
	case "late":
		f.say("working")
		for {
			if m, _ := f.read(); m.Request.Subtype == "interrupt" {
				f.tell(`{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"x"},"tool_use_id":"t1"}`)
				return aborted
			}
		}
	case "queued":
		f.say("woken by myself")
		f.line(`{"type":"result","subtype":"success","is_error":false,"queued_turn_count":1,"result":"woken by myself"}`)
		f.say(", then asked")
	case "command":
		return success + `,"result":"42 tokens used"`
	case "fails":
		return `"subtype":"success","is_error":true,"terminal_reason":"api_error","result":"quota used up"`
	case "limit":
		return `"subtype":"error_max_turns","is_error":false`
	case "refuses":
		return `"subtype":"success","is_error":false,"stop_reason":"refusal"`
	case "signin":
		f.line(`{"type":"assistant","message":{"id":"s","content":[{"type":"text","text":"Not logged in"}]},"error":"authentication_failed","is_api_error_message":true}`)
		return `"subtype":"success","is_error":true,"result":"Not logged in"`
	case "exits":
		f.say("bye")
		fmt.Fprintln(os.Stderr, "fake: out of memory")
		os.Exit(9)
	default:
		f.say("hello")
	}
	return success
}

// works does what a prompt asks for, as a good agent.
func (f *fakeAgent) works(m fakeMessage) string {
	prompt, pictures := "", 0
	for _, b := range m.Message.Content {
		prompt += b.Text
		if b.Type == "image" {
			pictures++
		}
	}
	switch {
	case strings.Contains(prompt, "stream"):
		return f.stream()
	case strings.Contains(prompt, "which model"):
		f.say("The model is " + option("--model") + " with effort " + option("--effort"))
	case strings.Contains(prompt, "pictures"):
		f.say(fmt.Sprintf("I see %d", pictures))
	case strings.Contains(prompt, "question"):
		f.tell(`{"subtype":"can_use_tool","tool_name":"AskUserQuestion","tool_use_id":"q1","input":{"questions":[{"question":"Which?","options":[{"label":"Red"}]}]}}`)
	case strings.Contains(prompt, "plan"):
		if f.mode != "plan" {
			f.say("I am not planning")
			break
		}
		id := f.use("ExitPlanMode", map[string]any{"plan": "1. Look"})
		f.tell(`{"subtype":"can_use_tool","tool_name":"ExitPlanMode","input":{},"tool_use_id":"` + id + `"}`)
	case strings.Contains(prompt, "slowly"):
		f.say("word ")
		if n, _ := f.read(); n.Type == "user" {
			// What comes too late for a turn is one of its own.
			f.result(success + `,"user_message_uuids":[` + js(m.UUID) + `]`)
			f.say("steered by " + n.Message.Content[0].Text)
			return success + `,"user_message_uuids":[` + js(n.UUID) + `]`
		}
	default:
		return f.work()
	}
	return success
}

// recorded plays the agent's part of a recorded conversation and ends when the
// other part is not as it was.
func (f *fakeAgent) recorded(path string) int {
	m, _ := f.read()
	f.line(`{"type":"control_response","response":{"subtype":"success","request_id":%s,"response":{"claude_code_version":"2.1.330"}}}`, m.RequestID)
	file, err := os.ReadFile(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 6
	}
	for line := range strings.Lines(string(file)) {
		var l struct {
			Dir string
			Msg json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 6
		}
		if l.Dir == "a->c" {
			f.line("%s", l.Msg)
			continue
		}
		got, err := f.in.ReadBytes('\n')
		if err != nil {
			return 0
		}
		var was, is any
		if json.Unmarshal(l.Msg, &was) != nil || json.Unmarshal(got, &is) != nil {
			return 5
		}
		if m, ok := is.(map[string]any); ok {
			delete(m, "uuid") // made up anew each time
		}
		if !reflect.DeepEqual(was, is) {
			fmt.Fprintf(os.Stderr, "got  %s\nwant %s\n", got, l.Msg)
			return 5
		}
	}
	_, _ = f.read()
	return 0
}

func (f *fakeAgent) odd() {
	f.line(`{"type":"hologram","data":1}`)
	f.line(`{"type":"keep_alive"}`)
	f.line(`{"type":"system","subtype":"news"}`)
	f.line(`{"type":"system"}`)
	f.line(`{"type":"control_response","response":{"request_id":"never asked"}}`)
	f.line(`{"type":"control_response"}`)
	f.line(`{"type":"control_request"}`)
	f.line(`{"type":"control_cancel_request","request_id":5}`)
	f.line(`{"type":"assistant","message":7}`)
	f.line(`{"type":"assistant","message":{"content":[{"type":"hologram"},7,{"type":"text"},{"type":"tool_use"}]}}`)
	f.line(`{"type":"user","message":{"content":"text"}}`)
	f.line(`{"type":"user","message":{"content":[{"type":"tool_result"},{"type":"tool_result","tool_use_id":"late","content":[{"type":"text","text":"out"},{"type":"image"}]}]}}`)
	f.line(`{"type":"stream_event","event":7}`)
	f.line(`{"type":"stream_event","event":{"type":"content_block_delta","index":3,"delta":{"type":"text_delta","text":"no beginning"}}}`)
	f.line(`{"type":"stream_event","event":{"type":"content_block_delta","index":"x","delta":{"type":"levitation_delta"}}}`)
	f.begin()
	f.delta("streamed")
	f.whole(" otherwise")
	f.line(`{"type":"system","subtype":"api_retry","error":"overloaded"}`)
	f.line(`{"type":"system","subtype":"api_retry","error":"overloaded"}`)
	f.use("TodoWrite", map[string]any{"todos": []any{map[string]any{"content": "a", "status": "completed"}, map[string]any{"content": "b", "status": "dreaming"}, 5}})
	id := f.use("Agent", map[string]any{"description": "look around"})
	f.line(`{"type":"assistant","message":{"id":"sub","content":[{"type":"text","text":"I look"},{"type":"tool_use","id":"inner","name":"Read","input":{"file_path":"/a/b.go"}}]},"parent_tool_use_id":%q}`, id)
	f.line(`{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"inner","content":"text"}]},"parent_tool_use_id":%q}`, id)
	bash := f.use("Bash", map[string]any{"command": "false"})
	f.line(`{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":%q,"is_error":true,"content":"Exit code 4\nno"}]}}`, bash)
}

func (f *fakeAgent) stream() string {
	stop := make(chan fakeMessage)
	go func() {
		m, _ := f.read()
		stop <- m
	}()
	f.begin()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		f.line(`{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"word%d "}},"parent_tool_use_id":null}`, i)
		select {
		case m := <-stop:
			if m.Type == "" {
				os.Exit(0) // stdin has ended
			}
			f.line(`{"type":"control_response","response":{"subtype":"success","request_id":%s,"response":{}}}`, m.RequestID)
			return `"subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_streaming","stop_reason":null`
		case <-tick.C:
		}
	}
}

// work runs a command, writes a file and says so; it asks as its mode says.
func (f *fakeAgent) work() string {
	f.say("I will work. ")
	for _, c := range []struct {
		name  string
		input map[string]any
		asks  bool
		run   func() (string, error)
	}{
		{"Bash", map[string]any{"command": "make it"}, f.mode != "bypassPermissions", func() (string, error) { return "hello", os.WriteFile("made.txt", []byte("hello"), 0o600) }},
		{"Write", map[string]any{"file_path": "notes.md", "content": "written by the fake"}, f.mode == "default", func() (string, error) {
			return "created", os.WriteFile("notes.md", []byte("written by the fake"), 0o600)
		}},
	} {
		id := f.use(c.name, c.input)
		if c.asks {
			m := f.ask(fmt.Sprintf(`{"subtype":"can_use_tool","tool_name":%q,"input":%s,"tool_use_id":%q}`, c.name, js(c.input), id))
			if m.Request.Subtype == "interrupt" {
				f.line(`{"type":"control_cancel_request","request_id":"r%d"}`, f.n)
				f.line(`{"type":"control_response","response":{"subtype":"success","request_id":%s,"response":{}}}`, m.RequestID)
				return aborted
			}
			var d struct{ Behavior string }
			_ = json.Unmarshal(m.Response.Response, &d)
			if d.Behavior != "allow" {
				f.line(`{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":%q,"content":"declined","is_error":true}]},"tool_result_meta":[{"id":%q,"non_execution_kind":"permission-rule"}]}`, id, id)
				continue
			}
		}
		output, err := c.run()
		if err != nil {
			output = err.Error()
		}
		f.line(`{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":%q,"content":%q}]}}`, id, output)
	}
	f.say("Done. ")
	return success
}
