package acp_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// fakeAgent is a scripted agent: enough ACP to be opened, then what its role says.
type fakeAgent struct {
	in  *bufio.Reader
	out *bufio.Writer
	cwd string
	id  string
	ids int
}

type fakeMessage struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Cwd       string `json:"cwd"`
		SessionID string `json:"sessionId"`
	} `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

func (f *fakeAgent) read() (fakeMessage, bool) {
	line, err := f.in.ReadBytes('\n')
	var m fakeMessage
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

func (f *fakeAgent) update(fields string) {
	fmt.Fprintf(f.out, `{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":%q,"update":{%s}}}`+"\n", f.id, fields)
}

func (f *fakeAgent) say(text string) {
	b, _ := json.Marshal(text)
	f.update(`"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":` + string(b) + `}`)
	_ = f.out.Flush()
}

// ask sends a request and says what was answered.
func (f *fakeAgent) ask(method, params string) {
	f.ids++
	f.line(`{"jsonrpc":"2.0","id":"fake-%d","method":%q,"params":%s}`, f.ids, method, params)
	m, _ := f.read()
	f.say(fmt.Sprintf("%s: result=%s error=%s\n", method, m.Result, m.Error))
}

// fake plays a role until stdin ends.
func fake(role string) int {
	f := &fakeAgent{in: bufio.NewReaderSize(os.Stdin, 1<<16), out: bufio.NewWriter(os.Stdout), id: "s1"}
	switch role {
	case "dead":
		fmt.Fprintln(os.Stderr, "fake: the model server is on fire")
		return 3
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	case "mute":
		for {
			if _, ok := f.read(); !ok {
				return 0
			}
		}
	}
	for {
		m, ok := f.read()
		if !ok {
			if role == "stubborn" {
				select {}
			}
			return 0
		}
		switch m.Method {
		case "initialize":
			if role == "garbage" {
				f.line("Welcome to Fake 1.0!\n\n{\"half\": \n\x1b[31mred\x1b[0m")
			}
			version, caps := `1`, `{}`
			switch role {
			case "v2":
				version = `2`
			case "missing":
				f.line(`{"id":%s,"result":null}`, m.ID)
				continue
			case "replay", "forgetful":
				caps = `{"loadSession":true}`
			case "resume":
				caps = `{"loadSession":true,"sessionCapabilities":{"resume":{}}}`
			}
			f.line(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":%s,"agentCapabilities":%s,"agentInfo":{"version":"1.2.3"},"news":[1]}}`, m.ID, version, caps)
		case "session/new":
			f.cwd = m.Params.Cwd
			switch role {
			case "signin":
				f.line(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":"Authentication required"}}`, m.ID)
			case "modes":
				f.line(`{"jsonrpc":"2.0","id":%s,"result":{"sessionId":"s1","modes":{"currentModeId":"auto","availableModes":[{"id":"auto"},{"id":"default"}]}}}`, m.ID)
			default:
				f.line(`{"jsonrpc":"2.0","id":%s,"result":{"sessionId":"s1"}}`, m.ID)
			}
			if role == "deaf" {
				select {}
			}
		case "session/set_mode":
			f.line(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32603,"message":"refused"}}`, m.ID)
		case "session/load", "session/resume":
			if role == "forgetful" {
				f.line(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"no such session"}}`, m.ID)
				continue
			}
			f.id = m.Params.SessionID
			if m.Method == "session/load" {
				f.update(`"sessionUpdate":"user_message_chunk","content":{"type":"text","text":"old question"}`)
				f.say("old answer")
				f.update(`"sessionUpdate":"tool_call","toolCallId":"old","title":"old","status":"completed"`)
			}
			f.line(`{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID)
			if m.Method == "session/load" {
				f.say("the end of the old answer, late")
			}
		case "_catamaran/flush":
			f.line(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}`, m.ID)
		case "session/prompt":
			stop := f.turn(role, m)
			if stop != "" {
				f.line(`{"jsonrpc":"2.0","id":%s,"result":{"stopReason":%q}}`, m.ID, stop)
			}
		}
	}
}

func (f *fakeAgent) turn(role string, m fakeMessage) string {
	switch role {
	case "garbage":
		for i := range 5 {
			f.line("debug: step %d", i)
			f.say(fmt.Sprint(i))
		}
	case "odd":
		f.line(`{"jsonrpc":"2.0","method":"_vendor/news","params":[]}`)
		f.line(`{"jsonrpc":"2.0","method":"session/update","params":7}`)
		f.line(`{"jsonrpc":"2.0","id":12345,"result":{}}`)
		f.update(`"sessionUpdate":"state_update","state":"running"`)
		f.update(`"sessionUpdate":"agent_message_chunk","messageId":5,"content":{"type":"hologram"}`)
		f.update(`"sessionUpdate":"agent_message_chunk"`)
		f.update(`"sessionUpdate":"tool_call","title":"no id"`)
		f.update(`"sessionUpdate":"tool_call_update","toolCallId":"late","status":"galloping","content":"text","locations":{"path":1},"rawInput":7,"rawOutput":[1]`)
		f.update(`"sessionUpdate":"tool_call_update","toolCallId":"late","status":"completed","rawOutput":{"exit_code":4}`)
		f.update(`"sessionUpdate":"plan","entries":[{"content":"a","status":"completed"},{"content":"b","status":"dreaming"},5]`)
		f.update(`"sessionUpdate":"usage_update","used":5,"size":10`)
		f.update(`"sessionUpdate":"current_mode_update","currentModeId":"x"`)
		f.ask("elicitation/create", `{}`)
	case "permission":
		f.ask("vendor/item/requestApproval", `{"reason":"Launch the rocket?"}`)
		f.ask("session/request_permission", `{"options":[{"optionId":"maybe","name":"Maybe","kind":"allow_on_tuesdays"}],"toolCall":{"toolCallId":"t9","title":"think hard","kind":"levitate"}}`)
		f.ask("session/request_permission", `null`)
	case "huge":
		f.say(strings.Repeat("0123456789abcdef", 20<<16))
	case "flood":
		for i := range 50_000 {
			f.update(fmt.Sprintf(`"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"%d "}`, i))
		}
		_ = f.out.Flush()
	case "stubborn":
		f.say("I will not stop")
		return ""
	case "aborts":
		f.say("working")
		for {
			if c, _ := f.read(); c.Method == "session/cancel" {
				f.line(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32603,"message":"AbortError"}}`, m.ID)
				return ""
			}
		}
	case "late":
		f.say("working")
		for {
			if c, _ := f.read(); c.Method == "session/cancel" {
				f.ask("session/request_permission", `{"options":[{"optionId":"yes","kind":"allow_once"}]}`)
				return "cancelled"
			}
		}
	case "fails":
		f.line(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32603,"message":"quota used up","data":{"details":"try tomorrow"}}}`, m.ID)
		return ""
	case "files":
		q := func(path string) string { b, _ := json.Marshal(path); return string(b) }
		path := q(filepath.Join(f.cwd, "inside.txt"))
		f.ask("fs/write_text_file", fmt.Sprintf(`{"sessionId":"s1","path":%s,"content":"a"}`, path))
		f.ask("fs/read_text_file", fmt.Sprintf(`{"path":%s}`, path))
	case "exits":
		f.say("bye")
		fmt.Fprintln(os.Stderr, "fake: out of memory")
		os.Exit(9)
	default:
		f.say("hello")
	}
	return "end_turn"
}
