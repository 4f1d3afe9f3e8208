package codex_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"catamaran/internal/agent/agenttest"
	"catamaran/internal/agent/lenient"
)

// fakeCodex is a scripted app-server: enough to be opened, then what its role says.
type fakeCodex struct {
	*agenttest.Fake
	thread string
	ids    int
	tries  map[string]int
}

func (f *fakeCodex) notify(method, fields string) {
	if fields != "" {
		fields = "," + fields
	}
	fmt.Fprintf(f.Out, `{"method":%q,"params":{"threadId":%q,"turnId":"u1"%s}}`+"\n", method, f.thread, fields)
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func (f *fakeCodex) say(text string) {
	f.ids++
	f.notify("item/agentMessage/delta", fmt.Sprintf(`"itemId":"m%d","delta":%s`, f.ids, quote(text)))
	_ = f.Out.Flush()
}

func (f *fakeCodex) item(method, fields string) { f.notify("item/"+method, `"item":{`+fields+`}`) }

// ask sends a request and says what was answered.
func (f *fakeCodex) ask(method, params string) {
	f.ids++
	f.Line(`{"id":%d,"method":%q,"params":%s}`, f.ids, method, params)
	m, _ := f.Read()
	f.say(fmt.Sprintf("%s: result=%s error=%s\n", method, m.Result, m.Error))
}

func (f *fakeCodex) end(status, more string) {
	f.Line(`{"method":"turn/completed","params":{"threadId":%q,"turn":{"id":"u1","status":%q%s}}}`, f.thread, status, more)
}

// refuse answers a call that a fake does not know, as Codex does.
func (f *fakeCodex) refuse(m agenttest.Message) {
	if m.ID != nil && m.Method != "" {
		f.Line(`{"id":%s,"error":{"code":-32600,"message":"Invalid request: unknown variant"}}`, m.ID)
	}
}

// fake plays a role until stdin ends.
func fake(role string) int {
	f := &fakeCodex{Fake: agenttest.NewFake(), thread: "t1", tries: map[string]int{}}
	switch role {
	case "works":
		return works(f)
	case "dead":
		fmt.Fprintln(os.Stderr, "fake: the configuration is on fire")
		return 3
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	}
	for {
		m, ok := f.Read()
		if !ok {
			if role == "stubborn" {
				select {}
			}
			return 0
		}
		if role == "mute" {
			continue
		}
		f.tries[m.Method]++
		if m.ID != nil && (role == "swamped" || role == "overloaded" && f.tries[m.Method] < 3) {
			f.Line(`{"id":%s,"error":{"code":-32001,"message":"Server overloaded; retry later."}}`, m.ID)
			continue
		}
		switch m.Method {
		case "initialize":
			if role == "garbage" {
				f.Line("codex 0.0: hello!\n\n{\"half\": \n\x1b[31mred\x1b[0m")
			}
			if role == "missing" {
				f.Line(`{"id":%s,"result":null}`, m.ID)
				continue
			}
			f.Line(`{"id":%s,"result":{"userAgent":"catamaran/0.169.0 (Debian; x86_64) xterm (catamaran; 0.0.1)","codexHome":7,"news":[]}}`, m.ID)
		case "account/read":
			switch role {
			case "signin":
				f.Line(`{"id":%s,"result":{"account":null,"requiresOpenaiAuth":true}}`, m.ID)
			case "missing":
				f.Line(`{"id":%s,"error":{"code":-32601,"message":"no such method"}}`, m.ID)
			default:
				f.Line(`{"id":%s,"result":{"account":{"type":"apiKey"},"requiresOpenaiAuth":true}}`, m.ID)
			}
		case "thread/start":
			if role == "broken" {
				f.Line(`{"id":%s,"error":{"code":-32600,"message":"config is broken","data":{"line":7}}}`, m.ID)
				continue
			}
			f.Line(`{"id":%s,"result":{"thread":{"id":"t1"}}}`, m.ID)
			if role == "deaf" {
				select {}
			}
		case "thread/resume":
			if role == "forgetful" {
				f.Line(`{"id":%s,"error":{"code":-32600,"message":"no rollout found"}}`, m.ID)
				continue
			}
			f.thread = lenient.Text(lenient.Fields(m.Params)["threadId"])
			f.notify("configWarning", `"summary":"told before"`)
			f.Line(`{"id":%s,"result":{"thread":{"id":%q,"turns":[{"id":"old","items":[{"type":"agentMessage","id":"old","text":"old answer"}]}]}}}`, m.ID, f.thread)
		case "turn/start":
			f.turn(role, m)
		default:
			if role != "stubborn" {
				f.refuse(m)
			}
		}
	}
}

func (f *fakeCodex) turn(role string, m agenttest.Message) {
	started := func() { f.Line(`{"id":%s,"result":{"turn":{"id":"u1"}}}`, m.ID) }
	switch role {
	case "early": // the end is told before the turn's id
		f.say("quick")
		f.end("completed", "")
		started()
		return
	case "refuses":
		f.Line(`{"id":%s,"error":{"code":-32600,"message":"input is not allowed","data":"because"}}`, m.ID)
		return
	}
	f.Line(`{"method":"thread/tokenUsage/updated","params":{"threadId":%q,"turnId":"u0","tokenUsage":{"total":{"inputTokens":100,"outputTokens":10},"last":{"inputTokens":40,"outputTokens":4}}}}`, f.thread)
	started()
	f.Line(`{"method":"turn/started","params":{"threadId":%q,"turn":{"id":"u1"}}}`, f.thread)
	switch role {
	case "garbage":
		for i := range 5 {
			f.Line("debug: step %d", i)
			f.say(fmt.Sprint(i))
		}
	case "odd":
		f.Line(`{"method":"future/thing","params":[]}`)
		f.Line(`{"method":"turn/completed","params":{"threadId":"t1","turn":{"id":"another","status":"failed"}}}`)
		f.Line(`{"method":"turn/completed","params":{"threadId":"t2","turn":{"id":"u1","status":"failed"}}}`)
		f.Line(`{"method":"item/agentMessage/delta","params":{"threadId":"t2","itemId":"x","delta":"of a sub-agent"}}`)
		f.Line(`{"method":"item/agentMessage/delta","params":7}`)
		f.Line(`{"id":12345,"result":{}}`)
		f.item("started", `"type":"hologram","id":"h"`)
		f.item("completed", `"type":"hologram","id":"h"`)
		f.item("completed", `"type":5`)
		f.notify("item/completed", `"item":"text"`)
		f.item("completed", `"type":"commandExecution","id":"late","command":["x"],"status":"galloping","exitCode":4,"aggregatedOutput":"out"`)
		f.notify("turn/plan/updated", `"plan":[{"step":"a","status":"completed"},{"step":"b","status":"inProgress"},{"step":"c","status":"dreaming"},5]`)
		f.notify("thread/tokenUsage/updated", `"tokenUsage":{"total":{"inputTokens":110,"outputTokens":11},"last":{"inputTokens":10,"outputTokens":1,"totalTokens":5},"modelContextWindow":50}`)
		f.notify("thread/tokenUsage/updated", `"tokenUsage":{"total":{"inputTokens":130,"outputTokens":14},"last":{"inputTokens":20,"outputTokens":3,"totalTokens":7},"modelContextWindow":50}`)
		f.notify("error", `"willRetry":true,"error":{"message":"Reconnecting"}`)
		f.notify("warning", `"message":"careful"`)
		f.ask("item/tool/call", `{"tool":"x"}`)
	case "permission":
		f.item("started", `"type":"fileChange","id":"f1","status":"inProgress","changes":[{"path":"/x/a.txt","kind":{"type":"update"},"diff":"@@ -1 +1 @@\n-old\n+new\n"}]`)
		f.ask("item/fileChange/requestApproval", `{"itemId":"f1","threadId":"sub-agent"}`)
		f.ask("item/commandExecution/requestApproval", `{"itemId":"f1","command":"/bin/sh -c 'rm -rf x'","cwd":"/elsewhere","availableDecisions":["decline",{"acceptWithExecpolicyAmendment":{"execpolicy_amendment":["rm"]}},{"later":{"x":1}}]}`)
		f.ask("item/commandExecution/requestApproval", `{"itemId":"c9","networkApprovalContext":{"host":"example.org","protocol":"https"},"availableDecisions":[{"applyNetworkPolicyAmendment":{"network_policy_amendment":{"host":"example.org","action":"deny"}}}]}`)
		f.ask("item/permissions/requestApproval", `{"reason":"Wants more.","permissions":{"network":{"enabled":true},"fileSystem":{"write":["/y"]}}}`)
		f.ask("item/tool/requestUserInput", `{"questions":[{"id":"q1","header":"One","question":"first?","options":[{"label":"Yes","description":"sure"}]},{"id":"q2","question":"second?"}]}`)
		f.ask("mcpServer/elicitation/request", `{"serverName":"maps","mode":"form","message":"Which size?","requestedSchema":{"type":"object","required":["size"],"properties":{"size":{"type":"string","enum":["s","l"],"enumNames":["Small","Large"]}}}}`)
		f.ask("mcpServer/elicitation/request", `{"mode":"form","message":"Your name?","requestedSchema":{"properties":{"name":{"type":"string"}}}}`)
		f.ask("future/rocket/requestApproval", `{"reason":"Launch the rocket?"}`)
		f.ask("item/commandExecution/requestApproval", `null`)
	case "withdraws":
		f.Line(`{"id":"w","method":"item/commandExecution/requestApproval","params":{"command":"x"}}`)
		f.Line(`{"method":"serverRequest/resolved","params":{"threadId":"t1","requestId":"w"}}`)
	case "huge":
		f.say(strings.Repeat("0123456789abcdef", agenttest.HugeBytes/16))
	case "flood":
		for i := range agenttest.FloodPieces {
			f.notify("item/agentMessage/delta", fmt.Sprintf(`"itemId":"m","delta":"%d "`, i))
		}
		_ = f.Out.Flush()
	case "differs":
		f.say("abc") // m1
		f.item("completed", `"type":"agentMessage","id":"m1","text":"abcdef"`)
		f.item("completed", `"type":"agentMessage","id":"m1","text":"abcdef"`)
		f.say("xyz") // m2
		f.item("completed", `"type":"agentMessage","id":"m2","text":"something else"`)
		f.item("completed", `"type":"agentMessage","id":"m9","text":" never streamed"`)
		f.item("started", `"type":"commandExecution","id":"c","command":"ls","status":"inProgress"`)
		f.notify("item/commandExecution/outputDelta", `"itemId":"c","delta":"part"`)
		f.item("completed", `"type":"commandExecution","id":"c","command":"ls","status":"completed","exitCode":0,"aggregatedOutput":"the whole"`)
		f.item("completed", `"type":"reasoning","id":"r","summary":["one","two"],"content":["raw"]`)
	case agenttest.Leaves:
		if err := f.Leave(); err != nil {
			f.say(err.Error())
			break
		}
		f.say("it is on its way")
		_, _ = f.Read()
		return
	case "stubborn":
		f.say("I will not stop")
		return
	case "late":
		f.say("working")
		for {
			if c, _ := f.Read(); c.Method == "turn/interrupt" {
				f.ask("item/commandExecution/requestApproval", `{"command":"x"}`)
				f.Line(`{"id":%s,"error":{"code":-32600,"message":"no such turn"}}`, c.ID)
				f.end("interrupted", "")
				return
			}
		}
	case "unanswered": // ends the turn, but never answers the interrupt
		f.say("working")
		for {
			if c, _ := f.Read(); c.Method == "turn/interrupt" {
				f.end("interrupted", "")
				return
			}
		}
	case "fails":
		f.item("started", `"type":"commandExecution","id":"c","command":"ls","status":"inProgress"`)
		f.end("failed", `,"error":{"message":"You have hit your limit.","codexErrorInfo":"usageLimitExceeded","additionalDetails":"resets tomorrow"}`)
		return
	case "disconnected":
		f.end("failed", `,"error":{"message":"stream broke","codexErrorInfo":{"responseStreamDisconnected":{"httpStatusCode":502}}}`)
		return
	case "unauthorized":
		f.end("failed", `,"error":{"message":"401","codexErrorInfo":"unauthorized"}`)
		return
	case "exits":
		f.say("bye")
		fmt.Fprintln(os.Stderr, "fake: out of memory")
		os.Exit(9)
	default:
		f.say("hello")
	}
	f.end("completed", "")
}
