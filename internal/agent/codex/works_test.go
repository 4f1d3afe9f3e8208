package codex_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"catamaran/internal/agent/agenttest"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
)

// worker is a scripted app-server that behaves: it asks as its approval policy
// says, really makes its files, streams until it is stopped, and knows its thread again.
type worker struct {
	*fakeCodex
	policy, sandbox, dir, model string
	planning                    bool
	turns                       int
}

const fakeThread = "thread-of-the-worker"

func works(f *fakeCodex) int {
	w := &worker{fakeCodex: f}
	f.thread = fakeThread
	for {
		m, ok := f.Read()
		if !ok {
			return 0
		}
		p := lenient.Fields(m.Params)
		switch m.Method {
		case "initialize":
			f.Line(`{"id":%s,"result":{"userAgent":"catamaran/0.169.0 (x)"}}`, m.ID)
		case "account/read":
			f.Line(`{"id":%s,"result":{"requiresOpenaiAuth":false}}`, m.ID)
		case "thread/resume", "thread/start":
			if m.Method == "thread/resume" && lenient.Text(p["threadId"]) != fakeThread {
				f.Line(`{"id":%s,"error":{"code":-32600,"message":"no rollout found"}}`, m.ID)
				continue
			}
			w.policy, w.dir = lenient.Text(p["approvalPolicy"]), lenient.Text(p["cwd"])
			f.Line(`{"id":%s,"result":{"thread":{"id":%q},"model":"small"}}`, m.ID, fakeThread)
			w.model = "small"
		case "model/list":
			if lenient.Text(p["cursor"]) == "" {
				f.Line(`{"id":%s,"result":{"data":[{"id":"small","model":"small","isDefault":true,"defaultReasoningEffort":"low","supportedReasoningEfforts":[{"reasoningEffort":"low"},"high"]},{"model":"secret","hidden":true},7],"nextCursor":"2"}}`, m.ID)
				continue
			}
			f.Line(`{"id":%s,"result":{"data":[{"model":"big","displayName":"Big one","defaultReasoningEffort":"low"}],"nextCursor":null}}`, m.ID)
		case "collaborationMode/list":
			f.Line(`{"id":%s,"result":{"data":[{"name":"Plan","mode":"plan"}]}}`, m.ID)
		case "turn/start":
			w.turns++
			id := fmt.Sprintf("u%d", w.turns)
			w.take(p)
			f.Line(`{"id":%s,"result":{"turn":{"id":%q}}}`, m.ID, id)
			status := w.turn(string(p["input"]))
			f.Line(`{"method":"turn/completed","params":{"threadId":%q,"turn":{"id":%q,"status":%q}}}`, fakeThread, id, status)
		default:
			f.refuse(m)
		}
	}
}

// take keeps what a turn says of the turns from now on.
func (w *worker) take(p map[string]json.RawMessage) {
	w.model = lenient.Or(lenient.Text(p["model"]), w.model)
	w.policy = lenient.Or(lenient.Text(p["approvalPolicy"]), w.policy)
	w.sandbox = lenient.Or(lenient.Text(lenient.Fields(p["sandboxPolicy"])["type"]), w.sandbox)
	if mode := lenient.Fields(p["collaborationMode"]); mode != nil {
		w.planning = lenient.Text(mode["mode"]) == "plan"
		w.model = lenient.Text(lenient.Fields(mode["settings"])["model"])
	}
}

func (w *worker) turn(input string) string {
	switch {
	case strings.Contains(input, "which model"):
		w.say("The model is " + w.model)
		return "completed"
	case strings.Contains(input, "pictures"):
		w.say(fmt.Sprintf("I see %d", strings.Count(input, `"localImage"`)))
		return "completed"
	case strings.Contains(input, "plan") && w.planning:
		w.item("completed", `"type":"plan","id":"p","text":"1. Look\n2. Leap"`)
		return "completed"
	case strings.Contains(input, "question"):
		w.ids++
		w.Line(`{"id":%d,"method":"item/tool/requestUserInput","params":{"itemId":"q","isBlocking":true,"questions":[{"id":"c","header":"Colour","question":"Which?","isOther":true,"options":[{"label":"Red","description":"warm"}]}]}}`, w.ids)
		m, _ := w.Read()
		w.say("told " + string(m.Result))
		return "completed"
	case strings.Contains(input, "slowly"):
		w.say("word ")
		for {
			m, ok := w.Read()
			if !ok || m.Method == "turn/steer" {
				w.Line(`{"id":%s,"result":{"turnId":"u%d"}}`, m.ID, w.turns)
				w.say("steered by " + string(m.Params))
				return "completed"
			}
			w.refuse(m)
		}
	}
	if strings.Contains(input, "stream") {
		w.say("word ")
		for {
			if c, ok := w.Read(); !ok || c.Method == "turn/interrupt" {
				w.Line(`{"id":%s,"result":{}}`, c.ID)
				return "interrupted"
			}
		}
	}
	w.say("working ")
	command := fmt.Sprintf(`"type":"commandExecution","id":"c%d","command":"/bin/sh -c 'echo hello > made.txt'"`, w.turns)
	w.item("started", command+`,"status":"inProgress"`)
	if w.policy == "untrusted" && w.sandbox != "workspaceWrite" {
		w.say("an approved command could not write")
		return "failed"
	}
	if w.policy != "never" {
		if status := w.asked("item/commandExecution/requestApproval", fmt.Sprintf(`{"itemId":"c%d","command":"/bin/sh -c 'echo hello > made.txt'","availableDecisions":["accept","cancel"]}`, w.turns)); status != "" {
			w.item("completed", command+`,"status":"declined"`)
			return status
		}
	}
	_ = os.WriteFile(filepath.Join(w.dir, "made.txt"), []byte("hello\n"), 0o600) // the story looks
	w.item("completed", command+`,"status":"completed","exitCode":0,"aggregatedOutput":"hello\n"`)

	notes := filepath.Join(w.dir, "notes.md")
	edit := fmt.Sprintf(`"type":"fileChange","id":"f%d","changes":[{"path":%s,"kind":{"type":"add"},"diff":"written by the fake\n"}]`, w.turns, quote(notes))
	w.item("started", edit+`,"status":"inProgress"`)
	if w.policy == "untrusted" {
		if status := w.asked("item/fileChange/requestApproval", fmt.Sprintf(`{"itemId":"f%d"}`, w.turns)); status != "" {
			w.item("completed", edit+`,"status":"declined"`)
			return status
		}
	}
	_ = os.WriteFile(notes, []byte("written by the fake\n"), 0o600) // the story looks
	w.item("completed", edit+`,"status":"completed"`)
	w.say("done")
	return "completed"
}

// asked returns how the turn ends, "" where it goes on. "cancel" ends it, and so
// does an interrupt, which is answered.
func (w *worker) asked(method, params string) string {
	w.ids++
	w.Line(`{"id":%d,"method":%q,"params":%s}`, w.ids, method, params)
	for {
		m, ok := w.Read()
		switch {
		case !ok:
			return "interrupted"
		case m.Method == "turn/interrupt":
			w.Line(`{"id":%s,"result":{}}`, m.ID)
			return "interrupted"
		case m.Method != "":
		case strings.Contains(string(m.Result), "accept"):
			return ""
		case strings.Contains(string(m.Result), "cancel"):
			// Codex ends the turn; an interrupt that is still on its way is refused.
			return "interrupted"
		}
	}
}

func TestFakeConforms(t *testing.T) {
	t.Parallel()
	target := own(t, "works")
	target.Work, target.Stream = "work", "stream"
	target.Made, target.Wrote, target.WroteText, target.Output = "made.txt", "notes.md", "written by the fake", "hello"
	target.Ask, target.Told = "a question", `"answers":["Red"]`
	target.See, target.Seen = "count pictures", "I see 1"
	target.Which, target.Model, target.Effort = "which model", "big", "low"
	target.Slow, target.Steering, target.Steered = "slowly", "faster", "faster"
	target.PlanFor, target.Plan = "plan", "2. Leap"
	target.Offers = func(o api.AgentOptions) string {
		want := api.AgentOptions{Version: "0.169.0", DefaultModel: "small", Plan: true, Images: true, Steer: true, Sessions: true, Models: []api.AgentModel{
			{ID: "small", Name: "small", Efforts: []string{"low", "high"}, DefaultEffort: "low"}, {ID: "big", Name: "Big one", DefaultEffort: "low"}}}
		if !reflect.DeepEqual(o, want) {
			return fmt.Sprintf("want %+v", want)
		}
		return ""
	}
	agenttest.Run(t, target)
}
