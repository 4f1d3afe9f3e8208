package codex

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/agent"
	"catamaran/internal/agent/agenttest"
	"catamaran/internal/api"
)

// replay translates what Codex sent in a recorded conversation.
func replay(t *testing.T, name string) []agent.Event {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tr := newTranslator("n", "/home/u/cx")
	tr.newTurn()
	var events []agent.Event
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l struct {
			Dir string `json:"dir"`
			Msg struct {
				ID     json.RawMessage `json:"id"`
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
		if l.Msg.ID == nil {
			events = append(events, tr.notification(l.Msg.Method, l.Msg.Params)...)
			continue
		}
		if q := tr.request(l.Msg.Method, l.Msg.Params); q != nil {
			events = append(events, agent.Event{Kind: agent.KindApproval, ToolID: q.toolID, Approval: q.approval})
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return append(events, tr.settle()...)
}

func TestRecordedConversations(t *testing.T) {
	t.Parallel()
	const command = "echo said-by-the-tool > out1.txt; cat out1.txt"
	for _, c := range []struct {
		file      string
		approvals []string // their options
		messages  int
		edits     bool
		notices   int
		tokens    int64
	}{
		{"appserver.jsonl", []string{"accept acceptWithExecpolicyAmendment cancel"}, 2, false, 1, 2400},
		{"appserver-patch.jsonl", []string{"accept acceptWithExecpolicyAmendment cancel"}, 3, true, 0, 3600},
		{"appserver-readonly.jsonl", []string{"accept acceptWithExecpolicyAmendment cancel", "accept acceptForSession decline cancel"}, 3, true, 0, 3600},
		{"appserver-untrusted.jsonl", []string{"accept acceptWithExecpolicyAmendment cancel", "accept acceptForSession decline cancel"}, 3, true, 0, 3600},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			var approvals []string
			notices := 0
			ids := map[string]bool{}
			var words, output strings.Builder
			tools := map[string]*agent.ToolUpdate{}
			var usage api.Usage
			for _, e := range replay(t, c.file) {
				switch e.Kind {
				case agent.KindMessage:
					ids[e.ID] = true
					words.WriteString(e.Append)
				case agent.KindApproval:
					var options []string
					for _, o := range e.Approval.Options {
						options = append(options, o.ID)
					}
					approvals = append(approvals, strings.Join(options, " "))
					if tools[e.ToolID] == nil || e.Approval.Title == "" {
						t.Errorf("approval about %q: %+v", e.ToolID, e.Approval)
					}
					if e.Approval.Kind == "edit" && len(e.Approval.Edits) == 0 || e.Approval.Kind == "execute" && e.Approval.Command != command {
						t.Errorf("approval does not show what it is about: %+v", e.Approval)
					}
				case agent.KindNotice:
					notices++
				case agent.KindUsage:
					usage = *e.Usage
				case agent.KindUnknown:
					t.Errorf("unknown: %s", e.Raw)
				case agent.KindTool:
					if e.Tool != nil {
						if last := tools[e.ID]; last != nil && e.Tool.Kind == "" {
							e.Tool.Kind = last.Kind
						}
						tools[e.ID] = e.Tool
					}
					output.WriteString(e.Append)
					if e.Tool != nil && e.Tool.Output != nil {
						t.Errorf("output came twice: %q", *e.Tool.Output)
					}
				}
			}
			if got, want := strings.Join(approvals, "; "), strings.Join(c.approvals, "; "); got != want {
				t.Errorf("approvals = %s; want %s", got, want)
			}
			if len(ids) != c.messages || notices != c.notices || !strings.Contains(words.String(), "Done. I ran the command") {
				t.Errorf("messages %v, %d notices, text %q", ids, notices, words.String())
			}
			if usage.InputTokens != c.tokens || usage.ContextUsed != 1240 || usage.ContextSize != 258400 {
				t.Errorf("usage = %+v", usage)
			}
			if output.String() != "said-by-the-tool\n" {
				t.Errorf("output = %q", output.String())
			}
			edited := false
			for id, u := range tools {
				if u.Status != api.ToolCompleted {
					t.Errorf("tool %s is %s at the end", id, u.Status)
				}
				switch u.Kind {
				case "execute":
					if u.Command != command || u.ExitCode == nil || *u.ExitCode != 0 {
						t.Errorf("command = %+v", u)
					}
				case "edit":
					edited = len(u.Edits) == 1 && u.Edits[0] == api.FileEdit{Path: "/home/u/cx/notes.md", NewText: "# notes\nput here by the scripted model\n"} && u.Title == "Add notes.md"
				}
			}
			if edited != c.edits {
				t.Errorf("edited = %v", edited)
			}
		})
	}
}

func TestUnwrap(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		`/bin/bash -lc 'echo a > b; cat b'`:  `echo a > b; cat b`,
		`/bin/bash -lc ls`:                   `ls`,
		`bash -c "echo \"a b\" \\ \$HOME"`:   `echo "a b" \ $HOME`,
		`/usr/bin/zsh -lc 'it'"'"'s'`:        `it's`,
		`/bin/bash -lc 'a' 'b'`:              `/bin/bash -lc 'a' 'b'`,
		`/bin/bash -lc ls; rm -rf x`:         `/bin/bash -lc ls; rm -rf x`,
		`/bin/bash -lc "$(rm -rf x)"`:        `/bin/bash -lc "$(rm -rf x)"`,
		`/bin/bash -lc 'open`:                `/bin/bash -lc 'open`,
		`/bin/bash -lc ''`:                   `/bin/bash -lc ''`,
		`/tmp/bash -lc 'ls'`:                 `/tmp/bash -lc 'ls'`,
		`/bin/bash -x -lc 'ls'`:              `/bin/bash -x -lc 'ls'`,
		`git status`:                         `git status`,
		`powershell.exe -Command 'Get-Date'`: `powershell.exe -Command 'Get-Date'`,
		``:                                   ``,
	} {
		if got := unwrap(command); got != want {
			t.Errorf("unwrap(%s) = %s; want %s", command, got, want)
		}
	}
}

func TestFileChanges(t *testing.T) {
	t.Parallel()
	tr := newTranslator("n", "/p")
	change := func(changes string) *agent.ToolUpdate {
		e := tr.notification("item/completed", json.RawMessage(`{"item":{"type":"fileChange","id":"f","status":"completed","changes":`+changes+`}}`))
		if len(e) != 1 || e[0].Tool == nil {
			t.Fatalf("%s gave %+v", changes, e)
		}
		return e[0].Tool
	}
	u := change(`[{"path":"/p/a.go","kind":{"type":"update"},"diff":"@@ -1,2 +1,2 @@\n x\n-y\n+z\n\\ No newline at end of file\n@@ -9 +9,2 @@\n q\n+r\n"}]`)
	if want := []api.FileEdit{{Path: "/p/a.go", OldText: "x\ny\n", NewText: "x\nz\n"}, {Path: "/p/a.go", OldText: "q\n", NewText: "q\nr\n"}}; len(u.Edits) != 2 || u.Edits[0] != want[0] || u.Edits[1] != want[1] || u.Title != "Edit a.go" || u.Kind != "edit" {
		t.Errorf("update = %+v", u)
	}
	u = change(`[{"path":"/p/a","kind":{"type":"update","move_path":"/p/b"},"diff":""},{"path":"/q/c","kind":{"type":"delete"},"diff":"gone\n"}]`)
	if len(u.Edits) != 1 || u.Edits[0].OldText != "gone\n" || len(u.Locations) != 3 || u.Title != "Change 2 files" {
		t.Errorf("move and delete = %+v", u)
	}
	if u = change(`[{"path":"/p/a","kind":{"type":"update","move_path":"/p/b"}}]`); u.Title != "Move a to b" {
		t.Errorf("move = %q", u.Title)
	}
}

func TestTrustEntries(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	if n := trustEntries(home); n != 0 {
		t.Errorf("without a file: %d", n)
	}
	const config = "# trust_level = \"trusted\"\n[projects.\"/a\"]\ntrust_level = \"trusted\"\n[projects.\"/b\"]\ntrust_level = \"untrusted\"\n[projects]\n\"/c\" = { trust_level = \"trusted\" }\n"
	if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := trustEntries(home); n != 2 {
		t.Errorf("%d entries; want 2", n)
	}
	if n := trustEntries("relative"); n != 0 {
		t.Errorf("in a relative folder: %d", n)
	}
}

var methods = []string{
	"item/started", "item/completed", "item/agentMessage/delta", "item/reasoning/summaryTextDelta", "item/reasoning/summaryPartAdded", "item/reasoning/textDelta",
	"item/commandExecution/outputDelta", "item/mcpToolCall/progress", "item/fileChange/patchUpdated", "turn/plan/updated", "thread/tokenUsage/updated",
	"error", "warning", "configWarning", "model/rerouted", "item/commandExecution/requestApproval", "item/fileChange/requestApproval", "item/permissions/requestApproval",
	"item/tool/requestUserInput", "mcpServer/elicitation/request", "execCommandApproval", "unknown/requestApproval", "something/else",
}

func FuzzMessage(f *testing.F) {
	for i, s := range []string{
		`{"item":{"type":"commandExecution","id":"c","command":"/bin/sh -c 'ls'","status":"completed","exitCode":1e300,"aggregatedOutput":"x"}}`,
		`{"item":{"type":"fileChange","id":"f","changes":[{"path":"p","kind":{"type":"update"},"diff":"@@\n-a\n+b\n"},7]}}`, `{"itemId":"m","delta":"text"}`, `{"itemId":"r","delta":"t","summaryIndex":-1}`,
		`{"itemId":"r","summaryIndex":2}`, `{"itemId":5}`, `{"itemId":"c","delta":"o"}`, `{"itemId":"c","message":"m"}`, `{"itemId":"f","changes":[{"kind":"add"}]}`, `{"plan":[{"step":1}]}`,
		`{"tokenUsage":{"total":{"inputTokens":-5},"last":{"inputTokens":1e15}}}`, `{"willRetry":true}`, `{"message":"x"}`, `{"summary":"a","details":"b"}`, `{"toModel":"m"}`,
		`{"itemId":"c","command":"x","availableDecisions":["accept",{"a":1,"b":2},{"x":{}},{"x":{}},7,null]}`, `{"itemId":"f","grantRoot":"/"}`, `{"permissions":{"fileSystem":{"entries":[{"access":"read","path":{"type":"special","value":{"kind":"root"}}}]}}}`,
		`{"questions":[{"id":"a","options":["x",{"label":"y"}]},5]}`, `{"requestedSchema":{"properties":{"a":{"oneOf":[{"const":"c"}]}}}}`, `{"command":["a"]}`, `null`, `[]`,
	} {
		f.Add(uint8(i), []byte(s))
	}
	f.Fuzz(func(t *testing.T, n uint8, data []byte) {
		tr := newTranslator("n", "/p")
		method := methods[int(n)%len(methods)]
		// Twice, and as an item that has begun before it is asked about.
		events := tr.notification(method, data)
		events = append(events, tr.notification("item/started", data)...)
		events = append(events, tr.notification(method, data)...)
		if m, _, ok := model(data); ok && (m.ID == "" || m.Name == "") {
			t.Errorf("model %+v", m)
		}
		switch q := tr.request(method, data); {
		case q == nil && asks(method):
			t.Errorf("%s was dropped", method)
		case q != nil && q.question != nil:
			agenttest.CheckQuestion(t, q.question, q.reply, q.answer(""))
		case q != nil:
			agenttest.CheckApproval(t, q.approval, q.answer)
		}
		for _, e := range append(events, tr.settle()...) {
			if e.ID == "" || e.Kind == "" {
				t.Errorf("event without id or kind: %+v", e)
			}
		}
	})
}
