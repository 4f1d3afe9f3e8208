package engine

import (
	"context"
	"errors"

	"catamaran/internal/agent"
	"catamaran/internal/api"
	"catamaran/internal/store"
	"catamaran/internal/thread"
)

// keeper is the agent that keeps conversations about a project, and the environment it does so in.
func (e *Engine) keeper(ctx context.Context, st *store.Store, projectID, agentID string) (agent.Keeper, api.Project, []string, error) {
	p, err := e.project(ctx, st, projectID)
	if err != nil {
		return nil, p, nil, err
	}
	driver, config, env, err := e.o.Agents.Resolve(ctx, agentID)
	if err != nil {
		return nil, p, nil, err
	}
	k, ok := driver.(agent.Keeper)
	if !ok {
		return nil, p, nil, &api.Error{Code: api.CodeInvalid, Message: config.Name + " keeps no conversations that can be continued here.", Hint: "Start a new thread."}
	}
	return k, p, append(env[:len(env):len(env)], config.Env...), nil
}

// ListSessions lists the conversations that an agent keeps on disk about a project's folder.
func (e *Engine) ListSessions(ctx context.Context, r api.SessionList) (api.AgentSessions, error) {
	s, err := e.listSessions(ctx, r)
	return s, e.clientError("look for the agent's sessions", err)
}

func (e *Engine) listSessions(ctx context.Context, r api.SessionList) (api.AgentSessions, error) {
	list := api.AgentSessions{Sessions: []api.AgentSession{}}
	st, err := e.ready()
	if err != nil {
		return list, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.t.call)
	defer cancel()
	k, p, env, err := e.keeper(ctx, st, r.ProjectID, r.AgentID)
	if err != nil {
		return list, err
	}
	threads, err := st.Resumed(ctx, r.ProjectID, r.AgentID)
	if err != nil {
		return list, err
	}
	kept, err := k.Kept(ctx, p.Path, env)
	if err != nil {
		return list, err
	}
	for _, c := range kept {
		list.Sessions = append(list.Sessions, api.AgentSession{ID: c.ID, Title: c.Title, UpdatedAt: c.UpdatedAt, Messages: c.Messages, ThreadID: threads[c.ID]})
	}
	return list, nil
}

// OpenSession makes a thread of a conversation that an agent keeps, with its
// messages as far as they can be read; the next turn goes on with it. The thread
// that goes on with it already is answered as it is.
func (e *Engine) OpenSession(ctx context.Context, commandID string, r api.SessionOpen) (api.Thread, error) {
	return run(e, ctx, commandID, api.MethodSessionOpen, func(c *command) (api.Thread, error) {
		ctx, cancel := context.WithTimeout(ctx, e.t.call)
		defer cancel()
		k, p, env, err := e.keeper(ctx, c.st, r.ProjectID, r.AgentID)
		if err != nil {
			return api.Thread{}, err
		}
		conv, err := k.ReadKept(ctx, p.Path, env, r.SessionID)
		if errors.Is(err, agent.ErrNotKept) {
			return api.Thread{}, &api.Error{Code: api.CodeNotFound, Message: "The agent does not have this session (any more).", Hint: "Look at the list again."}
		}
		if err != nil {
			return api.Thread{}, err
		}
		e.shellMu.Lock()
		defer e.shellMu.Unlock()
		// It may have been removed while the files were read.
		if p, err = e.project(ctx, c.st, r.ProjectID); err != nil {
			return api.Thread{}, err
		}
		threads, err := c.st.Resumed(ctx, r.ProjectID, r.AgentID)
		if err != nil {
			return api.Thread{}, err
		}
		if id := threads[conv.ID]; id != "" {
			w, err := c.st.Work(ctx, id)
			return w.Thread, err
		}
		return e.takeOver(ctx, c, p, r.AgentID, conv)
	})
}

func (e *Engine) takeOver(ctx context.Context, c *command, p api.Project, agentID string, conv agent.Conversation) (api.Thread, error) {
	now := e.now()
	t := api.Thread{ID: newID("t"), ProjectID: p.ID, Title: thread.Title(conv.Title), AgentID: agentID, Permission: api.PermissionSupervised, CreatedAt: now, UpdatedAt: now}
	events := []api.Event{{Type: api.EventThreadUpserted, Thread: &t}}
	turns := e.turnsOf(c.st, t.ID, conv)
	for i := range turns {
		events = append(events, api.Event{Type: api.EventTurnUpserted, Turn: &turns[i].turn})
		for k := range turns[i].items {
			events = append(events, api.Event{Type: api.EventItemUpserted, Item: &turns[i].items[k]})
		}
	}
	if len(turns) > 0 {
		t.State = api.TurnCompleted
	}
	for i := range events {
		events[i].At, events[i].TraceID = now, c.trace
	}
	all := stored(t.ID, events)
	if p.AgentID != agentID {
		p.AgentID = agentID
		all = append(all, e.projectEvent(c, p))
	}
	receipt, err := c.receipt(t.ID, t)
	if err != nil {
		return t, err
	}
	err = c.st.Commit(ctx, &store.Write{Events: all, Resume: &store.Resume{ThreadID: t.ID, AgentID: agentID, Cursor: conv.ID}, Receipt: receipt, Durable: true})
	c.stored = err == nil && receipt != nil
	if err != nil {
		if derr := c.st.DropSpill(t.ID); derr != nil {
			e.log.Warn("remove spill files", "thread", t.ID, "error", derr)
		}
	}
	return t, err
}

type takenTurn struct {
	turn  api.Turn
	items []api.Item
}

// turnsOf makes turns of what was read: each begins with a user message.
func (e *Engine) turnsOf(st *store.Store, threadID string, conv agent.Conversation) []takenTurn {
	var all []takenTurn
	ordinal := int64(0)
	at := conv.UpdatedAt
	add := func(it api.Item) {
		ordinal++
		last := &all[len(all)-1]
		it.ID, it.ThreadID, it.TurnID, it.Ordinal, it.UpdatedAt = newID("i"), threadID, last.turn.ID, ordinal, it.CreatedAt
		if it.Tool != nil {
			e.takeOutput(st, &it)
		}
		last.items = append(last.items, it)
		last.turn.EndedAt = max(last.turn.EndedAt, it.CreatedAt)
	}
	for i, it := range conv.Items {
		if it.CreatedAt == 0 {
			it.CreatedAt = at
		}
		at = it.CreatedAt
		if it.Kind == api.ItemUserMessage || i == 0 {
			all = append(all, takenTurn{turn: api.Turn{ID: newID("u"), ThreadID: threadID, Ordinal: int64(len(all) + 1), State: api.TurnCompleted,
				QueuedAt: at, StartedAt: at, EndedAt: at}})
			if i == 0 && conv.Cut {
				add(api.Item{Kind: api.ItemNotice, Level: "info", CreatedAt: at, Text: "Older messages of this session are not shown here; the agent has them."})
			}
		}
		for text := clean(it.Text); ; {
			it.Text = cut(text, textMost)
			add(it)
			if text = text[len(it.Text):]; text == "" {
				break
			}
		}
	}
	return all
}

func (e *Engine) takeOutput(st *store.Store, it *api.Item) {
	t := *it.Tool
	t.Title, t.Command, t.Input, t.Edits = cut(clean(t.Title), rawMost), cut(clean(t.Command), rawMost), boundRaw(t.Input), boundEdits(t.Edits)
	out := st.NewOutput(it.ThreadID, it.ID)
	if err := out.Append(clean(t.Output)); err != nil {
		e.log.Warn("spill a tool's output", "thread", it.ThreadID, "error", err)
	}
	out.Close()
	t.Output, t.OutputBytes = out.Text(), out.Bytes()
	it.Tool = &t
}
