package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"catamaran/internal/api"
)

// View is a stream's state at one sequence number: a snapshot, or the events after a cursor.
type View struct {
	Seq    int64
	Shell  *api.ShellSnapshot
	Thread *api.ThreadSnapshot
	Events []Event // where Shell and Thread are nil
}

// View reads a stream ("shell" or "thread:<id>"). after nil, too old or from
// another database gives a snapshot. attach runs at the very point between two
// commits that the view shows: what is published later is not in it. It must not block.
func (s *Store) View(ctx context.Context, name string, after *int64, attach func()) (View, error) {
	tx, floor, v, err := s.beginView(ctx, name, attach)
	if err != nil {
		return View{}, err
	}
	defer tx.Rollback()
	if after != nil && *after >= floor && *after <= v.Seq {
		v.Events, err = replay(ctx, tx, name, *after)
	} else if name == Shell {
		v.Shell, err = shell(ctx, tx)
	} else {
		v.Thread, err = snapshot(ctx, tx, name[len(api.TopicThread):])
	}
	if err != nil {
		return View{}, fmt.Errorf("store: read %s: %w", name, err)
	}
	return v, nil
}

func (s *Store) beginView(ctx context.Context, name string, attach func()) (*sql.Tx, int64, View, error) {
	conn, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, 0, View{}, fmt.Errorf("store: read %s: %w", name, err)
	}
	s.visible.RLock()
	defer s.visible.RUnlock()
	var v View
	var floor int64
	err = conn.QueryRowContext(ctx, "SELECT head, floor FROM streams WHERE name = ?", name).Scan(&v.Seq, &floor)
	if errors.Is(err, sql.ErrNoRows) {
		if name == Shell {
			err = nil
		} else {
			err = ErrNotFound
		}
	}
	if err != nil {
		conn.Rollback()
		return nil, 0, View{}, err
	}
	if attach != nil {
		attach()
	}
	return conn, floor, v, nil
}

func replay(ctx context.Context, tx *sql.Tx, name string, after int64) ([]Event, error) {
	rows, err := tx.QueryContext(ctx, `SELECT e.seq, e.at, e.trace, e.type, e.ref, e.data FROM events e
		JOIN streams s ON s.id = e.stream WHERE s.name = ? AND e.seq > ? ORDER BY e.seq`, name, after)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	events := []Event{}
	for rows.Next() {
		e := Event{Stream: name}
		var ref string
		var data []byte
		if err := rows.Scan(&e.Seq, &e.At, &e.TraceID, &e.Type, &ref, &data); err != nil {
			return nil, err
		}
		if err := fill(&e.Event, ref, data); err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, rows.Err()
}

func shell(ctx context.Context, tx *sql.Tx) (*api.ShellSnapshot, error) {
	sn := &api.ShellSnapshot{}
	var err error
	if sn.Projects, err = list[api.Project](ctx, tx, "SELECT data FROM projects ORDER BY created, id"); err != nil {
		return nil, err
	}
	sn.Threads, err = list[api.Thread](ctx, tx, "SELECT data FROM threads ORDER BY updated DESC, id")
	return sn, err
}

type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func list[T any](ctx context.Context, q queryer, query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []T{}
	var raw sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&raw); err != nil {
			return nil, err
		}
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

func one[T any](ctx context.Context, s *Store, query string, args ...any) (T, error) {
	all, err := list[T](ctx, s.reader, query, args...)
	if err != nil {
		return *new(T), fmt.Errorf("store: read: %w", err)
	}
	if len(all) == 0 {
		return *new(T), ErrNotFound
	}
	return all[0], nil
}

// Project returns a project or ErrNotFound.
func (s *Store) Project(ctx context.Context, id string) (api.Project, error) {
	return one[api.Project](ctx, s, "SELECT data FROM projects WHERE id = ?", id)
}

// ProjectAt returns the project of a path or ErrNotFound.
func (s *Store) ProjectAt(ctx context.Context, path string) (api.Project, error) {
	return one[api.Project](ctx, s, "SELECT data FROM projects WHERE path = ?", path)
}

// Thread returns a thread or ErrNotFound.
func (s *Store) Thread(ctx context.Context, id string) (api.Thread, error) {
	return one[api.Thread](ctx, s, "SELECT data FROM threads WHERE id = ?", id)
}

// Threads returns the threads of a project.
func (s *Store) Threads(ctx context.Context, projectID string) ([]api.Thread, error) {
	return list[api.Thread](ctx, s.reader, "SELECT data FROM threads WHERE project = ? ORDER BY id", projectID)
}

// Item returns an item or ErrNotFound.
func (s *Store) Item(ctx context.Context, id string) (api.Item, error) {
	return one[api.Item](ctx, s, "SELECT data FROM items WHERE id = ?", id)
}

// Turn returns a turn with its checkpoints, or ErrNotFound.
func (s *Store) Turn(ctx context.Context, id string) (api.Turn, Refs, error) {
	r := Refs{TurnID: id}
	var data []byte
	err := s.reader.QueryRowContext(ctx, "SELECT data, before_ref, after_ref FROM turns WHERE id = ?", id).Scan(&data, &r.Before, &r.After)
	if errors.Is(err, sql.ErrNoRows) {
		return api.Turn{}, r, ErrNotFound
	}
	var t api.Turn
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	if err != nil {
		return t, r, fmt.Errorf("store: read turn: %w", err)
	}
	return t, r, nil
}

// Receipt returns the stored outcome of a command id, or ErrNotFound.
func (s *Store) Receipt(ctx context.Context, id string) (Receipt, error) {
	r := Receipt{ID: id}
	var failure []byte
	err := s.reader.QueryRowContext(ctx, "SELECT method, ref, answer, error FROM receipts WHERE id = ?", id).
		Scan(&r.Method, &r.Ref, (*[]byte)(&r.Answer), &failure)
	if errors.Is(err, sql.ErrNoRows) {
		return r, ErrNotFound
	}
	if err == nil && failure != nil {
		err = json.Unmarshal(failure, &r.Error)
	}
	if err != nil {
		return r, fmt.Errorf("store: read receipt: %w", err)
	}
	return r, nil
}

// Work is what a thread's owner needs to go on with it.
type Work struct {
	Thread api.Thread
	Resume Resume
	// Turns that are not final, by ordinal; Items are open ones and the prompts of those turns; Live is the kept text of streamed items.
	Turns []api.Turn
	Items []api.Item
	Live  []api.Item
	// LastTurn and LastItem are the greatest ordinals given.
	LastTurn, LastItem int64
}

// Work reads a thread's open work, or ErrNotFound.
func (s *Store) Work(ctx context.Context, id string) (Work, error) {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Work{}, fmt.Errorf("store: read thread: %w", err)
	}
	defer tx.Rollback()
	w := Work{Resume: Resume{ThreadID: id}}
	var data []byte
	err = tx.QueryRowContext(ctx, "SELECT data, resume, resume_agent FROM threads WHERE id = ?", id).Scan(&data, &w.Resume.Cursor, &w.Resume.AgentID)
	if errors.Is(err, sql.ErrNoRows) {
		return Work{}, ErrNotFound
	}
	if err == nil {
		err = json.Unmarshal(data, &w.Thread)
	}
	if err == nil {
		w.Turns, err = list[api.Turn](ctx, tx, "SELECT data FROM turns WHERE thread = ? AND open ORDER BY ordinal", id)
	}
	if err == nil {
		w.Items, err = list[api.Item](ctx, tx, openWork, id)
	}
	if err == nil {
		w.Live, err = list[api.Item](ctx, tx, "SELECT data FROM live WHERE thread = ?", id)
	}
	if err == nil {
		err = tx.QueryRowContext(ctx, `SELECT (SELECT coalesce(max(ordinal), 0) FROM turns WHERE thread = ?1),
			(SELECT coalesce(max(ordinal), 0) FROM items WHERE thread = ?1)`, id).Scan(&w.LastTurn, &w.LastItem)
	}
	if err != nil {
		return Work{}, fmt.Errorf("store: read thread: %w", err)
	}
	for _, it := range w.Live {
		w.LastItem = max(w.LastItem, it.Ordinal)
	}
	return w, nil
}

// Unfinished returns the ids of threads with anything open: what a backend that was killed left behind.
func (s *Store) Unfinished(ctx context.Context) ([]string, error) {
	return s.ids(ctx, `SELECT thread FROM turns WHERE open UNION SELECT thread FROM items WHERE open UNION SELECT thread FROM live ORDER BY thread`)
}

func (s *Store) ids(ctx context.Context, query string) ([]string, error) {
	rows, err := s.reader.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("store: read: %w", err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("store: read: %w", err)
		}
		all = append(all, id)
	}
	return all, rows.Err()
}

// Resumed returns which threads of a project go on with which of an agent's conversations, by cursor.
func (s *Store) Resumed(ctx context.Context, projectID, agentID string) (map[string]string, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT resume, id FROM threads WHERE project = ? AND resume_agent = ? AND resume <> '' ORDER BY updated", projectID, agentID)
	if err != nil {
		return nil, fmt.Errorf("store: read: %w", err)
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var cursor, id string
		if err := rows.Scan(&cursor, &id); err != nil {
			return nil, fmt.Errorf("store: read: %w", err)
		}
		all[cursor] = id
	}
	return all, rows.Err()
}

// Busy returns the threads that have turns that have not ended.
func (s *Store) Busy(ctx context.Context) ([]api.Thread, error) {
	return list[api.Thread](ctx, s.reader, "SELECT data FROM threads WHERE id IN (SELECT thread FROM turns WHERE open) ORDER BY id")
}
