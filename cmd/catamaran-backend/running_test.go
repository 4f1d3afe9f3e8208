package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"catamaran/internal/agent/agenttest"
	"catamaran/internal/api"
)

// editorVar makes the test program an agent that edits files as the prompt says.
const editorVar = "TEST_EDITOR"

// editor is an agent whose prompt is lines of "write FILE TEXT", "begin FILE" (an edit
// whose end it does not tell), "declined FILE", "hold" (until it is cancelled) and "die".
func editor() int {
	f := agenttest.NewFake()
	dir, edits := "", 0
	update := func(format string, args ...any) {
		f.Line(`{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s1","update":{%s}}}`, fmt.Sprintf(format, args...))
	}
	tool := func(name, status string) {
		path, _ := json.Marshal(filepath.Join(dir, name))
		update(`"sessionUpdate":"tool_call","toolCallId":"%d","title":"Edit","kind":"edit","status":%q,"locations":[{"path":%s}]`, edits, status, path)
	}
	for {
		m, ok := f.Read()
		if !ok {
			return 0
		}
		switch m.Method {
		case "initialize":
			f.Line(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":1,"agentCapabilities":{}}}`, m.ID)
		case "session/new":
			var p struct {
				Cwd string `json:"cwd"`
			}
			_ = json.Unmarshal(m.Params, &p)
			dir = p.Cwd
			f.Line(`{"jsonrpc":"2.0","id":%s,"result":{"sessionId":"s1"}}`, m.ID)
		case "session/prompt":
			var p struct {
				Prompt []struct {
					Text string `json:"text"`
				} `json:"prompt"`
			}
			_ = json.Unmarshal(m.Params, &p)
			reason := "end_turn"
			for line := range strings.SplitSeq(p.Prompt[0].Text, "\n") {
				verb, rest, _ := strings.Cut(line, " ")
				name, text, _ := strings.Cut(rest, " ")
				edits++
				switch verb {
				case "write":
					tool(name, "in_progress")
					if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o644); err != nil {
						return 1
					}
					tool(name, "completed")
				case "begin":
					tool(name, "in_progress")
				case "declined":
					tool(name, "pending")
					tool(name, "failed")
				case "hold", "die":
					update(`"sessionUpdate":"tool_call","toolCallId":"%d","title":"At it","kind":"think","status":"completed"`, edits)
					if verb == "die" {
						return 3
					}
					for m, ok := f.Read(); m.Method != "session/cancel"; m, ok = f.Read() {
						if !ok {
							return 0
						}
					}
					reason = "cancelled"
				}
			}
			f.Line(`{"jsonrpc":"2.0","id":%s,"result":{"stopReason":%q}}`, m.ID, reason)
		default:
			if m.ID != nil {
				f.Line(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}`, m.ID)
			}
		}
	}
}

// TestRevertBesideARunningTurn reverts a turn while one of another thread edits the same
// files: they are left alone until that turn is over, however it ends.
func TestRevertBesideARunningTurn(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	d := start(t, w)
	s := d.ready()
	agent := call[api.AgentInstance](d, api.MethodInstanceSave, api.AgentInstanceSave{Instance: api.AgentInstance{Name: "Editor", Path: self,
		Env: []api.AgentVariable{{Name: editorVar, Value: "1"}, {Name: "GORACE", Value: "atexit_sleep_ms=0"}}}})
	p := call[api.Project](d, api.MethodProjectAdd, api.ProjectAdd{Path: w.repo})
	thread := func() string {
		t.Helper()
		th := call[api.Thread](d, api.MethodThreadCreate, api.ThreadCreate{ProjectID: p.ID, AgentID: agent.ID})
		s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: th.ID, Topic: api.TopicThread + th.ID})
		return th.ID
	}
	begin := func(thread string, lines ...string) string {
		t.Helper()
		return call[api.Turn](d, api.MethodTurnStart, api.TurnStart{ThreadID: thread, Text: strings.Join(lines, "\n")}).ID
	}
	end := func(turn string, want api.TurnState) {
		t.Helper()
		s.until("the end of the turn", func() bool { return s.turns[turn].State.Final() })
		if got := s.turns[turn]; got.State != want {
			t.Fatalf("%+v", got)
		}
	}
	// hold begins a turn that has said all it does before it waits.
	hold := func(thread string, lines ...string) string {
		t.Helper()
		turn := begin(thread, append(lines, "hold")...)
		s.until("the turn that waits", func() bool {
			return slices.ContainsFunc(slices.Collect(maps.Values(s.items)), func(it api.Item) bool { return it.TurnID == turn && it.Tool != nil && it.Tool.Title == "At it" })
		})
		return turn
	}
	mine, other := thread(), thread()
	turn := begin(mine, "write a.txt one", "write b.txt one", "write c.txt one", "write d.txt one")
	end(turn, api.TurnCompleted)
	// plan tells of each file its state, and "running" of those that a running turn is said to be at.
	plan := func() (api.RevertPlan, map[string]string) {
		t.Helper()
		plan := call[api.RevertPlan](d, api.MethodRevertPreview, api.RevertPreview{TurnID: turn})
		states := map[string]string{}
		for _, f := range plan.Files {
			states[f.Path] = f.State
			if strings.Contains(f.Reason, "still runs") {
				states[f.Path] += " running"
				if f.Allowed {
					t.Errorf("it may be chosen: %+v", f)
				}
			}
		}
		return plan, states
	}
	want := func(when string, a, b, c string) api.RevertPlan {
		t.Helper()
		plan, states := plan()
		if states["a.txt"] != a || states["b.txt"] != b || states["c.txt"] != c {
			t.Fatalf("%s: %v", when, states)
		}
		return plan
	}
	want("before", "clean", "clean", "clean")

	running := hold(other, "write a.txt two", "begin b.txt", "declined c.txt")
	seen := want("beside a running turn", "foreign running", "foreign running", "clean").Seen
	var none api.Reverted
	if err := d.try("POST", "/api/call/"+api.MethodRevertApply, api.RevertApply{TurnID: turn, Seen: seen, Paths: []string{"a.txt"}}, &none); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("the other thread's file was chosen: %v", err)
	}
	done := call[api.Reverted](d, api.MethodRevertApply, api.RevertApply{TurnID: turn, Seen: seen})
	if !slices.Equal(done.Files, []string{"c.txt", "d.txt"}) {
		t.Errorf("%+v", done)
	}
	for name, text := range map[string]string{"a.txt": "two\n", "b.txt": "one\n", "c.txt": ""} {
		if b, _ := os.ReadFile(filepath.Join(w.repo, name)); string(b) != text {
			t.Errorf("%s: %q", name, b)
		}
	}
	call[api.Reverted](d, api.MethodRevertUndo, api.RevertUndo{ThreadID: mine, RevertID: done.RevertID})

	// It is stopped; the next one's agent dies; the one after that ends by itself.
	call[api.Thread](d, api.MethodTurnStop, api.ThreadRef{ThreadID: other})
	end(running, api.TurnInterrupted)
	want("after a stop", "changed", "clean", "clean")
	end(begin(other, "begin b.txt", "die"), api.TurnFailed)
	want("after a crash of the agent", "changed", "clean", "clean")
	end(begin(other, "begin b.txt"), api.TurnCompleted)
	want("after the end", "changed", "clean", "clean")

	// Nothing of it outlives the backend.
	hold(other, "begin b.txt", "begin c.txt")
	want("beside another", "changed", "foreign running", "foreign running")
	d.proc.Kill()
	<-d.proc.Done()
	d = start(t, w)
	s = d.ready()
	want("after a kill of the backend", "changed", "clean", "clean")
	d.goodbye()
}
