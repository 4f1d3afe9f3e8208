package engine

import (
	"context"

	"catamaran/internal/api"
	"catamaran/internal/store"
	"catamaran/internal/thread"
)

// onState carries out a decision on a thread; answer makes the command's answer from the state after it.
func onState[T any](e *Engine, ctx context.Context, commandID, method, threadID string, tc thread.Command, answer func(thread.State) (T, error)) (T, error) {
	return run(e, ctx, commandID, method, func(c *command) (T, error) {
		var result T
		err := e.onThread(ctx, threadID, func(a *actor) error {
			if e.frozen(a.state.Thread.ProjectID) {
				return &api.Error{Code: api.CodeConflict, Message: "The project is being removed.", Retryable: true}
			}
			return a.decide(tc, c.trace, func(next thread.State) (*store.Receipt, error) {
				var err error
				if result, err = answer(next); err != nil {
					return nil, err
				}
				r, err := c.receipt(threadID, result)
				c.stored = c.stored || r != nil
				return r, err
			})
		})
		return result, err
	})
}

func head(s thread.State) (api.Thread, error) { return s.Thread, nil }
func empty(thread.State) (api.Empty, error)   { return api.Empty{}, nil }

// RenameThread sets a thread's title.
func (e *Engine) RenameThread(ctx context.Context, commandID string, r api.ThreadRename) (api.Thread, error) {
	return onState(e, ctx, commandID, api.MethodThreadRename, r.ThreadID, thread.Rename{Title: r.Title}, head)
}

// ArchiveThread puts a thread away or takes it back.
func (e *Engine) ArchiveThread(ctx context.Context, commandID string, r api.ThreadArchive) (api.Thread, error) {
	return onState(e, ctx, commandID, api.MethodThreadArchive, r.ThreadID, thread.Archive{Archived: r.Archived}, head)
}

// UpdateThread changes what agents are told from the next turn on.
func (e *Engine) UpdateThread(ctx context.Context, commandID string, r api.ThreadUpdate) (api.Thread, error) {
	return onState(e, ctx, commandID, api.MethodThreadUpdate, r.ThreadID, thread.Update{AgentID: r.AgentID, Permission: r.Permission, Model: r.Model, Effort: r.Effort, Plan: r.Plan}, head)
}

// DeleteThread deletes a thread with everything kept of it; refused while a turn runs.
func (e *Engine) DeleteThread(ctx context.Context, commandID string, r api.ThreadRef) (api.Empty, error) {
	return run(e, ctx, commandID, api.MethodThreadDelete, func(c *command) (api.Empty, error) {
		err := e.onThread(ctx, r.ThreadID, func(a *actor) error {
			// The receipt is about no thread: it must outlive this one.
			err := a.decide(thread.Remove{}, c.trace, func(thread.State) (*store.Receipt, error) {
				r, err := c.receipt("", api.Empty{})
				c.stored = r != nil
				return r, err
			})
			if err != nil {
				return err
			}
			a.removed()
			e.forget(c.st, a.project.Path, r.ThreadID)
			return nil
		})
		return api.Empty{}, err
	})
}

// UnqueueTurn takes a queued turn and its prompt back.
func (e *Engine) UnqueueTurn(ctx context.Context, commandID string, r api.TurnRef) (api.Empty, error) {
	threadID, again, err := turnThread[api.Empty](e, ctx, commandID, api.MethodTurnUnqueue, r.TurnID)
	if err != nil || again != nil {
		return api.Empty{}, err
	}
	var files []string
	err = e.onThread(ctx, threadID, func(a *actor) error {
		for _, q := range a.state.Queue {
			if q.Turn.ID == r.TurnID {
				for _, f := range q.Prompt.Attachments {
					files = append(files, f.ID)
				}
			}
		}
		return nil
	})
	if err != nil {
		return api.Empty{}, e.clientError("find the turn", err)
	}
	done, err := onState(e, ctx, commandID, api.MethodTurnUnqueue, threadID, thread.Unqueue{TurnID: r.TurnID}, empty)
	if err == nil {
		e.files.Release(threadID, files)
	}
	return done, err
}

// StopTurn stops the running turn and drops the queue behind it; it answers at
// once, with Stopping set, and the turn's end follows (A2.6). Without a running turn nothing happens.
func (e *Engine) StopTurn(ctx context.Context, commandID string, r api.ThreadRef) (api.Thread, error) {
	return onState(e, ctx, commandID, api.MethodTurnStop, r.ThreadID, thread.Stop{}, head)
}

// ListAgents tells the agents of this environment.
func (e *Engine) ListAgents(ctx context.Context, r api.AgentList) (api.Agents, error) {
	if _, err := e.ready(); err != nil {
		return api.Agents{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.t.call)
	defer cancel()
	agents, err := e.o.Agents.List(ctx, r.Rescan)
	if err != nil {
		return api.Agents{}, e.clientError("look for agents", err)
	}
	if agents == nil {
		agents = []api.Agent{}
	}
	return api.Agents{Agents: agents}, nil
}
