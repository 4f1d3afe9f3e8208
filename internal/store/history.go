package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"catamaran/internal/api"
)

const (
	// PartItems and PartMost are how many items a part of a timeline holds unasked, and at most.
	PartItems = 200
	PartMost  = 1000
	// partBytes bounds a part by the JSON of its items; one item is always given.
	partBytes = 1 << 20
)

// snapshot reads a thread's head and its newest items, whatever its length.
func snapshot(ctx context.Context, tx *sql.Tx, id string) (*api.ThreadSnapshot, error) {
	heads, err := list[api.Thread](ctx, tx, "SELECT data FROM threads WHERE id = ?", id)
	if err != nil {
		return nil, err
	}
	if len(heads) == 0 {
		return nil, ErrNotFound
	}
	sn := &api.ThreadSnapshot{Thread: heads[0]}
	var broken bool
	if sn.Items, sn.Earlier, broken, err = run(ctx, tx, older, id, maxOrdinal, PartItems, partBytes); err != nil {
		return nil, err
	}
	if broken {
		sn.Items = wholeTurns(sn.Items)
	}
	if !sn.Earlier {
		sn.Turns, err = list[api.Turn](ctx, tx, "SELECT data FROM turns WHERE thread = ? ORDER BY ordinal", id)
		return sn, err
	}
	if sn.Open, err = list[api.Item](ctx, tx, openWork, id); err != nil {
		return nil, err
	}
	first := sn.Items[0].Ordinal
	sn.Open = slices.DeleteFunc(sn.Open, func(it api.Item) bool { return it.Ordinal >= first })
	sn.Turns, err = turnsOf(ctx, tx, id, true, sn.Items, sn.Open)
	return sn, err
}

// openWork selects a thread's open items, and the prompts of its turns that are not final.
const openWork = `SELECT data FROM items WHERE id IN (SELECT id FROM items WHERE thread = ?1 AND open
	UNION SELECT i.id FROM turns t JOIN items i ON i.turn = t.id AND i.kind = 'user_message' WHERE t.thread = ?1 AND t.open) ORDER BY ordinal`

const maxOrdinal = 1<<63 - 1

// Directions of a run.
const (
	older = "SELECT ordinal, turn, data FROM items WHERE thread = ? AND ordinal < ? ORDER BY ordinal DESC LIMIT ?"
	newer = "SELECT ordinal, turn, data FROM items WHERE thread = ? AND ordinal > ? ORDER BY ordinal LIMIT ?"
)

// run reads items on from a place, in ascending order, within the bounds. more
// says that it goes on in that direction, broken that the turn of its last one there does.
func run(ctx context.Context, q queryer, direction, id string, from int64, most, bytes int) (items []api.Item, more, broken bool, err error) {
	rows, err := q.QueryContext(ctx, direction, id, from, most+1)
	if err != nil {
		return nil, false, false, err
	}
	defer rows.Close()
	items = []api.Item{}
	var raw sql.RawBytes
	for rows.Next() {
		var ordinal int64
		var turn string
		if err := rows.Scan(&ordinal, &turn, &raw); err != nil {
			return nil, false, false, err
		}
		if len(items) > 0 && (len(items) == most || bytes < len(raw)) {
			more, broken = true, turn == items[len(items)-1].TurnID
			break
		}
		bytes -= len(raw)
		var it api.Item
		if err := json.Unmarshal(raw, &it); err != nil {
			return nil, false, false, err
		}
		items = append(items, it)
	}
	if direction == older {
		slices.Reverse(items)
	}
	return items, more, broken, rows.Err()
}

// wholeTurns leaves out the oldest turn, of which only a part is there, unless that is most of what is there.
func wholeTurns(items []api.Item) []api.Item {
	at := slices.IndexFunc(items, func(it api.Item) bool { return it.TurnID != items[0].TurnID })
	if at < 0 || at > len(items)/2 {
		return items
	}
	return items[at:]
}

// turnsOf reads the turns of items and, with open, those not final, by ordinal.
func turnsOf(ctx context.Context, q queryer, thread string, open bool, lists ...[]api.Item) ([]api.Turn, error) {
	seen := map[string]bool{}
	ids := []string{}
	for _, items := range lists {
		for i := range items {
			if id := items[i].TurnID; !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	b, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	return list[api.Turn](ctx, q, `SELECT data FROM turns WHERE id IN (SELECT value FROM json_each(?2)
		UNION SELECT id FROM turns WHERE thread = ?1 AND open AND ?3) AND thread = ?1 ORDER BY ordinal`, thread, string(b), open)
}

// History reads a part of a thread's timeline as api.ThreadHistory describes it;
// limit is between 1 and PartMost. ErrNotFound tells that there is no such thread or item.
func (s *Store) History(ctx context.Context, r api.ThreadHistory) (api.ThreadPart, error) {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return api.ThreadPart{}, fmt.Errorf("store: read history: %w", err)
	}
	defer tx.Rollback()
	p, err := history(ctx, tx, r)
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("store: read history: %w", err)
	}
	return p, err
}

func history(ctx context.Context, tx *sql.Tx, r api.ThreadHistory) (p api.ThreadPart, err error) {
	id, limit := r.ThreadID, r.Limit
	var there bool
	if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM threads WHERE id = ?)", id).Scan(&there); err != nil {
		return p, err
	}
	if !there {
		return p, ErrNotFound
	}
	switch {
	case r.Around != "":
		var at int64
		err = tx.QueryRowContext(ctx, "SELECT ordinal FROM items WHERE thread = ? AND id = ?", id, r.Around).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			return p, ErrNotFound
		}
		if err != nil {
			return p, err
		}
		var before []api.Item
		if before, p.Earlier, _, err = run(ctx, tx, older, id, at, max(1, limit/2), partBytes/2); err != nil {
			return p, err
		}
		if p.Items, p.Later, _, err = run(ctx, tx, newer, id, at-1, max(1, limit-len(before)), partBytes/2); err != nil {
			return p, err
		}
		p.Items = append(before, p.Items...)
	case r.After > 0:
		p.Items, p.Later, _, err = run(ctx, tx, newer, id, r.After, limit, partBytes)
		if err == nil {
			p.Earlier, err = beyond(ctx, tx, "SELECT EXISTS (SELECT 1 FROM items WHERE thread = ? AND ordinal <= ?)", id, r.After)
		}
	default:
		p.Items, p.Earlier, _, err = run(ctx, tx, older, id, r.Before, limit, partBytes)
		if err == nil {
			p.Later, err = beyond(ctx, tx, "SELECT EXISTS (SELECT 1 FROM items WHERE thread = ? AND ordinal >= ?)", id, r.Before)
		}
	}
	if err != nil {
		return p, err
	}
	p.Turns, err = turnsOf(ctx, tx, id, false, p.Items)
	return p, err
}

func beyond(ctx context.Context, tx *sql.Tx, query, id string, ordinal int64) (there bool, err error) {
	err = tx.QueryRowContext(ctx, query, id, ordinal).Scan(&there)
	return there, err
}
