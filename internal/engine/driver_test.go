package engine

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/api"
	"catamaran/internal/checkpoint"
)

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

func (m *memoryCheckpoints) Prune(context.Context, string, string, int) error { return nil }

func (m *memoryCheckpoints) Edits(string, string, string) *checkpoint.Edits { return nil }

func (m *memoryCheckpoints) Forget(context.Context, string, string) error { m.drops.Add(1); return nil }

func TestCheckpointsAroundATurn(t *testing.T) {
	t.Parallel()
	m := &memoryCheckpoints{}
	h := start(t, t.TempDir(), func(o *Options) { o.Checkpoints = m }, func(e *Engine) { e.t.checkpoint = 300 * time.Millisecond })
	th := h.thread()
	c := h.follow(th.ID, nil)
	turn := h.prompt(th.ID, "say x")
	c.until("the end", c.ended(turn.ID))
	between := turn.ID + "-before.." + turn.ID + "-after"
	if ch := c.turns[turn.ID].Changes; ch == nil || ch.Files[0].Path != between {
		t.Fatalf("%+v", ch)
	}
	m1, err := h.e.MarksOf(t.Context(), turn.ID)
	if err != nil || len(m1.Turns) != 1 || m1.Turns[0].Before+".."+m1.Turns[0].After != between || m1.Dir == "" {
		t.Fatalf("%+v %v", m1, err)
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
	plain

	open func(ctx context.Context, o agent.OpenOptions) (agent.Session, error)
}

func (s scripted) Open(ctx context.Context, o agent.OpenOptions) (agent.Session, error) {
	return s.open(ctx, o)
}

// plain is the rest of a driver and its sessions, for those that are about something else.
type plain struct{}

func (plain) Options(context.Context, agent.OpenOptions) (api.AgentOptions, error) {
	return api.AgentOptions{}, nil
}
func (plain) Takes(agent.Settings) bool                    { return true }
func (plain) Steer(context.Context, agent.Input) error     { return nil }
func (plain) Reply(string, []api.QuestionAnswerPart) error { return nil }

type zombie struct {
	plain

	sink func(agent.Event)
	end  chan struct{} // of the test
}

func (z *zombie) Prompt(context.Context, agent.Input) (agent.StopReason, error) {
	z.sink(agent.Event{Kind: agent.KindMessage, ID: "m", Append: "undead"})
	<-z.end
	return "", errors.New("the test is over")
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
			o.Agents = registry{scripted{open: func(ctx context.Context, o agent.OpenOptions) (agent.Session, error) {
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
	t.Run("an agent that neither answers nor dies", func(t *testing.T) {
		t.Parallel()
		end := make(chan struct{})
		h := start(t, t.TempDir(), func(o *Options) {
			o.Agents = registry{scripted{open: func(ctx context.Context, o agent.OpenOptions) (agent.Session, error) {
				return &zombie{sink: o.Sink, end: end}, nil
			}}}
		}, quick)
		defer close(end)
		th := h.thread()
		c := h.follow(th.ID, nil)
		turn := h.prompt(th.ID, "x")
		c.until("text", func() bool { return len(c.kind(api.ItemAgentMessage)) > 0 })
		must[api.Thread](t)(h.e.StopTurn(t.Context(), "", api.ThreadRef{ThreadID: th.ID}))
		c.until("the end", c.ended(turn.ID))
		if r := c.turns[turn.ID].Reason; c.turns[turn.ID].State != api.TurnInterrupted || !strings.Contains(r.Message, "could not be verified") {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("an agent that does not start in time", func(t *testing.T) {
		t.Parallel()
		h := start(t, t.TempDir(), func(o *Options) {
			o.Agents = registry{scripted{open: func(ctx context.Context, o agent.OpenOptions) (agent.Session, error) {
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

// late is an agent that ends its turn before its Interrupt has returned.
type late struct {
	zombie
	prompts     atomic.Int64
	interrupted chan struct{} // Interrupt has begun
	release     chan struct{} // it may return
	returned    atomic.Bool
	early       atomic.Bool // a prompt met an interrupt that was under way
}

func (l *late) Prompt(ctx context.Context, _ agent.Input) (agent.StopReason, error) {
	if l.prompts.Add(1) > 1 {
		l.early.Store(!l.returned.Load())
		return agent.StopEndTurn, nil
	}
	l.sink(agent.Event{Kind: agent.KindMessage, ID: "m", Append: "x"})
	<-l.interrupted
	return agent.StopCancelled, nil
}

func (l *late) Interrupt(context.Context) error {
	close(l.interrupted)
	<-l.release
	l.returned.Store(true)
	return nil
}
func (l *late) Close(context.Context) error { return nil }

func TestAnInterruptNeverMeetsTheNextPrompt(t *testing.T) {
	t.Parallel()
	l := &late{interrupted: make(chan struct{}), release: make(chan struct{})}
	h := start(t, t.TempDir(), func(o *Options) {
		o.Agents = registry{scripted{open: func(_ context.Context, o agent.OpenOptions) (agent.Session, error) {
			l.sink = o.Sink
			return l, nil
		}}}
	}, func(e *Engine) { e.t.interrupt = 15 * time.Second })
	th := h.thread()
	c := h.follow(th.ID, nil)
	h.prompt(th.ID, "x")
	c.until("text", func() bool { return len(c.kind(api.ItemAgentMessage)) > 0 })
	must[api.Thread](t)(h.e.StopTurn(t.Context(), "", api.ThreadRef{ThreadID: th.ID}))
	next := h.prompt(th.ID, "y")
	<-l.interrupted
	// The thread's goroutine takes commands meanwhile; the first turn's end has reached it by then or comes later.
	for range 20 {
		must[api.Thread](t)(h.e.RenameThread(t.Context(), "", api.ThreadRename{ThreadID: th.ID, Title: "z"}))
	}
	close(l.release)
	c.until("the end", c.ended(next.ID))
	if l.early.Load() || c.turns[next.ID].State != api.TurnCompleted {
		t.Fatalf("early %v, %+v", l.early.Load(), c.turns[next.ID])
	}
}
