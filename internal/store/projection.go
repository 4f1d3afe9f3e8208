package store

import (
	"context"
	"encoding/json"
	"fmt"

	"catamaran/internal/api"
)

// subject returns what an event is about: its id, and its JSON unless it was removed.
func subject(e *api.Event) (ref string, data []byte, err error) {
	var v any
	switch e.Type {
	case api.EventProjectUpserted:
		if e.Project != nil {
			ref, v = e.Project.ID, e.Project
		}
	case api.EventThreadUpserted:
		if e.Thread != nil {
			ref, v = e.Thread.ID, e.Thread
		}
	case api.EventTurnUpserted:
		if e.Turn != nil {
			ref, v = e.Turn.ID, e.Turn
		}
	case api.EventItemUpserted:
		if e.Item != nil {
			ref, v = e.Item.ID, e.Item
		}
	case api.EventProjectRemoved, api.EventThreadRemoved, api.EventTurnRemoved, api.EventItemRemoved:
		ref = e.RemovedID
	}
	if ref == "" {
		return "", nil, fmt.Errorf("event %q has no subject", e.Type)
	}
	if v != nil {
		data, err = json.Marshal(v)
	}
	return ref, data, err
}

// fill is the inverse of subject.
func fill(e *api.Event, ref string, data []byte) error {
	switch e.Type {
	case api.EventProjectUpserted:
		e.Project = &api.Project{}
		return json.Unmarshal(data, e.Project)
	case api.EventThreadUpserted:
		e.Thread = &api.Thread{}
		return json.Unmarshal(data, e.Thread)
	case api.EventTurnUpserted:
		e.Turn = &api.Turn{}
		return json.Unmarshal(data, e.Turn)
	case api.EventItemUpserted:
		e.Item = &api.Item{}
		return json.Unmarshal(data, e.Item)
	}
	e.RemovedID = ref
	return nil
}

func openItem(it *api.Item) bool {
	return it.Live || it.Approval != nil && it.Approval.State == api.ApprovalPending || it.Question != nil && it.Question.State == api.ApprovalPending
}

// project writes an event into the projections. A thread's head is in two
// streams; the shell's is the one that counts, and the one that removes.
func (w *writer) project(ctx context.Context, e *Event, data []byte) error {
	switch e.Type {
	case api.EventProjectUpserted:
		return w.exec(ctx, `INSERT INTO projects(id, path, created, data) VALUES (?, ?, ?, ?)
			ON CONFLICT(id) DO UPDATE SET path = excluded.path, data = excluded.data`,
			e.Project.ID, e.Project.Path, e.Project.CreatedAt, data)
	case api.EventProjectRemoved:
		w.removed()
		if err := w.exec(ctx, "DELETE FROM projects WHERE id = ?", e.RemovedID); err != nil {
			return err
		}
		return w.scrub(ctx, e, api.EventProjectUpserted)
	case api.EventThreadUpserted:
		if e.Stream != Shell {
			return nil
		}
		n, err := w.indexThread(ctx, e.Thread)
		if err != nil {
			return err
		}
		return w.exec(ctx, `INSERT INTO threads(id, project, updated, data, n) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT(id) DO UPDATE SET project = excluded.project, updated = excluded.updated, data = excluded.data, n = excluded.n`,
			e.Thread.ID, e.Thread.ProjectID, e.Thread.UpdatedAt, data, n)
	case api.EventThreadRemoved:
		if e.Stream != Shell {
			return nil
		}
		w.removed()
		if err := w.unindexThread(ctx, e.RemovedID); err != nil {
			return err
		}
		if err := w.exec(ctx, "DELETE FROM threads WHERE id = ?", e.RemovedID); err != nil {
			return err
		}
		if err := w.exec(ctx, "DELETE FROM streams WHERE name = ?", ThreadStream(e.RemovedID)); err != nil {
			return err
		}
		delete(w.streams, ThreadStream(e.RemovedID))
		return w.scrub(ctx, e, api.EventThreadUpserted)
	case api.EventTurnUpserted:
		return w.exec(ctx, `INSERT INTO turns(id, thread, ordinal, open, data) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT(id) DO UPDATE SET ordinal = excluded.ordinal, open = excluded.open, data = excluded.data`,
			e.Turn.ID, e.Turn.ThreadID, e.Turn.Ordinal, !e.Turn.State.Final(), data)
	case api.EventTurnRemoved:
		return w.exec(ctx, "DELETE FROM turns WHERE id = ?", e.RemovedID)
	case api.EventItemUpserted:
		n, err := w.indexItem(ctx, e.Item)
		if err != nil {
			return err
		}
		if err := w.exec(ctx, `INSERT INTO items(id, thread, turn, ordinal, kind, open, data, n) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT(id) DO UPDATE SET turn = excluded.turn, ordinal = excluded.ordinal, kind = excluded.kind, open = excluded.open, data = excluded.data, n = excluded.n`,
			e.Item.ID, e.Item.ThreadID, e.Item.TurnID, e.Item.Ordinal, string(e.Item.Kind), openItem(e.Item), data, n); err != nil {
			return err
		}
		if e.Item.Live {
			return nil
		}
		return w.exec(ctx, "DELETE FROM live WHERE item = ?", e.Item.ID)
	case api.EventItemRemoved:
		if err := w.exec(ctx, "DELETE FROM live WHERE item = ?", e.RemovedID); err != nil {
			return err
		}
		w.index.unindex = true
		if err := w.unindexItem(ctx, e.RemovedID); err != nil {
			return err
		}
		return w.exec(ctx, "DELETE FROM items WHERE id = ?", e.RemovedID)
	}
	return fmt.Errorf("unknown event type %q", e.Type)
}

// scrub takes what was removed out of the shell's log and the receipts too:
// titles are made of prompts. The gaps in the sequence do not matter to a replay.
func (w *writer) scrub(ctx context.Context, e *Event, upserted api.EventType) error {
	st, err := w.stream(ctx, e.Stream)
	if err != nil {
		return err
	}
	if err := w.exec(ctx, "DELETE FROM events WHERE stream = ? AND type = ? AND ref = ?", st.id, string(upserted), e.RemovedID); err != nil {
		return err
	}
	return w.exec(ctx, "DELETE FROM receipts WHERE ref = ?", e.RemovedID)
}
