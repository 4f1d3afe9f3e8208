package acp_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"catamaran/internal/agent/agenttest"
	"catamaran/internal/agent/lenient"
)

// fakeAgent is a scripted agent: enough ACP to be opened, then what its role says.
type fakeAgent struct {
	*agenttest.Fake
	cwd string
	id  string
	ids int
}

func (f *fakeAgent) update(fields string) {
	fmt.Fprintf(f.Out, `{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":%q,"update":{%s}}}`+"\n", f.id, fields)
}

func (f *fakeAgent) say(text string) {
	b, _ := json.Marshal(text)
	f.update(`"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":` + string(b) + `}`)
	_ = f.Out.Flush()
}

// ask sends a request and says what was answered.
func (f *fakeAgent) ask(method, params string) {
	f.ids++
	f.Line(`{"jsonrpc":"2.0","id":"fake-%d","method":%q,"params":%s}`, f.ids, method, params)
	m, _ := f.Read()
	f.say(fmt.Sprintf("%s: result=%s error=%s\n", method, m.Result, m.Error))
}

func param(m agenttest.Message, name string) string {
	return lenient.Text(lenient.Fields(m.Params)[name])
}

// fake plays a role until stdin ends.
func fake(role string) int {
	f := &fakeAgent{Fake: agenttest.NewFake(), id: "s1"}
	switch role {
	case "dead":
		fmt.Fprintln(os.Stderr, "fake: the model server is on fire")
		return 3
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	case "mute":
		for {
			if _, ok := f.Read(); !ok {
				return 0
			}
		}
	}
	for {
		m, ok := f.Read()
		if !ok {
			if role == "stubborn" {
				select {}
			}
			return 0
		}
		switch m.Method {
		case "initialize":
			if role == "garbage" {
				f.Line("Welcome to Fake 1.0!\n\n{\"half\": \n\x1b[31mred\x1b[0m")
			}
			version, caps := `1`, `{}`
			switch role {
			case "v2":
				version = `2`
			case "missing":
				f.Line(`{"id":%s,"result":null}`, m.ID)
				continue
			case "replay", "forgetful":
				caps = `{"loadSession":true}`
			case "resume":
				caps = `{"loadSession":true,"sessionCapabilities":{"resume":{}}}`
			}
			f.Line(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":%s,"agentCapabilities":%s,"agentInfo":{"version":"1.2.3"},"news":[1]}}`, m.ID, version, caps)
		case "session/new":
			f.cwd = param(m, "cwd")
			switch role {
			case "signin":
				f.Line(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":"Authentication required"}}`, m.ID)
			case "modes":
				f.Line(`{"jsonrpc":"2.0","id":%s,"result":{"sessionId":"s1","modes":{"currentModeId":"auto","availableModes":[{"id":"auto"},{"id":"default"}]}}}`, m.ID)
			default:
				f.Line(`{"jsonrpc":"2.0","id":%s,"result":{"sessionId":"s1"}}`, m.ID)
			}
			if role == "deaf" {
				select {}
			}
		case "session/set_mode":
			f.Line(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32603,"message":"refused"}}`, m.ID)
		case "session/load", "session/resume":
			if role == "forgetful" {
				f.Line(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"no such session"}}`, m.ID)
				continue
			}
			f.id = param(m, "sessionId")
			if m.Method == "session/load" {
				f.update(`"sessionUpdate":"user_message_chunk","content":{"type":"text","text":"old question"}`)
				f.say("old answer")
				f.update(`"sessionUpdate":"tool_call","toolCallId":"old","title":"old","status":"completed"`)
			}
			f.Line(`{"jsonrpc":"2.0","id":%s,"result":{}}`, m.ID)
			if m.Method == "session/load" {
				f.say("the end of the old answer, late")
			}
		case "_catamaran/flush":
			f.Line(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}`, m.ID)
		case "session/prompt":
			stop := f.turn(role, m)
			if stop != "" {
				f.Line(`{"jsonrpc":"2.0","id":%s,"result":{"stopReason":%q}}`, m.ID, stop)
			}
		}
	}
}

func (f *fakeAgent) turn(role string, m agenttest.Message) string {
	switch role {
	case "garbage":
		for i := range 5 {
			f.Line("debug: step %d", i)
			f.say(fmt.Sprint(i))
		}
	case "odd":
		f.Line(`{"jsonrpc":"2.0","method":"_vendor/news","params":[]}`)
		f.Line(`{"jsonrpc":"2.0","method":"session/update","params":7}`)
		f.Line(`{"jsonrpc":"2.0","id":12345,"result":{}}`)
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
		f.ask("dance/tango", `{}`)
	case "permission":
		f.ask("vendor/item/requestApproval", `{"reason":"Launch the rocket?"}`)
		f.ask("session/request_permission", `{"options":[{"optionId":"maybe","name":"Maybe","kind":"allow_on_tuesdays"}],"toolCall":{"toolCallId":"t9","title":"think hard","kind":"levitate"}}`)
		f.ask("session/request_permission", `null`)
	case "huge":
		f.say(strings.Repeat("0123456789abcdef", agenttest.HugeBytes/16))
	case "flood":
		for i := range agenttest.FloodPieces {
			f.update(fmt.Sprintf(`"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"%d "}`, i))
		}
		_ = f.Out.Flush()
	case agenttest.Leaves:
		if err := f.Leave(); err != nil {
			f.say(err.Error())
			break
		}
		f.say("it is on its way")
		_, _ = f.Read()
		return ""
	case "stubborn":
		f.say("I will not stop")
		return ""
	case "aborts":
		f.say("working")
		for {
			if c, _ := f.Read(); c.Method == "session/cancel" {
				f.Line(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32603,"message":"AbortError"}}`, m.ID)
				return ""
			}
		}
	case "late":
		f.say("working")
		for {
			if c, _ := f.Read(); c.Method == "session/cancel" {
				f.ask("session/request_permission", `{"options":[{"optionId":"yes","kind":"allow_once"}]}`)
				return "cancelled"
			}
		}
	case "fails":
		f.Line(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32603,"message":"quota used up","data":{"details":"try tomorrow"}}}`, m.ID)
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
