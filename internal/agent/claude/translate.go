package claude

import (
	"encoding/json"
	"fmt"
	"strings"

	"catamaran/internal/agent"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
	"catamaran/internal/proc"
)

// translator turns messages into events. It does no I/O.
type translator struct {
	// nonce makes ids made here differ from those of earlier processes of the same session.
	nonce string
	turn  int
	made  int
	msg   stream
	tools map[string]*toolState
	// used are the tokens of the newest answer and what it was given.
	input, output int64
	said          bool // this turn has message text
	retried       bool // this turn has told of a retry
	signIn        bool // the newest failure was about signing in
}

// stream is the answer of the model that is coming in.
type stream struct {
	id     string
	blocks []*block
}

// block is a part of an answer: its text is streamed, then told whole.
type block struct {
	index   int
	kind    string
	text    strings.Builder
	settled bool
}

func newTranslator(nonce string) *translator {
	return &translator{nonce: nonce, tools: map[string]*toolState{}}
}

func (t *translator) newTurn() {
	t.turn++
	t.msg = stream{}
	t.tools = map[string]*toolState{}
	t.said, t.retried, t.signIn = false, false, false
}

func (t *translator) numbered(kind string, n int) string {
	return fmt.Sprintf("%s:%s-%d", kind, t.nonce, n)
}

func (t *translator) make(kind string) string {
	t.made++
	return t.numbered(kind, t.made)
}

func (t *translator) notice(level, text string) agent.Event {
	return agent.Event{Kind: agent.KindNotice, ID: t.make("notice"), Level: level, Append: text}
}

// quiet are messages that say nothing a timeline has a place for.
var quiet = map[string]bool{
	"keep_alive": true, "rate_limit_event": true, "tool_progress": true, "tool_use_summary": true,
	"auth_status": true, "command_lifecycle": true, "prompt_suggestion": true, "files_persisted": true,
}

func (t *translator) message(kind string, line json.RawMessage) []agent.Event {
	switch kind {
	case "stream_event":
		return t.partial(line)
	case "assistant":
		return t.assistant(line)
	case "user":
		return t.user(lenient.Fields(line))
	case "system":
		return t.system(lenient.Fields(line))
	}
	if quiet[kind] {
		return nil
	}
	return []agent.Event{{Kind: agent.KindUnknown, ID: t.make(agent.KindUnknown), Raw: line}}
}

func (t *translator) system(f map[string]json.RawMessage) []agent.Event {
	switch lenient.Text(f["subtype"]) {
	case "compact_boundary":
		return []agent.Event{t.notice("info", "The conversation was compacted: the agent goes on with a summary of it.")}
	case "api_retry":
		if t.retried {
			return nil
		}
		t.retried = true
		text := "The model does not answer; the agent tries again"
		if e := lenient.Text(f["error"]); e != "" && e != "unknown" {
			text += " (" + proc.Text([]byte(e)) + ")"
		}
		return []agent.Event{t.notice("warning", text+".")}
	}
	return nil
}

// delta is the message that comes most, decoded in one pass.
type delta struct {
	Parent *string `json:"parent_tool_use_id"`
	Event  struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
		Delta struct {
			Type     string `json:"type"`
			Text     string `json:"text"`
			Thinking string `json:"thinking"`
		} `json:"delta"`
		Block struct {
			Type     string `json:"type"`
			Text     string `json:"text"`
			Thinking string `json:"thinking"`
			ID       string `json:"id"`
			Name     string `json:"name"`
		} `json:"content_block"`
		Message struct {
			ID    string          `json:"id"`
			Usage json.RawMessage `json:"usage"`
		} `json:"message"`
		Usage json.RawMessage `json:"usage"`
	} `json:"event"`
}

// partial translates a stream_event. What helpers of the agent say is taken from
// their whole messages.
func (t *translator) partial(line json.RawMessage) []agent.Event {
	var d delta
	_ = json.Unmarshal(line, &d) // what could be decoded is used
	if d.Parent != nil && *d.Parent != "" {
		return nil
	}
	e := &d.Event
	switch e.Type {
	case "message_start":
		t.msg = stream{id: lenient.Or(e.Message.ID, t.make("answer"))}
		t.usage(e.Message.Usage)
	case "message_delta":
		if n := lenient.Number(lenient.Fields(e.Usage)["output_tokens"]); n > 0 {
			t.output = int64(n)
		}
	case "content_block_start":
		b := &block{index: e.Index, kind: e.Block.Type}
		t.msg.blocks = append(t.msg.blocks, b)
		if b.kind == "tool_use" {
			b.settled = true
			return t.use(e.Block.ID, e.Block.Name, nil)
		}
		return t.text(b, e.Block.Text+e.Block.Thinking)
	case "content_block_delta":
		kind, text := "", ""
		switch e.Delta.Type {
		case "text_delta":
			kind, text = "text", e.Delta.Text
		case "thinking_delta":
			kind, text = "thinking", e.Delta.Thinking
		default:
			return nil
		}
		for _, b := range t.msg.blocks {
			if b.index == e.Index && b.kind == kind && !b.settled {
				return t.text(b, text)
			}
		}
		b := &block{index: e.Index, kind: kind}
		t.msg.blocks = append(t.msg.blocks, b)
		return t.text(b, text)
	}
	return nil
}

func (t *translator) usage(raw json.RawMessage) {
	u := lenient.Fields(raw)
	if n := contextTokens(u); n > 0 {
		t.input, t.output = n, int64(lenient.Number(u["output_tokens"]))
	}
}

// text appends to a block.
func (t *translator) text(b *block, s string) []agent.Event {
	if s == "" {
		return nil
	}
	b.text.WriteString(s)
	return t.say(b.kind, fmt.Sprintf("%s-%d", t.msg.id, b.index), s)
}

func (t *translator) say(kind, id, s string) []agent.Event {
	event := agent.KindMessage
	switch kind {
	case "text":
		t.said = true
	case "thinking":
		event = agent.KindReasoning
	default:
		return nil
	}
	return []agent.Event{{Kind: event, ID: event + ":" + id, Append: s}}
}

// whole takes a block that is told whole for what it is: what of it was streamed is
// not said again, and what was streamed differently is.
func (t *translator) whole(kind, s string) []agent.Event {
	for _, b := range t.msg.blocks {
		if b.kind != kind || b.settled {
			continue
		}
		b.settled = true
		streamed := b.text.String()
		b.text = strings.Builder{}
		if rest, ok := strings.CutPrefix(s, streamed); ok {
			if rest == "" {
				return nil
			}
			return t.say(kind, fmt.Sprintf("%s-%d", t.msg.id, b.index), rest)
		}
		if s == "" {
			return nil
		}
		return t.say(kind, t.make("whole"), s)
	}
	if s == "" {
		return nil
	}
	return t.say(kind, t.make("whole"), s)
}

// answer is a whole message of the model, decoded in one pass: its text may be long.
type answer struct {
	Parent   string `json:"parent_tool_use_id"`
	Error    string `json:"error"`
	APIError bool   `json:"is_api_error_message"`
	Message  struct {
		ID      string          `json:"id"`
		Usage   json.RawMessage `json:"usage"`
		Content []struct {
			Type     string          `json:"type"`
			Text     string          `json:"text"`
			Thinking string          `json:"thinking"`
			ID       string          `json:"id"`
			Name     string          `json:"name"`
			Input    json.RawMessage `json:"input"`
		} `json:"content"`
	} `json:"message"`
}

func (t *translator) assistant(line json.RawMessage) []agent.Event {
	var a answer
	_ = json.Unmarshal(line, &a) // what could be decoded is used
	if strings.HasPrefix(a.Error, "authentication") {
		t.signIn = true
	}
	if a.APIError {
		return nil // the turn's result tells it
	}
	if a.Parent == "" && a.Message.ID != t.msg.id {
		t.msg = stream{id: lenient.Or(a.Message.ID, t.make("answer"))}
		t.usage(a.Message.Usage)
	}
	var events []agent.Event
	for i, b := range a.Message.Content {
		switch {
		case b.Type == "tool_use" || b.Type == "server_tool_use" || b.Type == "mcp_tool_use":
			events = append(events, t.use(b.ID, b.Name, b.Input)...)
		case a.Parent != "" && b.Type == "text":
			if b.Text != "" && t.tools[a.Parent] != nil {
				events = append(events, agent.Event{Kind: agent.KindTool, ID: toolID(a.Parent), Append: b.Text + "\n"})
			}
		case a.Parent != "":
		case b.Type == "text":
			events = append(events, t.whole(b.Type, b.Text)...)
		case b.Type == "thinking":
			events = append(events, t.whole(b.Type, b.Thinking)...)
		case b.Type == "redacted_thinking" || b.Type == "":
		default:
			raw := line
			// Struct fields match names in any case, so the members may not be found again.
			if all := lenient.List(lenient.Fields(lenient.Fields(line)["message"])["content"]); i < len(all) {
				raw = all[i]
			}
			events = append(events, agent.Event{Kind: agent.KindUnknown, ID: t.make(agent.KindUnknown), Raw: raw})
		}
	}
	return events
}

// user translates the results of tools; text in user messages is the agent's own
// bookkeeping.
func (t *translator) user(f map[string]json.RawMessage) []agent.Event {
	skipped := map[string]bool{}
	for _, raw := range lenient.List(f["tool_result_meta"]) {
		m := lenient.Fields(raw)
		if lenient.Text(m["non_execution_kind"]) != "" {
			skipped[lenient.Text(m["id"])] = true
		}
	}
	var events []agent.Event
	for _, raw := range lenient.List(lenient.Fields(f["message"])["content"]) {
		if b := lenient.Fields(raw); lenient.Text(b["type"]) == "tool_result" {
			events = append(events, t.toolResult(b, f["tool_use_result"], skipped[lenient.Text(b["tool_use_id"])])...)
		}
	}
	return events
}

// settle ends a turn: the tool calls still open, the answer of commands that have no
// message, and the usage.
func (t *translator) settle(r result) []agent.Event {
	var events []agent.Event
	if !t.said && !r.failed() && r.Result != "" {
		events = t.say("text", t.make("whole"), r.Result)
	}
	for id, s := range t.tools {
		if !s.ended && !s.hidden {
			s.ended = true
			events = append(events, agent.Event{Kind: agent.KindTool, ID: toolID(id), Tool: &agent.ToolUpdate{Status: api.ToolCancelled}})
		}
	}
	u := api.Usage{InputTokens: r.Input, OutputTokens: r.Output, ContextSize: r.Window}
	if t.input > 0 {
		u.ContextUsed = t.input + t.output
	}
	if r.Input > 0 || r.Output > 0 {
		events = append(events, agent.Event{Kind: agent.KindUsage, ID: "usage", Usage: &u})
	}
	return events
}
