package engine

import (
	"io"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/store"
	"catamaran/internal/store/storetest"
)

// A2.7: what a killed backend left is final before commands are taken, with the text it had.
func TestReconcile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	p := api.Project{ID: "p", Path: dir}
	th := api.Thread{ID: "t", ProjectID: "p", State: api.TurnWaiting, Stopping: true, AgentID: "demo"}
	waiting := api.Turn{ID: "u1", ThreadID: "t", Ordinal: 1, State: api.TurnWaiting, StartedAt: 5}
	queued := api.Turn{ID: "u2", ThreadID: "t", Ordinal: 2, State: api.TurnQueued}
	tool := api.Item{ID: "tool", ThreadID: "t", TurnID: "u1", Ordinal: 2, Kind: api.ItemToolCall, Live: true, Tool: &api.ToolCall{Status: api.ToolRunning}}
	bare := api.Item{ID: "bare", ThreadID: "t", TurnID: "u1", Ordinal: 3, Kind: api.ItemToolCall, Live: true, Tool: &api.ToolCall{Status: api.ToolRunning}}
	approval := api.Item{ID: "a", ThreadID: "t", TurnID: "u1", Ordinal: 4, Kind: api.ItemApproval, Approval: &api.Approval{State: api.ApprovalPending}}
	grown := tool
	grown.Tool = &api.ToolCall{Status: api.ToolRunning, Output: "so far"}
	message := api.Item{ID: "m", ThreadID: "t", TurnID: "u1", Ordinal: 5, Kind: api.ItemAgentMessage, Live: true, Text: "half a sen"}
	events := append([]store.Event{{Stream: store.Shell, Event: api.Event{Type: api.EventProjectUpserted, Project: &p}}}, stored("t", []api.Event{
		{Type: api.EventThreadUpserted, Thread: &th},
		{Type: api.EventTurnUpserted, Turn: &waiting}, {Type: api.EventTurnUpserted, Turn: &queued},
		{Type: api.EventItemUpserted, Item: &tool}, {Type: api.EventItemUpserted, Item: &bare}, {Type: api.EventItemUpserted, Item: &approval},
	})...)
	if err := st.Commit(t.Context(), &store.Write{Events: events, Live: []api.Item{grown, message}}); err != nil {
		t.Fatal(err)
	}
	st.Close()

	h := start(t, dir, nil, nil)
	c := h.follow("t", nil)
	c.until("the snapshot", func() bool { return true })
	if c.thread.State != api.TurnInterrupted || c.thread.Stopping {
		t.Errorf("thread %+v", c.thread)
	}
	for id, reason := range map[string]string{"u1": "while this turn was running", "u2": "queued when the backend ended"} {
		if u := c.turns[id]; u.State != api.TurnInterrupted || !strings.Contains(u.Reason.Message, reason) || u.EndedAt == 0 {
			t.Errorf("turn %+v", u)
		}
	}
	if x := c.items["tool"]; x.Live || x.Tool.Status != api.ToolCancelled || x.Tool.Output != "so far" {
		t.Errorf("tool %+v", x.Tool)
	}
	if x := c.items["bare"]; x.Live || x.Tool.Status != api.ToolCancelled {
		t.Errorf("tool %+v", x.Tool)
	}
	if m := c.items["m"]; m.Live || m.Text != "half a sen" {
		t.Errorf("message %+v", m)
	}
	if a := c.items["a"]; a.Approval.State != api.ApprovalExpired {
		t.Errorf("approval %+v", a.Approval)
	}
	turn := h.prompt("t", "say on")
	if turn.Ordinal != 3 {
		t.Errorf("turn %+v", turn)
	}
	c.until("the end", c.ended(turn.ID))
	if m := c.kind(api.ItemAgentMessage); len(m) != 2 || m[1].Ordinal <= 5 {
		t.Errorf("messages %+v", m)
	}
}

// A database that takes nothing for a while loses nothing of a running turn, and the turn ends.
func TestDatabaseBlockedInATurn(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	turn := h.prompt(th.ID, "say zero;gate;say one;start y ls;done y;say two")
	c.until("the gate", func() bool { return len(c.kind(api.ItemAgentMessage)) > 0 })
	release, err := storetest.Block(t.Context(), h.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if _, err := io.WriteString(h.d.procs[0].Stdin(), `{"type":"go"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	// Longer than SQLite itself waits for a lock.
	timer := time.AfterFunc(6*time.Second, func() {
		if err := release(); err != nil {
			t.Error(err)
		}
	})
	defer timer.Stop()
	c.until("the end", c.ended(turn.ID))
	if c.turns[turn.ID].State != api.TurnCompleted {
		t.Fatalf("%+v", c.turns[turn.ID])
	}
	var said []string
	for _, m := range c.kind(api.ItemAgentMessage) {
		said = append(said, m.Text)
	}
	if got := strings.Join(said, ","); got != "zeroone,two" || c.kind(api.ItemToolCall)[0].Tool.Status != api.ToolCompleted {
		t.Fatalf("said %s", got)
	}
	later := h.follow(th.ID, nil)
	later.until("the snapshot", func() bool { return true })
	if len(later.items) != len(c.items) || later.turns[turn.ID].State != api.TurnCompleted {
		t.Fatal("not all of it is stored")
	}
}
