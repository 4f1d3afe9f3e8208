package acp

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/agent"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
)

// replay translates what the agent sent in a recorded conversation.
func replay(t *testing.T, name string) []agent.Event {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tr := &translator{nonce: "n", tools: map[string]*toolState{}}
	var events []agent.Event
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l struct {
			Dir string `json:"dir"`
			Msg struct {
				Method string          `json:"method"`
				Params json.RawMessage `json:"params"`
			} `json:"msg"`
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if l.Dir != "a->c" {
			continue
		}
		p := lenient.Fields(l.Msg.Params)
		switch l.Msg.Method {
		case "session/update":
			events = append(events, tr.update(p["update"])...)
		case "session/request_permission":
			call := lenient.Fields(p["toolCall"])
			events = append(events, tr.asked(lenient.Text(call["toolCallId"]), call)...)
			events = append(events, agent.Event{Kind: agent.KindApproval, Approval: tr.approval(l.Msg.Method, p, call)})
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return append(events, tr.settleTools()...)
}

func TestRecordedConversations(t *testing.T) {
	t.Parallel()
	const command = "echo said-by-the-tool > out1.txt; cat out1.txt"
	for _, c := range []struct {
		file      string
		approvals int
		messages  int    // different message ids
		output    string // of the command
		exit      bool   // its exit code is known
		edits     bool
	}{
		{"opencode-acp.jsonl", 2, 3, "said-by-the-tool\n", true, true},
		{"gemini-acp.jsonl", 2, 3, "", false, true},
		{"claude-acp.jsonl", 0, 4, "```console\nsaid-by-the-tool\n```", false, true},
		{"codex-acp.jsonl", 1, 3, "said-by-the-tool\n", true, false},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			approvals, usage := 0, 0
			ids := map[string]bool{}
			var words strings.Builder
			commands, outputs, exits := map[string]string{}, map[string]string{}, map[string]int{}
			status := map[string]api.ToolStatus{}
			edited := false
			for _, e := range replay(t, c.file) {
				switch e.Kind {
				case agent.KindMessage:
					ids[e.ID] = true
					words.WriteString(e.Append)
				case agent.KindApproval:
					approvals++
					if len(e.Approval.Options) != 3 || e.Approval.Title == "" {
						t.Errorf("approval = %+v", e.Approval)
					}
				case agent.KindUsage:
					usage++
				case agent.KindUnknown:
					t.Errorf("unknown: %s", e.Raw)
				case agent.KindTool:
					u := e.Tool
					if u.Command != "" {
						commands[e.ID] = u.Command
					}
					if u.Output != nil {
						outputs[e.ID] = *u.Output
					}
					outputs[e.ID] += e.Append
					if u.ExitCode != nil {
						exits[e.ID] = *u.ExitCode
					}
					if u.Status != "" {
						status[e.ID] = u.Status
					}
					edited = edited || len(u.Edits) > 0 && u.Edits[0].NewText == "# notes\nput here by the scripted model\n"
				}
			}
			if approvals != c.approvals || len(ids) != c.messages || edited != c.edits {
				t.Errorf("%d approvals, message ids %v, edited %v", approvals, ids, edited)
			}
			if !strings.Contains(words.String(), "Done. I ran the command") {
				t.Errorf("text = %q", words.String())
			}
			ran := ""
			for id, cmd := range commands {
				if cmd == command {
					ran = id
				}
			}
			if ran == "" {
				t.Fatalf("commands = %v", commands)
			}
			if outputs[ran] != c.output {
				t.Errorf("output = %q", outputs[ran])
			}
			if _, known := exits[ran]; known != c.exit {
				t.Errorf("exit codes = %v", exits)
			}
			for id, s := range status {
				if s != api.ToolCompleted {
					t.Errorf("tool %s is %s at the end", id, s)
				}
			}
		})
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	tr := &translator{nonce: "n", tools: map[string]*toolState{}}
	var ids []string
	for _, u := range []string{
		`{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"a"}}`,
		`{"sessionUpdate":"usage_update","used":1}`,
		`{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"b"}}`,
		`{"sessionUpdate":"agent_thought_chunk","content":{"type":"text","text":"c"}}`,
		`{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"d"}}`,
		`{"sessionUpdate":"tool_call","toolCallId":"1"}`,
		`{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"e"}}`,
		`{"sessionUpdate":"agent_message_chunk","messageId":"m","content":{"type":"text","text":"f"}}`,
		`{"sessionUpdate":"agent_thought_chunk","messageId":"m","content":{"type":"text","text":"g"}}`,
	} {
		for _, e := range tr.update(json.RawMessage(u)) {
			ids = append(ids, e.ID)
		}
	}
	want := "message:n-1 usage message:n-1 reasoning:n-2 message:n-3 tool:1 message:n-4 message:m reasoning:m"
	if got := strings.Join(ids, " "); got != want {
		t.Errorf("ids = %s; want %s", got, want)
	}
}

func FuzzUpdate(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `null`, `[]`, `{"sessionUpdate":"tool_call","toolCallId":"a","content":[{"type":"diff"},{"type":"content","content":{"type":"text","text":"x"}},7],"rawOutput":{"metadata":{"exit":1e300}}}`,
		`{"sessionUpdate":"plan","entries":[{"content":1}]}`, `{"sessionUpdate":"tool_call_update","toolCallId":"a","rawInput":{"command":["a",1]},"locations":[{"path":"p","line":-1.5}]}`,
		`{"sessionUpdate":"agent_message_chunk","content":{"type":"resource","resource":{"uri":"u"}}}`, `{"options":[{"optionId":"x"},"y",3],"toolCall":{"toolCallId":"a","kind":"execute","title":"t"}}`,
		`{"configOptions":[{"id":"mode","category":"mode","currentValue":"plan","options":[{"value":"plan"},{"group":"g","options":[{"value":"ask","name":7}]}]},{"id":"m","category":"model","currentValue":5,"options":[{"value":"a"}]}]}`,
		`{"modes":{"currentModeId":"plan","availableModes":[{"id":"plan"},{},7]},"models":{"currentModelId":"x","availableModels":[{"modelId":"x"},"y"]}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var j choicesJSON
		_ = json.Unmarshal(data, &j) // what could be decoded is used
		c := j.read()
		for _, plan := range []bool{false, true} {
			w, err := c.wanted(agent.Settings{Plan: plan}, api.PermissionSupervised, c.chosen())
			if err == nil && plan != (w.mode != "" && w.mode == c.mode.planMode()) && len(c.mode.values) > 1 {
				t.Errorf("planning %v comes to mode %q of %+v", plan, w.mode, c.mode)
			}
		}
		c.options()
		tr := &translator{nonce: "n", tools: map[string]*toolState{}}
		p := lenient.Fields(data)
		call := lenient.Fields(p["toolCall"])
		events := append(tr.update(data), tr.asked("x", call)...)
		if _, ok := textChunk(data); ok && len(data) == 0 {
			t.Error("a chunk of nothing")
		}
		for _, e := range append(events, tr.settleTools()...) {
			if e.ID == "" || e.Kind == "" {
				t.Errorf("event without id or kind: %+v", e)
			}
		}
		if a := tr.approval("m", p, call); a.Title == "" || len(a.Options) == 0 {
			t.Errorf("approval = %+v", a)
		}
	})
}

func TestPlans(t *testing.T) {
	t.Parallel()
	tr := &translator{nonce: "n", tools: map[string]*toolState{}}
	text := func(events []agent.Event) string {
		var b strings.Builder
		for _, e := range events {
			if e.Kind == agent.KindPlan {
				b.WriteString(e.Append)
				for _, step := range e.Plan {
					b.WriteString(step.Text + " " + step.Status + "\n")
				}
			}
		}
		return b.String()
	}
	edit := func(path, newText string) []agent.Event {
		events := tr.update(json.RawMessage(`{"sessionUpdate":"tool_call_update","toolCallId":"w","content":[{"type":"diff","path":` + path + `,"oldText":"","newText":"` + newText + `"}]}`))
		return tr.plans(events)
	}
	for _, c := range []struct{ path, text, want string }{
		{`"/home/u/.gemini/tmp/p/plans/leap.md"`, "1. Look", "1. Look"},
		{`"/home/u/.gemini/tmp/p/plans/leap.md"`, "1. Look", ""}, // told again, with the request
		{`"C:\\Users\\u\\plans\\leap.md"`, "2. Leap", "2. Leap"},
		{`"/home/u/plans/leap.go"`, "package p", ""},
		{`"/home/u/replans/leap.md"`, "no", ""},
	} {
		if got := text(edit(c.path, c.text)); got != c.want {
			t.Errorf("%s %q: the plan is %q, want %q", c.path, c.text, got, c.want)
		}
	}
	todos := `{"sessionUpdate":"tool_call_update","toolCallId":"t","title":"todowrite","rawInput":{"todos":[{"content":"a","status":"completed"},{"content":"b","status":"?"}]}}`
	if got := text(tr.update(json.RawMessage(todos))); got != "a completed\nb pending\n" {
		t.Errorf("the list of things to do is %q", got)
	}
	for _, other := range []string{`{"todos":[]}`, `{"todos":["a"]}`, `{"todos":{"content":"a"}}`, `{"todos":[{"id":1}]}`} {
		if got := text(tr.update(json.RawMessage(`{"sessionUpdate":"tool_call","toolCallId":"o","rawInput":` + other + `}`))); got != "" {
			t.Errorf("%s is taken for the plan %q", other, got)
		}
	}
	call := lenient.Fields(json.RawMessage(`{"kind":"switch_mode","content":[{"type":"content","content":{"type":"text","text":"3. Land"}}]}`))
	if got := text(tr.planText(call)); got != "3. Land" {
		t.Errorf("the plan of a request is %q", got)
	}
}
