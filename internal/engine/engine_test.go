package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/store"
)

func TestATurnFromPromptToEnd(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	turn := h.prompt(th.ID, "think hm;say Hello ;say world;start x ls -l;output x one\n;output x two\n;done x;plan first;unknown;usage;say Done.")
	if turn.State != api.TurnRunning || turn.Ordinal != 1 {
		t.Fatalf("%+v", turn)
	}
	c.until("the end", c.ended(turn.ID))
	end := c.turns[turn.ID]
	if end.State != api.TurnCompleted || end.Usage == nil || end.Usage.OutputTokens != 34 || end.StartedAt == 0 || end.EndedAt == 0 {
		t.Fatalf("%+v", end)
	}
	if c.thread.Title == "" || c.thread.State != api.TurnCompleted {
		t.Fatalf("%+v", c.thread)
	}
	msgs := c.kind(api.ItemAgentMessage)
	if len(msgs) != 2 || msgs[0].Text != "Hello world" && msgs[0].Text != "Helloworld" || msgs[1].Text != "Done." {
		t.Fatalf("messages %+v", msgs)
	}
	tools := c.kind(api.ItemToolCall)
	if len(tools) != 1 || tools[0].Tool.Output != "one\ntwo\n" && tools[0].Tool.Output != "onetwo" || tools[0].Tool.Status != api.ToolCompleted || tools[0].Tool.Command != "ls -l" || *tools[0].Tool.ExitCode != 0 {
		t.Fatalf("tools %+v", tools[0].Tool)
	}
	if u := c.kind(api.ItemUnknown); len(u) != 1 || string(u[0].Raw) != `{"new":"thing"}` {
		t.Fatalf("unknown %+v", u)
	}
	if p := c.kind(api.ItemPlan); len(p) != 1 || p[0].Plan[0].Text != "first" {
		t.Fatalf("plan %+v", p)
	}
	last := int64(0)
	for _, k := range []api.ItemKind{api.ItemUserMessage, api.ItemReasoning, api.ItemAgentMessage, api.ItemToolCall, api.ItemPlan, api.ItemUnknown} {
		it := c.kind(k)[0]
		if it.Live || it.Ordinal <= last {
			t.Fatalf("%s is at %d after %d, live %v", k, it.Ordinal, last, it.Live)
		}
		last = it.Ordinal
	}
	// A client that comes later sees the same, by snapshot and by replay.
	later := h.follow(th.ID, nil)
	later.until("the snapshot", func() bool { return true })
	zero := int64(0)
	replayed := h.follow(th.ID, &zero)
	replayed.until("the replay", func() bool { return true })
	for id, it := range c.items {
		if got := later.items[id]; got.Text != it.Text || got.UpdatedAt != it.UpdatedAt {
			t.Errorf("snapshot has %+v, the live client %+v", got, it)
		}
		if got := replayed.items[id]; got.Text != it.Text || got.Ordinal != it.Ordinal {
			t.Errorf("replay has %+v, the live client %+v", got, it)
		}
	}
}

func TestStreamingIsCoalescedAndExact(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	turn := h.prompt(th.ID, "chatter 3000;wait")
	// Clients that come in the middle of it reach the same text.
	c.until("some text", func() bool { return c.deltas > 0 })
	mid := h.follow(th.ID, nil)
	full := func(c *client) func() bool {
		return func() bool {
			m := c.kind(api.ItemAgentMessage)
			return len(m) == 1 && strings.HasSuffix(m[0].Text, "piece 2999 ä\n")
		}
	}
	mid.until("the text", full(mid))
	c.until("the text", full(c))
	if c.deltas > 1000 {
		t.Errorf("%d deltas for 3000 pieces", c.deltas)
	}
	if !c.kind(api.ItemAgentMessage)[0].Live {
		t.Error("the message is complete while it streams")
	}
	must[api.Thread](t)(h.e.StopTurn(t.Context(), "", api.ThreadRef{ThreadID: th.ID}))
	c.until("the end", c.ended(turn.ID))
	mid.until("the end", mid.ended(turn.ID))
	if a, b := c.kind(api.ItemAgentMessage)[0], mid.kind(api.ItemAgentMessage)[0]; a.Text != b.Text || a.Live || len(a.Text) != len(b.Text) {
		t.Error("two clients see different texts")
	}
}

func TestQueueRunsInOrder(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	h.prompt(th.ID, "ask x;say one")
	c.until("the question", func() bool { return c.thread.State == api.TurnWaiting })
	second, third, fourth := h.prompt(th.ID, "say two"), h.prompt(th.ID, "say three"), h.prompt(th.ID, "say four")
	if second.State != api.TurnQueued {
		t.Fatalf("%+v", second)
	}
	must[api.Empty](t)(h.e.UnqueueTurn(t.Context(), "take-back", api.TurnRef{TurnID: third.ID}))
	must[api.Empty](t)(h.e.UnqueueTurn(t.Context(), "take-back", api.TurnRef{TurnID: third.ID}))
	ask := c.kind(api.ItemApproval)[0]
	must[api.Item](t)(h.e.AnswerApproval(t.Context(), "", api.ApprovalAnswer{ThreadID: th.ID, ItemID: ask.ID, OptionID: "yes"}))
	c.until("the end", c.ended(fourth.ID))
	var said []string
	for _, m := range c.kind(api.ItemAgentMessage) {
		said = append(said, m.Text)
	}
	if got := strings.Join(said, ","); got != "answered yes.one,two,four" {
		t.Fatalf("said %s", got)
	}
	if len(h.d.opened) != 1 {
		t.Fatalf("%d agent processes for one conversation", len(h.d.opened))
	}
	if m := c.kind(api.ItemUserMessage); len(m) != 3 || m[1].Ordinal < c.kind(api.ItemAgentMessage)[0].Ordinal {
		t.Fatalf("prompts %+v", m)
	}
}

func TestApprovals(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	turn := h.prompt(th.ID, "withdraw;start x rm;ask x")
	pending := func() bool {
		for _, it := range c.kind(api.ItemApproval) {
			if it.Approval.State == api.ApprovalPending && it.Approval.Title != "Never mind" {
				return c.thread.State == api.TurnWaiting
			}
		}
		return false
	}
	c.until("the question", pending)
	asks := c.kind(api.ItemApproval)
	if asks[0].Approval.State != api.ApprovalCancelled {
		t.Fatalf("withdrawn: %+v", asks[0].Approval)
	}
	ask := asks[1]
	if ask.Approval.ToolItemID != c.kind(api.ItemToolCall)[0].ID {
		t.Fatalf("not about its tool call: %+v", ask.Approval)
	}
	answer := api.ApprovalAnswer{ThreadID: th.ID, ItemID: ask.ID, OptionID: "maybe"}
	if _, err := h.e.AnswerApproval(t.Context(), "", answer); api.CodeOf(err) != api.CodeInvalid {
		t.Fatalf("an option not offered: %v", err)
	}
	answer.OptionID = "no"
	got := must[api.Item](t)(h.e.AnswerApproval(t.Context(), "", answer))
	if got.Approval.State != api.ApprovalDeclined || got.Approval.ChosenID != "no" {
		t.Fatalf("%+v", got.Approval)
	}
	c.until("the end", c.ended(turn.ID))
	if m := c.kind(api.ItemAgentMessage); m[0].Text != "answered no." || c.turns[turn.ID].State != api.TurnCompleted {
		t.Fatalf("%+v", m)
	}
	if c.kind(api.ItemToolCall)[0].Tool.Status != api.ToolFailed {
		t.Fatal("a tool call without an end stays open")
	}
	if _, err := h.e.AnswerApproval(t.Context(), "", answer); api.CodeOf(err) != api.CodeConflict {
		t.Fatalf("a second answer: %v", err)
	}

	t.Run("one of unknown shape is a generic card, and cancel ends the turn", func(t *testing.T) {
		turn := h.prompt(th.ID, "oddask y;say never")
		c.until("the card", func() bool { return c.thread.State == api.TurnWaiting })
		all := c.kind(api.ItemApproval)
		odd := all[len(all)-1]
		if odd.Approval.Title == "" || string(odd.Raw) != `{"odd":true}` || len(odd.Approval.Options) != 0 {
			t.Fatalf("%+v", odd)
		}
		got := must[api.Item](t)(h.e.AnswerApproval(t.Context(), "", api.ApprovalAnswer{ThreadID: th.ID, ItemID: odd.ID, Cancel: true}))
		if got.Approval.State != api.ApprovalCancelled {
			t.Fatalf("%+v", got.Approval)
		}
		c.until("the end", c.ended(turn.ID))
		if c.turns[turn.ID].State != api.TurnInterrupted {
			t.Fatalf("%+v", c.turns[turn.ID])
		}
	})
}

// A2.6: whatever the agent does, a stop ends the turn, and the state follows the process.
func TestStopConverges(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, prompt string
		survives     bool // the agent's process, because it honoured the interrupt
	}{
		{"an agent that honours the interrupt", "say x;wait", true},
		{"an agent that waits for an approval", "say x;ask y", true},
		{"an agent deaf to the protocol", "say x;hang", false},
		{"an agent deaf to everything", "stubborn", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := start(t, t.TempDir(), nil, func(e *Engine) {
				if tt.survives { // however busy the machine is
					e.t.interrupt = 15 * time.Second
				}
			})
			th := h.thread()
			c := h.follow(th.ID, nil)
			turn := h.prompt(th.ID, tt.prompt)
			queued := h.prompt(th.ID, "say never")
			c.until("text", func() bool { return len(c.kind(api.ItemAgentMessage)) > 0 })
			head := must[api.Thread](t)(h.e.StopTurn(t.Context(), "", api.ThreadRef{ThreadID: th.ID}))
			if !head.Stopping {
				t.Fatal("Stopping is not shown")
			}
			after := h.prompt(th.ID, "say after")
			c.until("the end", c.ended(after.ID))
			for _, id := range []string{turn.ID, queued.ID} {
				if got := c.turns[id]; got.State != api.TurnInterrupted || got.Reason == nil || got.Reason.Message == "" {
					t.Fatalf("%+v", got)
				}
			}
			for _, a := range c.kind(api.ItemApproval) {
				if a.Approval.State != api.ApprovalCancelled {
					t.Fatalf("%+v", a.Approval)
				}
			}
			msgs := c.kind(api.ItemAgentMessage)
			if msgs[0].Text == "" || msgs[0].Live || msgs[len(msgs)-1].Text != "after" {
				t.Fatalf("%+v", msgs)
			}
			if got := len(h.d.opened) == 1; got != tt.survives {
				t.Fatalf("%d processes", len(h.d.opened))
			}
			if !tt.survives && h.d.opened[1].Resume == "" {
				t.Fatal("the conversation is not resumed")
			}
		})
	}
}

func TestAgentDeath(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	turn := h.prompt(th.ID, "say before;start x sleep;die kaboom: out of cheese")
	queued := h.prompt(th.ID, "say queued")
	c.until("the end", c.ended(turn.ID))
	got := c.turns[turn.ID]
	if got.State != api.TurnFailed || got.Reason.Code != api.CodeAgentFailed || !strings.Contains(got.Reason.Details, "kaboom: out of cheese") {
		t.Fatalf("%+v", got.Reason)
	}
	if c.kind(api.ItemAgentMessage)[0].Text != "before" || c.kind(api.ItemToolCall)[0].Tool.Status != api.ToolFailed {
		t.Fatal("what came before is lost")
	}
	if c.turns[queued.ID].State != api.TurnInterrupted {
		t.Fatalf("%+v", c.turns[queued.ID])
	}
	next := h.prompt(th.ID, "say again")
	c.until("the next", c.ended(next.ID))
	if c.turns[next.ID].State != api.TurnCompleted || len(h.d.opened) != 2 || h.d.opened[1].Resume == "" {
		t.Fatalf("%+v", c.turns[next.ID])
	}
}

func TestMissingAgentAndMissingFolder(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	must[api.Thread](t)(h.e.UpdateThread(t.Context(), "", api.ThreadUpdate{ThreadID: th.ID, AgentID: "missing"}))
	c := h.follow(th.ID, nil)
	turn := h.prompt(th.ID, "say x")
	c.until("the end", c.ended(turn.ID))
	if r := c.turns[turn.ID].Reason; r == nil || r.Code != api.CodeAgentNotFound || r.Hint != "npm install -g missing" {
		t.Fatalf("%+v", r)
	}
	if err := os.Remove(filepath.Join(h.dir, "project")); err != nil {
		t.Fatal(err)
	}
	turn = h.prompt(th.ID, "say x")
	c.until("the end", c.ended(turn.ID))
	if r := c.turns[turn.ID].Reason; r == nil || r.Code != api.CodeNotFound {
		t.Fatalf("%+v", r)
	}
}

// A2.7: restart resumes; an agent that forgot starts afresh with a notice; another agent or permission opens anew.
func TestResume(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := start(t, dir, nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	turn := h.prompt(th.ID, "say one")
	c.until("the end", c.ended(turn.ID))
	h.stop()

	h = start(t, dir, nil, nil)
	c = h.follow(th.ID, nil)
	turn = h.prompt(th.ID, "say two")
	c.until("the end", c.ended(turn.ID))
	if r := h.d.opened[0].Resume; !strings.HasPrefix(r, "session-") || len(c.kind(api.ItemNotice)) != 0 {
		t.Fatalf("resumed %q, notices %v", r, c.kind(api.ItemNotice))
	}
	must[api.Thread](t)(h.e.UpdateThread(t.Context(), "", api.ThreadUpdate{ThreadID: th.ID, Permission: api.PermissionFull}))
	turn = h.prompt(th.ID, "say three")
	c.until("the end", c.ended(turn.ID))
	if o := h.d.opened[1]; o.Permission != api.PermissionFull || o.Resume == "" {
		t.Fatalf("%+v", o)
	}
	must[api.Thread](t)(h.e.UpdateThread(t.Context(), "", api.ThreadUpdate{ThreadID: th.ID, AgentID: "other"}))
	turn = h.prompt(th.ID, "say four")
	c.until("the end", c.ended(turn.ID))
	if o := h.d.opened[2]; o.Resume != "" || o.Agent.ID != "other" || len(c.kind(api.ItemNotice)) != 1 {
		t.Fatalf("%+v", o)
	}
	h.stop()

	// The agent has forgotten the session.
	st, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Commit(t.Context(), &store.Write{Resume: &store.Resume{ThreadID: th.ID, AgentID: "other", Cursor: "forgotten"}}); err != nil {
		t.Fatal(err)
	}
	st.Close()
	h = start(t, dir, nil, nil)
	c = h.follow(th.ID, nil)
	turn = h.prompt(th.ID, "say five")
	c.until("the end", c.ended(turn.ID))
	n := c.kind(api.ItemNotice)
	if len(n) != 2 || n[1].Level != "warning" || len(c.kind(api.ItemAgentMessage)) != 5 {
		t.Fatalf("notices %+v", n)
	}
}

func TestShutdownInterruptsDurably(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := start(t, dir, nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	turn, queued := h.prompt(th.ID, "start x sleep;say streaming;stubborn"), h.prompt(th.ID, "say never")
	c.until("text", func() bool {
		m := c.kind(api.ItemAgentMessage)
		return len(m) > 0 && strings.Contains(m[0].Text, "stubborn")
	})
	from := time.Now()
	h.stop()
	if d := time.Since(from); d > 10*time.Second {
		t.Errorf("the end took %v", d)
	}
	if _, err := h.e.StartTurn(t.Context(), "", api.TurnStart{ThreadID: th.ID, Text: "x"}); api.CodeOf(err) != api.CodeUnavailable {
		t.Errorf("a command after the end: %v", err)
	}
	h = start(t, dir, nil, nil)
	c = h.follow(th.ID, nil)
	c.until("the snapshot", func() bool { return true })
	for _, id := range []string{turn.ID, queued.ID} {
		if got := c.turns[id]; got.State != api.TurnInterrupted || !strings.Contains(got.Reason.Message, "backend was stopped") {
			t.Fatalf("%+v", got)
		}
	}
	if m := c.kind(api.ItemAgentMessage); len(m) != 1 || m[0].Text != "streamingstubborn" || m[0].Live {
		t.Fatalf("%+v", m)
	}
	if x := c.kind(api.ItemToolCall)[0]; x.Live || x.Tool.Status != api.ToolCancelled {
		t.Fatalf("%+v", x.Tool)
	}
}

func TestBigOutputIsCappedAndSpilled(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	turn := h.prompt(th.ID, "start x cat;big x 2000;done x")
	c.until("the end", c.ended(turn.ID))
	x := c.kind(api.ItemToolCall)[0]
	if x.Tool.OutputBytes != 2000*1024 || len(x.Tool.Output) > store.OutputHead+store.OutputTail+100 {
		t.Fatalf("%d of %d bytes", len(x.Tool.Output), x.Tool.OutputBytes)
	}
	spill := filepath.Join(h.dir, "spill", th.ID, x.ID)
	if info, err := os.Stat(spill); err != nil || info.Size() != 2000*1024 {
		t.Fatalf("%v %v", info, err)
	}
	must[api.Empty](t)(h.e.DeleteThread(t.Context(), "del", api.ThreadRef{ThreadID: th.ID}))
	must[api.Empty](t)(h.e.DeleteThread(t.Context(), "del", api.ThreadRef{ThreadID: th.ID}))
	c.until("the removal", func() bool { return c.gone })
	if _, err := os.Stat(filepath.Dir(spill)); !os.IsNotExist(err) {
		t.Fatalf("the spill file stays: %v", err)
	}
	if _, err := h.e.Subscribe("thread:"+th.ID, nil); api.CodeOf(err) != api.CodeNotFound {
		t.Fatalf("got %v", err)
	}
}

func TestIdleAgentIsReaped(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, func(e *Engine) { e.t.idle = 100 * time.Millisecond })
	th := h.thread()
	c := h.follow(th.ID, nil)
	turn := h.prompt(th.ID, "say x")
	c.until("the end", c.ended(turn.ID))
	select {
	case <-h.d.procs[0].Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the idle agent is still there")
	}
	turn = h.prompt(th.ID, "say y")
	c.until("the end", c.ended(turn.ID))
	if h.d.opened[1].Resume == "" {
		t.Fatal("the conversation is not resumed")
	}
}
