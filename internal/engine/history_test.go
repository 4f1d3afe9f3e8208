package engine

import (
	"fmt"
	"strings"
	"testing"

	"catamaran/internal/api"
)

func TestALongThreadIsReadInParts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := start(t, dir, nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	script := &strings.Builder{}
	for n := range 150 {
		fmt.Fprintf(script, "say message %d;start x%d tool;done x%d;", n, n, n)
	}
	turn := h.prompt(th.ID, script.String()+"start live sleep;output live so far\n;wait")
	c.until("the last tool", func() bool {
		for _, it := range c.kind(api.ItemToolCall) {
			if it.Live && it.Tool.Title == "sleep" && it.Tool.Output != "" {
				return true
			}
		}
		return false
	})
	later := h.follow(th.ID, nil)
	later.until("the snapshot", func() bool { return true })
	if len(later.items) >= len(c.items) || len(later.items) < 100 {
		t.Fatalf("the snapshot has %d of %d items", len(later.items), len(c.items))
	}
	first := later.kind(api.ItemToolCall)[0].Ordinal
	for _, m := range later.kind(api.ItemAgentMessage) {
		first = min(first, m.Ordinal)
	}
	for {
		p := must[api.ThreadPart](t)(h.e.History(t.Context(), api.ThreadHistory{ThreadID: th.ID, Before: first}))
		for _, it := range p.Items {
			later.put(it)
		}
		if !p.Earlier {
			break
		}
		first = p.Items[0].Ordinal
	}
	same(t, c, later)
	end := must[api.ThreadPart](t)(h.e.History(t.Context(), api.ThreadHistory{ThreadID: th.ID, Before: 1 << 40, Limit: 1}))
	if len(end.Items) != 1 || end.Items[0].Tool == nil || !strings.HasPrefix(end.Items[0].Tool.Output, "so far") || end.Turns[0].ID != turn.ID {
		t.Fatalf("a live item is read without what it streamed: %+v", end)
	}
	for _, r := range []api.ThreadHistory{{}, {Before: 1, After: 1}, {Before: -1}, {Around: "x", Before: 3}, {Before: 3, Limit: -1}} {
		r.ThreadID = th.ID
		if _, err := h.e.History(t.Context(), r); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if _, err := h.e.History(t.Context(), api.ThreadHistory{ThreadID: "nowhere", Before: 3}); api.CodeOf(err) != api.CodeNotFound {
		t.Error(err)
	}
}

func same(t *testing.T, a, b *client) {
	t.Helper()
	if len(a.items) != len(b.items) {
		t.Fatalf("%d items and %d", len(a.items), len(b.items))
	}
	for id, it := range a.items {
		if got := b.items[id]; got.Ordinal != it.Ordinal || got.Text != it.Text || got.Kind != it.Kind || got.Live != it.Live {
			t.Fatalf("item %+v\nis %+v", it, got)
		}
	}
}

func TestWholeOutput(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	turn := h.prompt(th.ID, "start small ls;output small one\n;done small;start large cat;big large 600;done large;say hello")
	c.until("the end", c.ended(turn.ID))
	read := func(id string) (whole string) {
		for at := int64(0); ; {
			p := must[api.ItemOutputPart](t)(h.e.ItemOutput(t.Context(), api.ItemOutput{ItemID: id, Offset: at, Limit: 100_000}))
			whole += p.Text
			if at = p.Next; at == p.Total {
				return whole
			}
		}
	}
	tools := c.kind(api.ItemToolCall)
	if got := read(tools[0].ID); got != tools[0].Tool.Output || got == "" {
		t.Fatalf("%q", got)
	}
	if got := read(tools[1].ID); got != strings.Repeat("0123456789abcde\n", 64*600) || int64(len(got)) != tools[1].Tool.OutputBytes || len(tools[1].Tool.Output) >= len(got) {
		t.Fatalf("%d bytes of %d", len(got), tools[1].Tool.OutputBytes)
	}
	for id, code := range map[string]api.Code{c.kind(api.ItemAgentMessage)[0].ID: api.CodeInvalid, "nothing": api.CodeNotFound} {
		if _, err := h.e.ItemOutput(t.Context(), api.ItemOutput{ItemID: id}); api.CodeOf(err) != code {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestUnreadPinAndEditAreKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := start(t, dir, nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	h.prompt(th.ID, "ask x;say one")
	c.until("the question", func() bool { return c.thread.State == api.TurnWaiting })
	if !c.thread.Unread {
		t.Fatal("a question is not unread")
	}
	queued := h.prompt(th.ID, "say two")
	for range 2 {
		it := must[api.Item](t)(h.e.EditTurn(t.Context(), "edit-once", api.TurnEdit{TurnID: queued.ID, Text: "say three"}))
		if it.Text != "say three" || it.TurnID != queued.ID {
			t.Fatalf("%+v", it)
		}
	}
	ask := c.kind(api.ItemApproval)[0]
	must[api.Item](t)(h.e.AnswerApproval(t.Context(), "", api.ApprovalAnswer{ThreadID: th.ID, ItemID: ask.ID, OptionID: "yes"}))
	c.until("the end", c.ended(queued.ID))
	if said := c.kind(api.ItemAgentMessage); said[len(said)-1].Text != "three" {
		t.Fatalf("the agent was told %q", said[len(said)-1].Text)
	}
	if _, err := h.e.EditTurn(t.Context(), "", api.TurnEdit{TurnID: queued.ID, Text: "late"}); api.CodeOf(err) != api.CodeConflict {
		t.Fatal(err)
	}
	if _, err := h.e.EditTurn(t.Context(), "", api.TurnEdit{TurnID: "nothing", Text: "late"}); api.CodeOf(err) != api.CodeNotFound {
		t.Fatal(err)
	}
	must[api.Thread](t)(h.e.PinThread(t.Context(), "pin", api.ThreadPin{ThreadID: th.ID, Pinned: true}))
	h.stop()
	h = start(t, dir, nil, nil)
	c = h.follow(th.ID, nil)
	c.until("the snapshot", func() bool { return true })
	if !c.thread.Unread || !c.thread.Pinned {
		t.Fatalf("after a restart: %+v", c.thread)
	}
	if got := must[api.Thread](t)(h.e.SeenThread(t.Context(), "", api.ThreadRef{ThreadID: th.ID})); got.Unread {
		t.Fatalf("%+v", got)
	}
	c.until("the news", func() bool { return !c.thread.Unread })
}
