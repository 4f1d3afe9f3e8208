package claude

import (
	"bytes"
	"encoding/json"
	"testing"

	"catamaran/internal/agent"
	"catamaran/internal/agent/agenttest"
	"catamaran/internal/agent/form"
)

// FuzzMessages feeds lines of an agent through everything that reads them.
func FuzzMessages(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `null`, `[]`, `{"type":7}`, `{"type":"control_request","request_id":{},"request":7}`, `{"type":"control_response","response":{"subtype":"error","request_id":"1"}}`,
		`{"type":"stream_event","event":{"type":"message_start","message":{"id":"m"}}}` + "\n" + `{"type":"stream_event","event":{"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}}` + "\n" +
			`{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"ab"},{"type":"tool_use","id":"t","name":"Write","input":{"file_path":"/p","content":"c"}},{"type":"x"}]}}` + "\n" +
			`{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"image"}],"is_error":true}]},"tool_use_result":{"originalFile":"o"},"tool_result_meta":[{"id":"t"}]}`,
		`{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t","name":"TodoWrite","input":{"todos":[{"content":1},2]}},{"type":"tool_use","id":"b","name":"Bash","input":{"command":7}}]},"parent_tool_use_id":"t"}`,
		`{"type":"control_request","request_id":"r","request":{"subtype":"can_use_tool","tool_name":"MultiEdit","input":{"file_path":"p","edits":[{"old_string":"a"}]},"permission_suggestions":[{"rules":[{"ruleContent":"x"}],"mode":"acceptEdits"},7]}}`,
		`{"type":"control_request","request_id":"r","request":{"subtype":"can_use_tool","input":{"questions":[{"question":"q","multiSelect":true,"options":["a",{"label":"b"},{}]}]}}}`,
		`{"type":"result","usage":{"input_tokens":1e300},"modelUsage":{"m":7},"errors":[1,"e"],"result":"r"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tr := newTranslator("n")
		tr.newTurn()
		var events []agent.Event
		for line := range bytes.Lines(data) {
			line = bytes.TrimSpace(line)
			in, err := decode(line)
			if err != nil {
				continue
			}
			var method string
			if in.Method != nil && json.Unmarshal(in.Method, &method) != nil {
				t.Fatalf("method %s is no string", in.Method)
			}
			options(line)
			r := readResult(line)
			if in.ID == nil && method != "" {
				events = append(events, tr.message(method, in.Params)...)
			}
			var request map[string]json.RawMessage
			if json.Unmarshal(in.Params, &request) == nil {
				events = append(events, tr.use("id", "Write", request["input"])...)
				tr.plan("id", request["input"])
				if p, label := suggestions(request["permission_suggestions"]); label == "" || len(p) > 0 && p[0] == nil {
					t.Errorf("suggestions = %v, %q", p, label)
				}
				if q, reply := questionnaire(request["input"]); q != nil {
					agenttest.CheckQuestion(t, q, reply, decision("", nil, nil, ""))
				}
				q, reply := form.Read(elicitation(request), "x")
				agenttest.CheckQuestion(t, q, reply, form.Cancelled())
				if _, err := json.Marshal(decision(allowOnce, request["input"], nil, "")); err != nil {
					t.Error(err)
				}
			}
			events = append(events, tr.settle(r)...)
		}
		for _, e := range events {
			if e.ID == "" || e.Kind == "" || e.Kind == agent.KindUnknown && len(e.Raw) == 0 {
				t.Errorf("event without id, kind or JSON: %+v", e)
			}
		}
	})
}
