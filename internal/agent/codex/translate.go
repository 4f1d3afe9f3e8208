package codex

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"strings"

	"catamaran/internal/agent"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
)

// translator turns notifications into events. It does no I/O.
type translator struct {
	// nonce makes synthesised ids differ from those of earlier processes of the same thread.
	nonce, dir string
	turn, made int
	items      map[string]*itemState // of the running turn
	// turnID is the running turn's, once turn/started told it; base is the thread's
	// usage before it, once known.
	turnID string
	base   *tokens
}

type tokens struct{ in, out int }

// itemState is what is remembered of an item that is under way.
type itemState struct {
	texts       map[string]*streamed // by event id
	tool, ended bool
	edits       []api.FileEdit
}

// streamed remembers text by its length and hash, so that the authoritative text
// at the end can be compared with it.
type streamed struct {
	n    int
	hash maphash.Hash
}

func newTranslator(nonce, dir string) *translator {
	return &translator{nonce: nonce, dir: dir, items: map[string]*itemState{}}
}

func toolID(id string) string { return "tool:" + id }

func (t *translator) newTurn() {
	t.turn++
	t.items = map[string]*itemState{}
	t.turnID, t.base = "", nil
}

func (t *translator) make(kind string) string {
	t.made++
	return fmt.Sprintf("%s:%s-%d", kind, t.nonce, t.made)
}

func (t *translator) item(id string) *itemState {
	s := t.items[id]
	if s == nil {
		s = &itemState{texts: map[string]*streamed{}}
		t.items[id] = s
	}
	return s
}

// delta is the notification that comes most, decoded in one pass.
type delta struct {
	ThreadID     string `json:"threadId"`
	ItemID       string `json:"itemId"`
	Delta        string `json:"delta"`
	Message      string `json:"message"`
	SummaryIndex int    `json:"summaryIndex"`
}

// notification translates one; unknown ones give nothing.
func (t *translator) notification(method string, params json.RawMessage) []agent.Event {
	switch method {
	case "item/agentMessage/delta", "item/reasoning/summaryTextDelta", "item/reasoning/textDelta",
		"item/reasoning/summaryPartAdded", "item/commandExecution/outputDelta", "item/mcpToolCall/progress":
		var d delta
		_ = json.Unmarshal(params, &d) // what could be decoded is kept
		return t.delta(method, d)
	}
	p := lenient.Fields(params)
	switch method {
	case "item/started", "item/completed":
		return t.wholeItem(p["item"], method == "item/completed")
	case "item/fileChange/patchUpdated":
		if id := lenient.Text(p["itemId"]); id != "" {
			return t.fileChange(id, map[string]json.RawMessage{"changes": p["changes"]}, false)
		}
	case "turn/plan/updated":
		return []agent.Event{{Kind: agent.KindPlan, ID: fmt.Sprintf("plan:%s-%d", t.nonce, t.turn), Plan: planSteps(p["plan"])}}
	case "turn/started":
		t.turnID = lenient.Text(lenient.Fields(p["turn"])["id"])
	case "thread/tokenUsage/updated":
		// A resumed thread tells the usage of the turn before it once more.
		if id := lenient.Text(p["turnId"]); t.turnID != "" && (id == "" || id == t.turnID) {
			return t.usage(p["tokenUsage"])
		}
	case "error":
		if lenient.True(p["willRetry"]) {
			return t.notice("warning", lenient.Or(lenient.Text(lenient.Fields(p["error"])["message"]), "The model's server had an error; trying again."))
		}
		// Else turn/completed tells it.
	case "warning", "guardianWarning":
		return t.notice("warning", lenient.Text(p["message"]))
	case "configWarning", "deprecationNotice":
		return t.notice("warning", joined(": ", lenient.Text(p["summary"]), lenient.Text(p["details"])))
	case "model/rerouted":
		return t.notice("info", joined(" ", "The model was changed to", lenient.Text(p["toModel"])))
	}
	return nil
}

func joined(sep string, parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, sep)
}

func (t *translator) notice(level, text string) []agent.Event {
	if text == "" {
		return nil
	}
	return []agent.Event{{Kind: agent.KindNotice, ID: t.make(agent.KindNotice), Level: level, Append: text}}
}

func (t *translator) delta(method string, d delta) []agent.Event {
	if d.ItemID == "" {
		return nil
	}
	kind, id, text := agent.KindMessage, agent.KindMessage+":"+d.ItemID, d.Delta
	switch method {
	case "item/reasoning/summaryTextDelta":
		kind, id = agent.KindReasoning, agent.KindReasoning+":"+d.ItemID
	case "item/reasoning/summaryPartAdded":
		kind, id, text = agent.KindReasoning, agent.KindReasoning+":"+d.ItemID, ""
		if d.SummaryIndex > 0 {
			text = partBreak
		}
	case "item/reasoning/textDelta":
		kind, id = agent.KindReasoning, rawReasoning(d.ItemID)
	case "item/commandExecution/outputDelta", "item/mcpToolCall/progress":
		var events []agent.Event
		if s := t.item(d.ItemID); !s.tool {
			// Output of a call that was not told.
			s.tool = true
			events = append(events, agent.Event{Kind: agent.KindTool, ID: toolID(d.ItemID),
				Tool: &agent.ToolUpdate{Kind: "other", Title: "Tool call", Status: api.ToolRunning}})
		}
		kind, id = agent.KindTool, toolID(d.ItemID)
		if d.Message != "" {
			text = d.Message + "\n"
		}
		if text == "" {
			return events
		}
		t.item(d.ItemID).stream(id, text)
		return append(events, agent.Event{Kind: kind, ID: id, Append: text})
	}
	if text == "" {
		return nil
	}
	t.item(d.ItemID).stream(id, text)
	return []agent.Event{{Kind: kind, ID: id, Append: text}}
}

// partBreak stands between the parts of a reasoning summary.
const partBreak = "\n\n"

func rawReasoning(id string) string { return agent.KindReasoning + ":" + id + ":raw" }

// seed is one for all, or hashes of different times would never be equal.
var seed = maphash.MakeSeed()

func (s *itemState) stream(id, text string) {
	r := s.texts[id]
	if r == nil {
		r = &streamed{}
		r.hash.SetSeed(seed)
		s.texts[id] = r
	}
	r.n += len(text)
	_, _ = r.hash.WriteString(text) // never fails
}

// rest is what of the whole text has not been streamed; same is false where the
// streamed text was another one.
func (s *itemState) rest(id, whole string) (rest string, same bool) {
	r := s.texts[id]
	if r == nil {
		return whole, true
	}
	if len(whole) < r.n || maphash.String(seed, whole[:r.n]) != r.hash.Sum64() {
		return "", false
	}
	return whole[r.n:], true
}

// text completes a text with what was not streamed of it. A text that differs from
// the streamed one stays as it was read: what has been shown cannot be taken back.
func (t *translator) text(kind, id string, state *itemState, whole string) []agent.Event {
	rest, _ := state.rest(id, whole)
	if rest == "" {
		return nil
	}
	state.stream(id, rest)
	return []agent.Event{{Kind: kind, ID: id, Append: rest}}
}

func planSteps(raw json.RawMessage) []api.PlanStep {
	steps := []api.PlanStep{}
	for _, e := range lenient.List(raw) {
		f := lenient.Fields(e)
		step := api.PlanStep{Text: lenient.Text(f["step"]), Status: lenient.Text(f["status"])}
		switch step.Status {
		case "inProgress", "in_progress":
			step.Status = "in_progress"
		case "completed":
		default:
			step.Status = "pending"
		}
		steps = append(steps, step)
	}
	return steps
}

// usage reads the tokens: Codex counts over the whole thread, the app by turn.
func (t *translator) usage(raw json.RawMessage) []agent.Event {
	f := lenient.Fields(raw)
	read := func(raw json.RawMessage) tokens {
		g := lenient.Fields(raw)
		return tokens{lenient.Number(g["inputTokens"]), lenient.Number(g["outputTokens"])}
	}
	total, last := read(f["total"]), read(f["last"])
	if t.base == nil {
		t.base = &tokens{total.in - last.in, total.out - last.out}
	}
	u := api.Usage{
		InputTokens: int64(max(0, total.in-t.base.in)), OutputTokens: int64(max(0, total.out-t.base.out)),
		ContextUsed: int64(max(0, lenient.Number(lenient.Fields(f["last"])["totalTokens"]))), ContextSize: int64(max(0, lenient.Number(f["modelContextWindow"]))),
	}
	if u == (api.Usage{}) {
		return nil
	}
	return []agent.Event{{Kind: agent.KindUsage, ID: "usage", Usage: &u}}
}

// settle ends the tool calls still open at the end of a turn.
func (t *translator) settle() []agent.Event {
	var events []agent.Event
	for id, s := range t.items {
		if s.tool && !s.ended {
			s.ended = true
			events = append(events, agent.Event{Kind: agent.KindTool, ID: toolID(id), Tool: &agent.ToolUpdate{Status: api.ToolCancelled}})
		}
	}
	return events
}
