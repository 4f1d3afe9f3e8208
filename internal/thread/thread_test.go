package thread

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catamaran/internal/api"
)

// world drives decisions as the engine does and checks the invariants after each.
type world struct {
	t      interface{ Fatalf(string, ...any) }
	s      State
	ids    int
	final  map[string]api.TurnState
	order  []string // turn ids in the order sent, without those taken back or dropped
	begun  []string
	acts   []Action
	events []api.Event
}

func newWorld(t interface{ Fatalf(string, ...any) }) *world {
	return &world{t: t, s: State{Thread: api.Thread{ID: "t1", Permission: api.PermissionSupervised}}, final: map[string]api.TurnState{}}
}

func (w *world) id(p string) string { w.ids++; return fmt.Sprintf("%s%d", p, w.ids) }

func (w *world) do(c Command) *api.Error {
	before := w.s
	d, err := Decide(w.s, int64(1000+w.ids), "tr", c)
	if err != nil {
		if len(d.Events) > 0 || len(d.Actions) > 0 {
			w.t.Fatalf("%T refused but decided something", c)
		}
		return err
	}
	running := 0
	for _, e := range d.Events {
		if e.Turn == nil {
			continue
		}
		if was, ok := w.final[e.Turn.ID]; ok {
			w.t.Fatalf("%T changes turn %s, which is %s", c, e.Turn.ID, was)
		}
		if e.Turn.State.Final() {
			w.final[e.Turn.ID] = e.Turn.State
			if e.Turn.EndedAt == 0 {
				w.t.Fatalf("final turn without an end")
			}
			if e.Turn.State != api.TurnCompleted && e.Turn.Reason == nil {
				w.t.Fatalf("%s turn without a reason", e.Turn.State)
			}
		}
	}
	w.s = Fold(before, d.Events)
	if w.s.Active != nil {
		running++
		if w.s.Active.State != api.TurnRunning && w.s.Active.State != api.TurnWaiting {
			w.t.Fatalf("active turn is %s", w.s.Active.State)
		}
		if (w.s.Active.State == api.TurnWaiting) != (len(w.s.Pending) > 0) {
			w.t.Fatalf("turn %s with %d open approvals", w.s.Active.State, len(w.s.Pending))
		}
		if w.s.Thread.State != w.s.Active.State {
			w.t.Fatalf("thread says %s, turn %s", w.s.Thread.State, w.s.Active.State)
		}
	} else {
		if len(w.s.Queue) > 0 {
			w.t.Fatalf("%T leaves a queue that nothing will begin", c)
		}
		if w.s.Thread.Stopping {
			w.t.Fatalf("%T leaves Stopping without a turn", c)
		}
		if len(w.s.Pending) > 0 {
			w.t.Fatalf("%T leaves approvals without a turn", c)
		}
	}
	for _, a := range d.Actions {
		if a.Kind == Begin {
			w.begun = append(w.begun, a.Turn.ID)
			if before.Active != nil {
				if _, ended := w.final[before.Active.ID]; !ended {
					w.t.Fatalf("%T begins a turn while another runs", c)
				}
			}
		}
	}
	w.acts = append(w.acts, d.Actions...)
	w.events = append(w.events, d.Events...)
	return nil
}

func (w *world) prompt(text string) string {
	id := w.id("u")
	if err := w.do(Prompt{TurnID: id, ItemID: w.id("i"), Text: text}); err != nil {
		return ""
	}
	w.order = append(w.order, id)
	return id
}

// Any order of commands and agent events keeps the promises of the package comment.
func TestAnyOrderKeepsTheInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		stops := 0
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"prompt", "prompt", "stop", "end", "fail", "ask", "reply", "cancel", "withdraw", "unqueue", "edit", "seen", "pin", "halt", "archive", "update", "remove"}).Draw(rt, "do") {
			case "prompt":
				w.prompt("hello")
			case "stop":
				w.do(Stop{})
				stops++
				if w.s.Active != nil && !w.s.Thread.Stopping {
					rt.Fatalf("a stop is not on its way")
				}
				if len(w.s.Queue) > 0 {
					rt.Fatalf("a stop leaves what was queued before it")
				}
			case "end", "fail":
				if w.s.Active == nil {
					continue
				}
				state := rapid.SampledFrom([]api.TurnState{api.TurnCompleted, api.TurnInterrupted, api.TurnFailed}).Draw(rt, "state")
				e := End{TurnID: w.s.Active.ID, State: state}
				if state != api.TurnCompleted {
					e.Reason = &api.Error{Code: api.CodeAgentFailed, Message: "x"}
				}
				was := w.s.Active.ID
				if err := w.do(e); err != nil {
					rt.Fatalf("end refused: %v", err)
				}
				if _, ok := w.final[was]; !ok {
					rt.Fatalf("an ended turn is not final")
				}
			case "ask":
				w.do(Ask{Item: api.Item{ID: w.id("a"), Approval: &api.Approval{Options: []api.ApprovalOption{{ID: "y", Kind: "allow_once"}, {ID: "n", Kind: "reject_once"}}}}})
			case "reply", "cancel", "withdraw":
				if len(w.s.Pending) == 0 {
					continue
				}
				id := w.s.Pending[rapid.IntRange(0, len(w.s.Pending)-1).Draw(rt, "which")].ID
				switch rapid.SampledFrom([]string{"y", "n", "odd", "cancel", "withdraw"}).Draw(rt, "how") {
				case "odd":
					if w.do(Reply{ItemID: id, OptionID: "odd"}) == nil {
						rt.Fatalf("an option that was not offered is taken")
					}
				case "cancel":
					w.do(Reply{ItemID: id, Cancel: true})
				case "withdraw":
					w.do(Withdraw{ItemID: id})
				default:
					w.do(Reply{ItemID: id, OptionID: "y"})
				}
			case "unqueue":
				if len(w.s.Queue) > 0 {
					id := w.s.Queue[rapid.IntRange(0, len(w.s.Queue)-1).Draw(rt, "which")].Turn.ID
					if err := w.do(Unqueue{TurnID: id}); err != nil {
						rt.Fatalf("unqueue refused: %v", err)
					}
				}
			case "edit":
				if len(w.s.Queue) > 0 {
					at := rapid.IntRange(0, len(w.s.Queue)-1).Draw(rt, "which")
					if err := w.do(Edit{TurnID: w.s.Queue[at].Turn.ID, Text: "hello again"}); err != nil || w.s.Queue[at].Prompt.Text != "hello again" {
						rt.Fatalf("an edit of a queued turn: %v", err)
					}
				}
			case "seen":
				if err := w.do(Seen{}); err == nil && w.s.Thread.Unread {
					rt.Fatalf("unread although it was seen")
				}
			case "pin":
				w.do(Pin{Pinned: rapid.Bool().Draw(rt, "pinned")})
			case "halt":
				w.do(Halt{Running: "r", Queued: "q"})
				if w.s.Active != nil {
					rt.Fatalf("something runs after a halt")
				}
			case "archive":
				w.do(Archive{Archived: rapid.Bool().Draw(rt, "archived")})
			case "update":
				w.do(Update{AgentID: "other"})
			case "remove":
				w.do(Remove{})
			}
		}
		// Turns begin in the order they were sent.
		at := 0
		for _, id := range w.begun {
			for at < len(w.order) && w.order[at] != id {
				at++
			}
			if at == len(w.order) {
				rt.Fatalf("turns began as %v, sent as %v", w.begun, w.order)
			}
			at++
		}
		// The state is what its events say: folding them anew gives the same.
		again := Fold(State{}, w.events)
		if w.s.Active != nil && (again.Active == nil || *again.Active != *w.s.Active) || len(again.Queue) != len(w.s.Queue) || len(again.Pending) != len(w.s.Pending) {
			rt.Fatalf("folding the events anew gives another state")
		}
		for i := range again.Queue {
			if p := again.Queue[i].Prompt; !strings.HasPrefix(p.Text, "hello") || p.Text != w.s.Queue[i].Prompt.Text {
				rt.Fatalf("a queued turn lost its prompt")
			}
		}
		// Whatever happened, a stop and the end that follows it leave nothing running.
		if w.s.Active != nil {
			w.do(Stop{})
			w.do(End{TurnID: w.s.Active.ID, State: api.TurnInterrupted, Reason: &api.Error{Message: "stopped"}})
			if w.s.Active != nil || len(w.s.Queue) > 0 {
				rt.Fatalf("a stop did not converge")
			}
		}
	})
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	approval := func(w *world) string {
		id := w.id("a")
		if err := w.do(Ask{Item: api.Item{ID: id, Approval: &api.Approval{Title: "run?", Options: []api.ApprovalOption{{ID: "y", Kind: "allow_once"}, {ID: "n", Kind: "reject_once"}}}}}); err != nil {
			w.t.Fatalf("ask: %v", err)
		}
		return id
	}
	last := func(w *world, id string) *api.Item {
		for i := len(w.events) - 1; i >= 0; i-- {
			if it := w.events[i].Item; it != nil && it.ID == id {
				return it
			}
		}
		w.t.Fatalf("no item %s", id)
		return nil
	}
	code := func(err *api.Error) api.Code {
		if err == nil {
			return ""
		}
		return err.Code
	}
	tests := []struct {
		name string
		do   func(t *testing.T, w *world)
	}{
		{"the first prompt runs and names the thread", func(t *testing.T, w *world) {
			w.prompt("  Fix the build\nplease")
			if w.s.Thread.Title != "Fix the build" || w.s.Active == nil || w.s.Thread.State != api.TurnRunning {
				t.Fatalf("got %+v", w.s.Thread)
			}
		}},
		{"a second prompt queues and moves behind what came meanwhile", func(t *testing.T, w *world) {
			first := w.prompt("one")
			second := w.prompt("two")
			if len(w.s.Queue) != 1 || w.s.Queue[0].Prompt.Text != "two" {
				t.Fatalf("queue %+v", w.s.Queue)
			}
			was := w.s.Queue[0].Prompt
			approvalID := approval(w)
			w.do(Reply{ItemID: approvalID, OptionID: "y"})
			w.do(End{TurnID: first, State: api.TurnCompleted})
			if w.s.Active == nil || w.s.Active.ID != second {
				t.Fatal("the queued turn did not begin")
			}
			if now := last(w, was.ID); now.Ordinal <= last(w, approvalID).Ordinal {
				t.Fatalf("the prompt stays at %d", now.Ordinal)
			}
		}},
		{"a failed turn interrupts what was queued behind it", func(t *testing.T, w *world) {
			first := w.prompt("one")
			second := w.prompt("two")
			w.do(End{TurnID: first, State: api.TurnFailed, Reason: &api.Error{Code: api.CodeAgentFailed, Message: "died"}})
			if w.final[second] != api.TurnInterrupted || w.s.Thread.State != api.TurnFailed {
				t.Fatalf("%v, thread %s", w.final, w.s.Thread.State)
			}
		}},
		{"what is sent after a stop runs after it", func(t *testing.T, w *world) {
			first := w.prompt("one")
			dropped := w.prompt("two")
			w.do(Stop{})
			after := w.prompt("three")
			w.do(End{TurnID: first, State: api.TurnInterrupted, Reason: &api.Error{Message: "stopped"}})
			if w.final[dropped] != api.TurnInterrupted || w.s.Active == nil || w.s.Active.ID != after || w.s.Thread.Stopping {
				t.Fatalf("%v %+v", w.final, w.s.Active)
			}
		}},
		{"approvals: waiting, approved, running again", func(t *testing.T, w *world) {
			w.prompt("one")
			a, b := approval(w), approval(w)
			if w.s.Thread.State != api.TurnWaiting {
				t.Fatal("not waiting")
			}
			w.do(Reply{ItemID: a, OptionID: "y"})
			if w.s.Active.State != api.TurnWaiting {
				t.Fatal("runs while one is open")
			}
			w.do(Reply{ItemID: b, OptionID: "n"})
			if w.s.Active.State != api.TurnRunning || last(w, a).Approval.State != api.ApprovalApproved || last(w, b).Approval.State != api.ApprovalDeclined || last(w, b).Approval.ChosenID != "n" {
				t.Fatal("not as answered")
			}
			if c := code(w.do(Reply{ItemID: a, OptionID: "y"})); c != api.CodeConflict {
				t.Fatalf("a second answer: %q", c)
			}
		}},
		{"a stop cancels approvals and tells the agent", func(t *testing.T, w *world) {
			w.prompt("one")
			a := approval(w)
			w.acts = nil
			w.do(Stop{})
			if last(w, a).Approval.State != api.ApprovalCancelled || len(w.acts) != 2 || w.acts[0].Kind != Answer || w.acts[0].Option != "" || w.acts[1].Kind != Interrupt {
				t.Fatalf("%+v", w.acts)
			}
			w.acts = nil
			w.do(Stop{})
			if len(w.acts) != 0 {
				t.Fatal("a second stop begins a second ladder")
			}
			b := w.id("a")
			w.do(Ask{Item: api.Item{ID: b, Approval: &api.Approval{}}})
			if last(w, b).Approval.State != api.ApprovalCancelled || w.s.Active.State != api.TurnRunning {
				t.Fatal("an approval asked while stopping stays open")
			}
		}},
		{"cancelling an approval cancels the turn", func(t *testing.T, w *world) {
			w.prompt("one")
			w.do(Reply{ItemID: approval(w), Cancel: true})
			if !w.s.Thread.Stopping || w.acts[len(w.acts)-1].Kind != Interrupt {
				t.Fatal("not stopping")
			}
		}},
		{"an approval without options can only be cancelled", func(t *testing.T, w *world) {
			w.prompt("one")
			id := w.id("a")
			w.do(Ask{Item: api.Item{ID: id, Approval: &api.Approval{Options: []api.ApprovalOption{{ID: "", Kind: "allow_once"}}}}})
			if c := code(w.do(Reply{ItemID: id})); c != api.CodeInvalid {
				t.Fatalf("got %q", c)
			}
		}},
		{"a halt ends the running, the queued and the open", func(t *testing.T, w *world) {
			first, second := w.prompt("one"), w.prompt("two")
			a := approval(w)
			tool := api.Item{ID: "x", ThreadID: "t1", Kind: api.ItemToolCall, Ordinal: 40, Live: true, Tool: &api.ToolCall{Status: api.ToolRunning}}
			w.do(Halt{Running: "ended", Queued: "was queued", Live: []api.Item{tool}})
			if w.final[first] != api.TurnInterrupted || w.final[second] != api.TurnInterrupted || last(w, a).Approval.State != api.ApprovalExpired {
				t.Fatalf("%v", w.final)
			}
			if x := last(w, "x"); x.Live || x.Tool.Status != api.ToolCancelled || tool.Tool.Status != api.ToolRunning {
				t.Fatalf("%+v", x)
			}
		}},
		{"a running thread is neither archived nor removed", func(t *testing.T, w *world) {
			w.prompt("one")
			if code(w.do(Archive{Archived: true})) != api.CodeConflict || code(w.do(Remove{})) != api.CodeConflict {
				t.Fatal("taken")
			}
		}},
		{"a removed thread takes nothing", func(t *testing.T, w *world) {
			w.do(Remove{})
			if c := code(w.do(Prompt{TurnID: "u", ItemID: "i", Text: "x"})); c != api.CodeNotFound {
				t.Fatalf("got %q", c)
			}
		}},
		{"an archived thread takes no prompt", func(t *testing.T, w *world) {
			w.do(Archive{Archived: true})
			if c := code(w.do(Prompt{TurnID: "u", ItemID: "i", Text: "x"})); c != api.CodeConflict {
				t.Fatalf("got %q", c)
			}
		}},
		{"empty and huge prompts are refused", func(t *testing.T, w *world) {
			if code(w.do(Prompt{Text: " \n"})) != api.CodeInvalid || code(w.do(Prompt{Text: strings.Repeat("x", TextMost+1)})) != api.CodeTooLarge {
				t.Fatal("taken")
			}
		}},
		{"the queue is bounded", func(t *testing.T, w *world) {
			for range QueueMost + 1 {
				w.prompt("x")
			}
			if c := code(w.do(Prompt{TurnID: "u", ItemID: "i", Text: "x"})); c != api.CodeConflict {
				t.Fatalf("got %q", c)
			}
		}},
		{"an update with nothing new does nothing", func(t *testing.T, w *world) {
			w.do(Update{Permission: api.PermissionSupervised})
			if len(w.events)+len(w.acts) != 0 {
				t.Fatal("did something")
			}
			w.do(Update{Permission: api.PermissionFull})
			if w.s.Thread.Permission != api.PermissionFull || len(w.acts) != 1 || w.acts[0].Kind != Reopen {
				t.Fatal("did not change")
			}
			if c := code(w.do(Update{Permission: "root"})); c != api.CodeInvalid {
				t.Fatalf("got %q", c)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.do(t, newWorld(t))
		})
	}
}

func TestTitle(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"hello":                 "hello",
		"\n\n  a\tb  \nsecond":  "a b",
		strings.Repeat("ä", 60): strings.Repeat("ä", 60),
		strings.Repeat("ä", 61): strings.Repeat("ä", 59) + "…",
		"esc\x1b[31mape":        "esc [31mape",
	} {
		if got := Title(in); got != want {
			t.Errorf("Title(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestUnreadFollowsWhatAPersonHasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	is := func(when string, want bool) {
		t.Helper()
		if w.s.Thread.Unread != want {
			t.Fatalf("%s: unread is %v", when, w.s.Thread.Unread)
		}
	}
	ask := func() string {
		id := w.id("a")
		w.do(Ask{Item: api.Item{ID: id, Approval: &api.Approval{Options: []api.ApprovalOption{{ID: "y", Kind: "allow_once"}}}}})
		return id
	}
	end := func(s api.TurnState) {
		w.do(End{TurnID: w.s.Active.ID, State: s, Reason: &api.Error{Message: "x"}})
	}
	w.prompt("one")
	is("a turn runs", false)
	ask()
	is("a question", true)
	w.do(Seen{})
	is("seen", false)
	w.do(Reply{ItemID: w.s.Pending[0].ID, OptionID: "y"})
	end(api.TurnCompleted)
	is("done", true)
	before := len(w.events)
	w.do(Seen{})
	w.do(Seen{})
	if len(w.events) != before+1 {
		t.Fatalf("seen twice makes %d events", len(w.events)-before)
	}
	w.prompt("two")
	end(api.TurnFailed)
	is("failed", true)
	w.prompt("three")
	is("a prompt is written by somebody who looks", false)
	id := ask()
	w.do(Reply{ItemID: id, OptionID: "y"})
	is("answered", false)
	w.do(Stop{})
	end(api.TurnInterrupted)
	is("stopped by the person", false)
	w.prompt("four")
	w.do(Halt{Running: "r", Queued: "q"})
	is("ended by a restart", true)
}

func TestEditAndPin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.prompt("one")
	second := w.prompt("two")
	at := w.s.Queue[0].Prompt.Ordinal
	for text, code := range map[string]api.Code{" \n": api.CodeInvalid, strings.Repeat("x", TextMost+1): api.CodeTooLarge} {
		if err := w.do(Edit{TurnID: second, Text: text}); err == nil || err.Code != code {
			t.Fatalf("%v", err)
		}
	}
	if err := w.do(Edit{TurnID: first, Text: "x"}); err == nil || err.Code != api.CodeConflict {
		t.Fatalf("a running turn is edited: %v", err)
	}
	if err := w.do(Edit{TurnID: second, Text: "better"}); err != nil || w.s.Queue[0].Prompt.Ordinal != at {
		t.Fatalf("%v, %+v", err, w.s.Queue[0])
	}
	w.do(End{TurnID: first, State: api.TurnCompleted})
	if a := w.acts[len(w.acts)-1]; a.Kind != Begin || a.Text != "better" {
		t.Fatalf("%+v", a)
	}
	updated := w.s.Thread.UpdatedAt
	w.do(Pin{Pinned: true})
	if !w.s.Thread.Pinned || w.s.Thread.UpdatedAt != updated {
		t.Fatalf("%+v", w.s.Thread)
	}
	w.do(Pin{})
	if w.s.Thread.Pinned {
		t.Fatal("still pinned")
	}
}

func TestAskingIsWhatTheOldestOfThemWants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	is := func(when, want string) {
		t.Helper()
		if w.s.Thread.Asking != want {
			t.Fatalf("%s: asking is %q; want %q", when, w.s.Thread.Asking, want)
		}
	}
	w.prompt("one")
	is("a turn runs", "")
	a, p := w.id("a"), w.id("p")
	options := []api.ApprovalOption{{ID: "y", Kind: "allow_once"}}
	w.do(Ask{Item: api.Item{ID: a, Approval: &api.Approval{Kind: "execute", Options: options}}})
	is("a command", "approval")
	w.do(Ask{Item: api.Item{ID: p, Approval: &api.Approval{Kind: "plan", Options: options}}})
	is("a plan behind it", "approval")
	w.do(Reply{ItemID: a, OptionID: "y"})
	is("the plan alone", "plan")
	w.do(Reply{ItemID: p, OptionID: "y"})
	is("answered", "")
	w.do(Ask{Item: api.Item{ID: w.id("q"), Question: &api.Question{Parts: []api.QuestionPart{{ID: "1", FreeText: true}}}}})
	is("a question", "question")
	w.do(Stop{})
	is("stopped", "")
}
