package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"

	"catamaran/internal/api"
)

// Numbers in the index grow with time, so that the newest match comes first:
// messages from before the index have their row's number, new ones start above firstNumber.
const firstNumber = 1 << 40

// Steps of building the index in the background.
const (
	indexRows  = 100
	indexBytes = 256 << 10
)

// index is the writer's part of the search.
type index struct {
	next int64 // the next number
	// from and to bound the rows of items that are still to be indexed.
	from, to int64
	titles   bool // threads may be without a number
	unindex  bool // there may be something to take out
}

func searchable(it *api.Item) bool {
	return !it.Live && (it.Kind == api.ItemUserMessage || it.Kind == api.ItemAgentMessage)
}

// key makes one word of an id.
func key(id string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if letter(r) && r < 0x80 {
			return r
		}
		return -1
	}, id))
}

func place(project, thread string) string { return key(project) + " " + key(thread) }

func (w *writer) loadIndex(ctx context.Context) error {
	rows, err := w.conn.QueryContext(ctx, "SELECT key, value FROM meta")
	if err != nil {
		return err
	}
	defer rows.Close()
	version := int64(0)
	at := map[string]*int64{"index from": &w.index.from, "index to": &w.index.to, "words": &version}
	for rows.Next() {
		var k string
		var v int64
		if err := rows.Scan(&k, &v); err != nil {
			return err
		}
		if to := at[k]; to != nil {
			*to = v
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if version != wordsVersion {
		if err := w.resetIndex(ctx, version == 0); err != nil {
			return err
		}
	}
	w.index.titles, w.index.unindex = w.index.from < w.index.to, true
	return w.conn.QueryRowContext(ctx, `SELECT max(coalesce((SELECT max(n) FROM items), 0), coalesce((SELECT max(n) FROM threads), 0),
		coalesce((SELECT max(n) FROM unindex), 0), ?) + 1`, firstNumber).Scan(&w.index.next)
}

// resetIndex has everything indexed anew, because words are made in another way now.
func (w *writer) resetIndex(ctx context.Context, first bool) error {
	if err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	steps := []string{
		"INSERT INTO search(search) VALUES ('delete-all')",
		"UPDATE items SET n = NULL WHERE n IS NOT NULL", "UPDATE threads SET n = NULL WHERE n IS NOT NULL", "DELETE FROM unindex",
		"UPDATE meta SET value = 0 WHERE key = 'index from'",
		"UPDATE meta SET value = (SELECT coalesce(max(rowid), 0) FROM items) WHERE key = 'index to'",
	}
	if first {
		steps = nil
	}
	err := w.setMeta(ctx, "words", wordsVersion)
	for _, s := range steps {
		if err == nil {
			err = w.exec(ctx, s)
		}
	}
	if err == nil {
		err = w.exec(ctx, "COMMIT")
	}
	if err != nil {
		w.rollback()
		return err
	}
	if !first {
		w.index.from = 0
		return w.conn.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'index to'").Scan(&w.index.to)
	}
	return nil
}

func (w *writer) setMeta(ctx context.Context, key string, value int64) error {
	return w.exec(ctx, "INSERT INTO meta(key, value) VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value", key, value)
}

func (w *writer) queryRow(ctx context.Context, query string, args ...any) (*sql.Row, error) {
	st, err := w.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.QueryRowContext(ctx, args...), nil
}

// put adds a text or a title under a number, or with take removes what was added.
func (w *writer) put(ctx context.Context, take bool, n int64, place, title, text string) error {
	whole, parts := indexed(text)
	titleWhole, titleParts := indexed(title)
	args := []any{n, whole, parts, titleWhole + titleParts, place}
	if take {
		return w.exec(ctx, "INSERT INTO search(search, rowid, words, parts, title, place) VALUES ('delete', ?, ?, ?, ?, ?)", args...)
	}
	return w.exec(ctx, "INSERT INTO search(rowid, words, parts, title, place) VALUES (?, ?, ?, ?, ?)", args...)
}

// indexItem keeps the index in step with an item; it runs before the item is
// written and returns its number, nil for none.
func (w *writer) indexItem(ctx context.Context, it *api.Item) (*int64, error) {
	if it.Kind != api.ItemUserMessage && it.Kind != api.ItemAgentMessage {
		return nil, nil
	}
	row, err := w.queryRow(ctx, "SELECT i.n, i.data, i.thread, t.project FROM items i JOIN threads t ON t.id = i.thread WHERE i.id = ?", it.ID)
	if err != nil {
		return nil, err
	}
	var n *int64
	var raw []byte
	var thread, project string
	err = row.Scan(&n, &raw, &thread, &project)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	if n != nil {
		var was api.Item
		if err := json.Unmarshal(raw, &was); err != nil {
			return nil, err
		}
		if was.Text == it.Text && searchable(it) {
			return n, nil
		}
		if err := w.put(ctx, true, *n, place(project, thread), "", was.Text); err != nil {
			return nil, err
		}
	}
	if !searchable(it) || it.Text == "" {
		return nil, nil
	}
	if project == "" {
		if row, err = w.queryRow(ctx, "SELECT project FROM threads WHERE id = ?", it.ThreadID); err != nil {
			return nil, err
		}
		if err := row.Scan(&project); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return nil, nil // the foreign key will refuse it
			}
			return nil, err
		}
	}
	if n == nil {
		n = w.number()
	}
	return n, w.put(ctx, false, *n, place(project, it.ThreadID), "", it.Text)
}

func (w *writer) number() *int64 {
	n := w.index.next
	w.index.next++
	return &n
}

// unindexItem takes an item that will be deleted out of the index.
func (w *writer) unindexItem(ctx context.Context, id string) error {
	return w.exec(ctx, takeOut+" FROM items i JOIN threads t ON t.id = i.thread WHERE i.id = ? AND i.n IS NOT NULL", id)
}

// unindexThread takes a thread that will be deleted out of the index.
func (w *writer) unindexThread(ctx context.Context, id string) error {
	if err := w.exec(ctx, takeOut+" FROM items i JOIN threads t ON t.id = i.thread WHERE i.thread = ? AND i.n IS NOT NULL", id); err != nil {
		return err
	}
	return w.exec(ctx, `INSERT INTO unindex(n, place, title, text)
		SELECT n, project || ' ' || id, coalesce(data ->> '$.title', ''), '' FROM threads WHERE id = ? AND n IS NOT NULL`, id)
}

// takeOut notes what has to leave the index; its place still needs its words made.
const takeOut = `INSERT INTO unindex(n, place, title, text)
	SELECT i.n, t.project || ' ' || t.id, '', coalesce(i.data ->> '$.text', '')`

// indexThread keeps the index in step with a thread's title; it runs before the head is written.
func (w *writer) indexThread(ctx context.Context, t *api.Thread) (*int64, error) {
	row, err := w.queryRow(ctx, "SELECT n, project, coalesce(data ->> '$.title', '') FROM threads WHERE id = ?", t.ID)
	if err != nil {
		return nil, err
	}
	var n *int64
	var project, title string
	if err := row.Scan(&n, &project, &title); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	if n != nil {
		if title == t.Title && project == t.ProjectID {
			return n, nil
		}
		if err := w.put(ctx, true, *n, place(project, t.ID), title, ""); err != nil {
			return nil, err
		}
	}
	if t.Title == "" {
		return nil, nil
	}
	if n == nil {
		n = w.number()
	}
	return n, w.put(ctx, false, *n, place(t.ProjectID, t.ID), t.Title, "")
}

// indexStep takes removed texts out of the index, then indexes older ones; more says that there is more to do.
func (w *writer) indexStep(ctx context.Context) (more bool, err error) {
	switch {
	case w.index.unindex:
		w.index.unindex, err = w.unindexStep(ctx)
	case w.index.titles:
		w.index.titles, err = w.titleStep(ctx)
	case w.index.from < w.index.to:
		err = w.backfill(ctx)
	}
	return w.index.unindex || w.index.titles || w.index.from < w.index.to, err
}

type entry struct {
	n                      int64
	id, place, title, text string
}

func (w *writer) entries(ctx context.Context, query string, args ...any) ([]entry, error) {
	rows, err := w.conn.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []entry
	size := 0
	for size < indexBytes && rows.Next() {
		var e entry
		if err := rows.Scan(&e.n, &e.id, &e.place, &e.title, &e.text); err != nil {
			return nil, err
		}
		size += len(e.text)
		all = append(all, e)
	}
	return all, rows.Err()
}

// placed makes the words of a stored place.
func placed(stored string) string {
	project, thread, _ := strings.Cut(stored, " ")
	return place(project, thread)
}

func (w *writer) unindexStep(ctx context.Context) (bool, error) {
	all, err := w.entries(ctx, "SELECT n, '', place, title, text FROM unindex ORDER BY n LIMIT ?", indexRows)
	if err != nil || len(all) == 0 {
		return false, err
	}
	return true, w.together(ctx, func() error {
		for _, e := range all {
			if err := w.put(ctx, true, e.n, placed(e.place), e.title, e.text); err != nil {
				return err
			}
			if err := w.exec(ctx, "DELETE FROM unindex WHERE n = ?", e.n); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *writer) titleStep(ctx context.Context) (bool, error) {
	all, err := w.entries(ctx, `SELECT 0, id, project || ' ' || id, data ->> '$.title', '' FROM threads
		WHERE n IS NULL AND coalesce(data ->> '$.title', '') <> '' ORDER BY rowid LIMIT ?`, indexRows)
	if err != nil || len(all) == 0 {
		return false, err
	}
	return true, w.together(ctx, func() error {
		for _, e := range all {
			n := w.number()
			if err := w.put(ctx, false, *n, placed(e.place), e.title, ""); err != nil {
				return err
			}
			if err := w.exec(ctx, "UPDATE threads SET n = ? WHERE id = ?", *n, e.id); err != nil {
				return err
			}
		}
		return nil
	})
}

// backfill indexes some messages from before there was an index.
func (w *writer) backfill(ctx context.Context) error {
	all, err := w.entries(ctx, `SELECT i.rowid, i.id, t.project || ' ' || t.id, '', coalesce(i.data ->> '$.text', '')
		FROM items i JOIN threads t ON t.id = i.thread
		WHERE i.rowid > ? AND i.rowid <= ? AND i.n IS NULL AND i.kind IN ('user_message', 'agent_message') AND NOT i.open
		ORDER BY i.rowid LIMIT ?`, w.index.from, w.index.to, indexRows)
	if err != nil {
		return err
	}
	from := w.index.to
	if len(all) > 0 {
		from = all[len(all)-1].n
	}
	err = w.together(ctx, func() error {
		for _, e := range all {
			if e.text == "" {
				continue
			}
			if err := w.put(ctx, false, e.n, placed(e.place), "", e.text); err != nil {
				return err
			}
			if err := w.exec(ctx, "UPDATE items SET n = ? WHERE id = ?", e.n, e.id); err != nil {
				return err
			}
		}
		return w.setMeta(ctx, "index from", from)
	})
	if err == nil {
		w.index.from = from
	}
	return err
}
