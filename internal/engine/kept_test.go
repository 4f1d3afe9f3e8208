package engine

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/agent"
	"catamaran/internal/api"
)

// keeping is the test's agent with conversations of its own.
type keeping struct {
	agent.Driver
	conv agent.Conversation
	dir  string
}

func (k keeping) Kept(_ context.Context, dir string, env []string) ([]agent.Kept, error) {
	if dir != k.dir {
		return nil, nil
	}
	return []agent.Kept{k.conv.Kept}, nil
}

func (k keeping) ReadKept(_ context.Context, dir string, _ []string, id string) (agent.Conversation, error) {
	if dir != k.dir || id != k.conv.ID {
		return agent.Conversation{}, agent.ErrNotKept
	}
	return k.conv, nil
}

// two are agents of which only one keeps anything.
type two struct {
	registry
	k keeping
}

func (r two) Resolve(ctx context.Context, id string) (agent.Driver, agent.Config, []string, error) {
	if id == "keeping" {
		return r.k, agent.Config{ID: id}, nil, nil
	}
	return r.registry.Resolve(ctx, id)
}

func TestAKeptConversationGoesOn(t *testing.T) {
	t.Parallel()
	conv := agent.Conversation{Kept: agent.Kept{ID: "kept-1", Title: "Count\tthe apples", UpdatedAt: 7, Messages: 4}, Cut: true, Items: []api.Item{
		{Kind: api.ItemUserMessage, Text: "Count the apples", CreatedAt: 10},
		{Kind: api.ItemReasoning, Text: "Apples.", CreatedAt: 11},
		{Kind: api.ItemToolCall, CreatedAt: 12, Tool: &api.ToolCall{Kind: "execute", Title: "ls", Status: api.ToolCompleted, Output: strings.Repeat("apple\n", 100_000)}},
		{Kind: api.ItemAgentMessage, Text: strings.Repeat("many ", 300_000), CreatedAt: 13},
		{Kind: api.ItemUserMessage, Text: "And bad \xff bytes?", CreatedAt: 20},
		{Kind: api.ItemAgentMessage, Text: "None.", CreatedAt: 30},
	}}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, dir, func(o *Options) {
		r := o.Agents.(registry)
		o.Agents = two{r, keeping{Driver: r.d, conv: conv, dir: dir}}
	}, nil)
	p := must[api.Project](t)(h.e.AddProject(t.Context(), "", api.ProjectAdd{Path: dir}))

	list := must[api.AgentSessions](t)(h.e.ListSessions(t.Context(), api.SessionList{ProjectID: p.ID, AgentID: "keeping"}))
	if len(list.Sessions) != 1 || list.Sessions[0].ThreadID != "" || list.Sessions[0].Messages != 4 {
		t.Fatalf("%+v", list)
	}
	open := api.SessionOpen{ProjectID: p.ID, AgentID: "keeping", SessionID: "kept-1"}
	got := must[api.Thread](t)(h.e.OpenSession(t.Context(), "open", open))
	for _, id := range []string{"open", "again"} {
		if again := must[api.Thread](t)(h.e.OpenSession(t.Context(), id, open)); again.ID != got.ID {
			t.Fatalf("opened twice: %+v and %+v", got, again)
		}
	}
	if got.Title != "Count the apples" || got.State != api.TurnCompleted || got.Unread {
		t.Fatalf("%+v", got)
	}
	if list = must[api.AgentSessions](t)(h.e.ListSessions(t.Context(), api.SessionList{ProjectID: p.ID, AgentID: "keeping"})); list.Sessions[0].ThreadID != got.ID {
		t.Fatalf("%+v", list)
	}
	c := h.follow(got.ID, nil)
	c.until("the snapshot", func() bool { return true })
	// A long message leaves the first turn out of the snapshot.
	for part := (api.ThreadPart{Earlier: true}); part.Earlier; {
		before := int64(1 << 40)
		for _, it := range c.items {
			before = min(before, it.Ordinal)
		}
		part = must[api.ThreadPart](t)(h.e.History(t.Context(), api.ThreadHistory{ThreadID: got.ID, Before: before}))
		for _, it := range part.Items {
			c.put(it)
		}
		for _, u := range part.Turns {
			c.turns[u.ID] = u
		}
	}
	if len(c.turns) != 2 || len(c.kind(api.ItemUserMessage)) != 2 || len(c.kind(api.ItemNotice)) != 1 || len(c.kind(api.ItemAgentMessage)) != 3 {
		t.Fatalf("%+v", c.turns)
	}
	for _, u := range c.turns {
		if u.State != api.TurnCompleted || u.StartedAt == 0 || u.EndedAt <= u.StartedAt {
			t.Errorf("%+v", u)
		}
	}
	tool := c.kind(api.ItemToolCall)[0]
	if part := must[api.ItemOutputPart](t)(h.e.ItemOutput(t.Context(), api.ItemOutput{ItemID: tool.ID, Offset: 300_000})); part.Total != 600_000 || !strings.HasPrefix(part.Text, "apple\n") {
		t.Fatalf("%d bytes of the output are kept", part.Total)
	}
	if hits := must[api.SearchHits](t)(h.e.Search(t.Context(), api.Search{Text: "apples", ThreadID: got.ID})); len(hits.Hits) != 1 {
		t.Fatalf("%+v", hits)
	}
	// The next turn resumes what the agent keeps.
	turn := h.prompt(got.ID, "say going on")
	c.until("the end", c.ended(turn.ID))
	h.d.mu.Lock()
	resume := h.d.opened[len(h.d.opened)-1].Resume
	h.d.mu.Unlock()
	if resume != "kept-1" || turn.Ordinal != 3 {
		t.Fatalf("opened with %q, turn %+v", resume, turn)
	}
	for _, r := range []api.SessionOpen{{ProjectID: p.ID, AgentID: "keeping", SessionID: "nothing"}, {ProjectID: "nothing", AgentID: "keeping", SessionID: "kept-1"}} {
		if _, err := h.e.OpenSession(t.Context(), "", r); api.CodeOf(err) != api.CodeNotFound {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if _, err := h.e.ListSessions(t.Context(), api.SessionList{ProjectID: p.ID, AgentID: "demo"}); api.CodeOf(err) != api.CodeInvalid {
		t.Error(err)
	}
}
