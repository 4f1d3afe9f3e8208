package engine

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"catamaran/internal/agent"
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
			h := start(t, t.TempDir(), nil, nil)
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
	if d := time.Since(from); d > 4500*time.Millisecond {
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

func TestSlowReaderGetsOneResync(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	slow := must[*Subscription](t)(h.e.Subscribe("thread:"+th.ID, nil))
	defer slow.Close()
	for i := range queueFrames + 50 {
		must[api.Thread](t)(h.e.RenameThread(t.Context(), "", api.ThreadRename{ThreadID: th.ID, Title: strings.Repeat("x", i%100+1)}))
	}
	var types []string
	for {
		f, err := slow.Next(t.Context())
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
		types = append(types, f.Type)
	}
	if len(types) != 1 || types[0] != api.FrameResync {
		t.Fatalf("%d frames: %v", len(types), types[:min(5, len(types))])
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	again := must[*Subscription](t)(h.e.Subscribe("shell", nil))
	for range 2 {
		if _, err := again.Next(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := again.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	again.Close()
	again.Close()
	if _, err := again.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Fatalf("got %v", err)
	}
}

func TestCommandsAreCarriedOutOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := start(t, dir, nil, nil)
	th := h.thread()
	var wg sync.WaitGroup
	ids := make([]string, 10)
	for i := range ids {
		wg.Go(func() {
			turn, err := h.e.StartTurn(context.Background(), "once", api.TurnStart{ThreadID: th.ID, Text: "say x"})
			if err != nil {
				t.Error(err)
			}
			ids[i] = turn.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("%v", ids)
		}
	}
	if _, err := h.e.RenameThread(t.Context(), "once", api.ThreadRename{ThreadID: th.ID, Title: "x"}); api.CodeOf(err) != api.CodeInvalid {
		t.Fatalf("a command id used twice: %v", err)
	}
	refused := func() *api.Error {
		_, err := h.e.StartTurn(t.Context(), "empty", api.TurnStart{ThreadID: th.ID, Text: " "})
		return api.AsError(err)
	}
	if e := refused(); e == nil || e.Code != api.CodeInvalid {
		t.Fatalf("%+v", e)
	}
	h.stop()
	h = start(t, dir, nil, nil)
	again := must[api.Turn](t)(h.e.StartTurn(t.Context(), "once", api.TurnStart{ThreadID: th.ID, Text: "say x"}))
	if again.ID != ids[0] {
		t.Fatal("a repeated command runs again after a restart")
	}
	if e := refused(); e == nil || e.Code != api.CodeInvalid {
		t.Fatalf("%+v", e)
	}
}

func TestProjects(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), func(o *Options) {
		o.Git = func(ctx context.Context, dir string) (bool, string) { return strings.HasSuffix(dir, "repo"), "main" }
	}, nil)
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	repo := filepath.Join(root, "a repo")
	file := filepath.Join(root, "file")
	if err := os.Mkdir(repo, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(root, "link")
	if err := os.Symlink(repo, link); err != nil {
		t.Fatal(err)
	}
	p := must[api.Project](t)(h.e.AddProject(t.Context(), "", api.ProjectAdd{Path: repo + "/../a repo/"}))
	if p.Path != repo || !p.Git || p.Branch != "main" || p.Name != "a repo" {
		t.Fatalf("%+v", p)
	}
	for _, same := range []string{repo, link, repo + "/"} {
		if got := must[api.Project](t)(h.e.AddProject(t.Context(), "", api.ProjectAdd{Path: same})); got.ID != p.ID {
			t.Fatalf("%s is another project", same)
		}
	}
	bad := map[string]api.Code{"": api.CodeInvalid, "relative": api.CodeInvalid, root + "/nothing": api.CodeNotFound, file: api.CodeInvalid, "x\x00y": api.CodeInvalid}
	if runtime.GOOS != "windows" {
		for _, p := range []string{`C:\Users\x`, `c:/Users/x`, `D:`, `\\wsl.localhost\Ubuntu\home`} {
			bad[p] = api.CodePathUntranslatable
		}
	}
	for path, code := range bad {
		if _, err := h.e.AddProject(t.Context(), "", api.ProjectAdd{Path: path}); api.CodeOf(err) != code {
			t.Errorf("%q: %v, want %s", path, err, code)
		}
	}
	home := must[api.Project](t)(h.e.AddProject(t.Context(), "", api.ProjectAdd{Path: "~"}))
	if !filepath.IsAbs(home.Path) {
		t.Fatalf("%+v", home)
	}
	th := must[api.Thread](t)(h.e.CreateThread(t.Context(), "", api.ThreadCreate{ProjectID: p.ID, AgentID: "demo"}))
	if _, err := h.e.CreateThread(t.Context(), "", api.ThreadCreate{ProjectID: "nobody", AgentID: "demo"}); api.CodeOf(err) != api.CodeNotFound {
		t.Fatalf("got %v", err)
	}
	c := h.follow(th.ID, nil)
	turn := h.prompt(th.ID, "say x;wait")
	if _, err := h.e.RemoveProject(t.Context(), "", api.ProjectRef{ProjectID: p.ID}); api.CodeOf(err) != api.CodeConflict || !strings.Contains(api.AsError(err).Hint, "Stop it") {
		t.Fatalf("removed while a turn runs: %v", err)
	}
	must[api.Thread](t)(h.e.StopTurn(t.Context(), "", api.ThreadRef{ThreadID: th.ID}))
	c.until("the end", c.ended(turn.ID))
	must[api.Empty](t)(h.e.RemoveProject(t.Context(), "", api.ProjectRef{ProjectID: p.ID}))
	c.until("the removal", func() bool { return c.gone })
	if _, err := os.Stat(repo); err != nil {
		t.Fatal("the files are gone")
	}
	if _, err := h.e.RenameThread(t.Context(), "", api.ThreadRename{ThreadID: th.ID, Title: "x"}); api.CodeOf(err) != api.CodeNotFound {
		t.Fatalf("got %v", err)
	}
	s := must[*Subscription](t)(h.e.Subscribe("shell", nil))
	defer s.Close()
	f, err := s.Next(t.Context())
	if err != nil || len(f.Shell.Threads) != 0 || len(f.Shell.Projects) != 1 {
		t.Fatalf("%+v %v", f.Shell, err)
	}
}

// memoryCheckpoints counts; its diffs are made up, for package checkpoint has its own tests.
type memoryCheckpoints struct {
	n     atomic.Int64
	fail  atomic.Bool
	hang  atomic.Bool
	drops atomic.Int64
}

func (m *memoryCheckpoints) Take(ctx context.Context, dir, thread, label string) (string, error) {
	if m.hang.Load() {
		<-ctx.Done()
		return "", ctx.Err()
	}
	if m.fail.Load() {
		return "", errors.New("no space left")
	}
	m.n.Add(1)
	return label, nil
}

func (m *memoryCheckpoints) Summary(_ context.Context, _, from, to string) (api.ChangeSummary, error) {
	return api.ChangeSummary{Files: []api.ChangedFile{{Path: from + ".." + to, Status: api.FileAdded}}, Additions: 1}, nil
}

func (m *memoryCheckpoints) Diff(_ context.Context, _, from, to string) ([]api.FileDiff, bool, error) {
	return []api.FileDiff{{ChangedFile: api.ChangedFile{Path: from + ".." + to}}}, false, nil
}

func (m *memoryCheckpoints) Forget(context.Context, string, string) error { m.drops.Add(1); return nil }

func TestCheckpointsAroundATurn(t *testing.T) {
	t.Parallel()
	m := &memoryCheckpoints{}
	h := start(t, t.TempDir(), func(o *Options) { o.Checkpoints = m }, func(e *Engine) { e.t.checkpoint = 300 * time.Millisecond })
	th := h.thread()
	c := h.follow(th.ID, nil)
	turn := h.prompt(th.ID, "say x")
	if _, err := h.e.TurnDiff(t.Context(), api.TurnRef{TurnID: turn.ID}); api.CodeOf(err) != api.CodeNotFound {
		t.Fatalf("a diff before the end: %v", err)
	}
	c.until("the end", c.ended(turn.ID))
	between := turn.ID + "-before.." + turn.ID + "-after"
	if ch := c.turns[turn.ID].Changes; ch == nil || ch.Files[0].Path != between {
		t.Fatalf("%+v", ch)
	}
	if d := must[api.TurnDiff](t)(h.e.TurnDiff(t.Context(), api.TurnRef{TurnID: turn.ID})); d.Files[0].Path != between {
		t.Fatalf("%+v", d)
	}
	for name, flag := range map[string]*atomic.Bool{"fails": &m.fail, "hangs": &m.hang} {
		flag.Store(true)
		before := len(c.kind(api.ItemNotice))
		turn = h.prompt(th.ID, "say y")
		c.until("the end", c.ended(turn.ID))
		flag.Store(false)
		if c.turns[turn.ID].State != api.TurnCompleted || len(c.kind(api.ItemNotice)) != before+1 {
			t.Errorf("a checkpoint that %s: %+v, notices %+v", name, c.turns[turn.ID], c.kind(api.ItemNotice))
		}
	}
	must[api.Empty](t)(h.e.DeleteThread(t.Context(), "", api.ThreadRef{ThreadID: th.ID}))
	h.stop()
	if m.drops.Load() != 1 {
		t.Fatal("the checkpoints of a deleted thread stay")
	}
}

// scripted is a driver for what no well-meant process does.
type scripted struct {
	open func(ctx context.Context, o agent.OpenOptions) (agent.Session, error)
}

func (s scripted) Open(ctx context.Context, o agent.OpenOptions) (agent.Session, error) {
	return s.open(ctx, o)
}

type zombie struct {
	agent.Session
	sink func(agent.Event)
}

func (z *zombie) Prompt(context.Context, string) (agent.StopReason, error) {
	z.sink(agent.Event{Kind: agent.KindMessage, ID: "m", Append: "undead"})
	select {}
}
func (z *zombie) Interrupt(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
func (z *zombie) Answer(string, string) error         { return nil }
func (z *zombie) Info() agent.SessionInfo             { return agent.SessionInfo{} }
func (z *zombie) Close(ctx context.Context) error     { <-ctx.Done(); return ctx.Err() }
func (z *zombie) Done() <-chan struct{}               { return nil }
func (z *zombie) Err() error                          { return nil }

func TestStopConvergesWhenNothingAnswers(t *testing.T) {
	t.Parallel()
	quick := func(e *Engine) {
		e.t.interrupt, e.t.close, e.t.grace = 50*time.Millisecond, 100*time.Millisecond, 50*time.Millisecond
	}
	t.Run("an agent that opens for ever", func(t *testing.T) {
		t.Parallel()
		h := start(t, t.TempDir(), func(o *Options) {
			o.Agents = registry{scripted{func(ctx context.Context, o agent.OpenOptions) (agent.Session, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}}}
		}, quick)
		th := h.thread()
		c := h.follow(th.ID, nil)
		turn := h.prompt(th.ID, "x")
		must[api.Thread](t)(h.e.StopTurn(t.Context(), "", api.ThreadRef{ThreadID: th.ID}))
		c.until("the end", c.ended(turn.ID))
		if c.turns[turn.ID].State != api.TurnInterrupted {
			t.Fatalf("%+v", c.turns[turn.ID])
		}
	})
	t.Run("an agent that does not start in time", func(t *testing.T) {
		t.Parallel()
		h := start(t, t.TempDir(), func(o *Options) {
			o.Agents = registry{scripted{func(ctx context.Context, o agent.OpenOptions) (agent.Session, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}}}
		}, func(e *Engine) { e.t.open = 50 * time.Millisecond })
		th := h.thread()
		c := h.follow(th.ID, nil)
		turn := h.prompt(th.ID, "x")
		c.until("the end", c.ended(turn.ID))
		if r := c.turns[turn.ID].Reason; c.turns[turn.ID].State != api.TurnFailed || r.Code != api.CodeAgentFailed || !strings.Contains(r.Message, "in time") {
			t.Fatalf("%+v", r)
		}
	})
}
