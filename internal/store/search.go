package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"catamaran/internal/api"
)

// Search looks for words as api.Search describes it; Limit is at least 1. The
// index only finds candidates: each is looked at again, so that what is
// returned is what is stored, and marks fit the text.
func (s *Store) Search(ctx context.Context, r api.Search) (api.SearchHits, error) {
	q := &search{r: r, terms: terms(r.Text), threads: map[string]api.Thread{}, hits: []api.SearchHit{}}
	if len(q.terms) == 0 {
		return api.SearchHits{Hits: q.hits}, nil
	}
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return api.SearchHits{}, fmt.Errorf("store: search: %w", err)
	}
	defer tx.Rollback()
	if r.ThreadID == "" {
		err = q.run(ctx, tx, "title", "SELECT t.data, '', '' FROM search s JOIN threads t ON t.n = s.rowid WHERE search MATCH ? ORDER BY s.rowid DESC")
	}
	if err == nil && !q.more {
		err = q.run(ctx, tx, "words parts", `SELECT t.data, i.id, i.data FROM search s JOIN items i ON i.n = s.rowid JOIN threads t ON t.id = i.thread
			WHERE search MATCH ? ORDER BY s.rowid DESC`)
	}
	hits := api.SearchHits{Hits: q.hits, More: q.more}
	if err == nil {
		err = tx.QueryRowContext(ctx, `SELECT (SELECT value FROM meta WHERE key = 'index from') < (SELECT value FROM meta WHERE key = 'index to')`).Scan(&hits.Indexing)
	}
	if err != nil {
		return api.SearchHits{}, fmt.Errorf("store: search: %w", err)
	}
	return hits, nil
}

type search struct {
	r       api.Search
	terms   []term
	threads map[string]api.Thread // by their JSON
	hits    []api.SearchHit
	more    bool
}

func (q *search) run(ctx context.Context, tx *sql.Tx, columns, query string) error {
	m := match(q.terms, columns)
	for _, id := range []string{q.r.ProjectID, q.r.ThreadID} {
		if k := key(id); k != "" {
			m = `{place} : "` + k + `" AND ` + m
		}
	}
	rows, err := tx.QueryContext(ctx, query, m)
	if err != nil {
		return err
	}
	defer rows.Close()
	var head, data sql.RawBytes
	var id string
	for rows.Next() {
		if err := rows.Scan(&head, &id, &data); err != nil {
			return err
		}
		if err := q.candidate(head, id, data); err != nil || q.more {
			return err
		}
	}
	return rows.Err()
}

func (q *search) candidate(head []byte, id string, data []byte) error {
	t, known := q.threads[string(head)]
	if !known {
		if err := json.Unmarshal(head, &t); err != nil {
			return err
		}
		q.threads[string(head)] = t
	}
	if q.r.ThreadID != "" && t.ID != q.r.ThreadID || q.r.ProjectID != "" && t.ProjectID != q.r.ProjectID || t.ArchivedAt != 0 && !q.r.Archived && q.r.ThreadID == "" {
		return nil
	}
	hit := api.SearchHit{Thread: t, At: t.UpdatedAt}
	text := t.Title
	if id != "" {
		var it api.Item
		if err := json.Unmarshal(data, &it); err != nil {
			return err
		}
		hit.ItemID, hit.Kind, hit.At, text = it.ID, it.Kind, it.CreatedAt, it.Text
	}
	spans := found(text, q.terms, marksMost)
	if spans == nil {
		return nil
	}
	if len(q.hits) == q.r.Limit {
		q.more = true
		return nil
	}
	hit.Snippet, hit.Marks = snippet(text, spans)
	q.hits = append(q.hits, hit)
	return nil
}
