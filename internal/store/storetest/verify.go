package storetest

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// projected are the tables that a stream's events are projected into, by what the events' types begin with.
var projected = map[string]string{"project": "projects", "thread": "threads", "turn": "turns", "item": "items"}

// Verify reads the database in dir, which nobody need have closed, and tells
// everything that does not hold:
//
//   - replaying the log gives the projections: what the last event about a thing says is what is there, and
//     a stream whose log is whole names everything there is
//   - sequences have no repeat, and end at their stream's head
//   - the index of words is sound, and holds each message once
//   - the file itself is sound
func Verify(ctx context.Context, dir string) error {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(dir, "catamaran.db")), RawQuery: "_busy_timeout=10000"}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	v := &verifier{ctx: ctx, tx: tx}
	v.log()
	v.whole()
	v.count("rows of streams that are behind their log", "SELECT count(*) FROM streams s WHERE head < coalesce((SELECT max(seq) FROM events WHERE stream = s.id), 0)")
	v.count("events without a place in the log", "SELECT count(*) FROM events e JOIN streams s ON s.id = e.stream WHERE e.seq > s.head")
	v.count("messages that are not in the index", `SELECT count(*) FROM items WHERE n IS NULL AND NOT open AND kind IN ('user_message', 'agent_message')
		AND coalesce(data ->> '$.text', '') <> '' AND NOT (rowid > (SELECT value FROM meta WHERE key = 'index from') AND rowid <= (SELECT value FROM meta WHERE key = 'index to'))`)
	v.count("numbers in the index that are not its own", "SELECT (SELECT count(*) FROM items WHERE n IS NOT NULL) - (SELECT count(DISTINCT n) FROM items WHERE n IS NOT NULL)")
	v.answer("integrity_check", "PRAGMA integrity_check", "ok")
	v.answer("foreign keys", "SELECT count(*) FROM pragma_foreign_key_check", "0")
	// Outside of the transaction: this counts as a write, which one that has read must not begin once others wrote.
	if err := tx.Rollback(); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "INSERT INTO search(search) VALUES ('integrity-check')"); err != nil {
		v.wrong = append(v.wrong, fmt.Errorf("the index of words: %w", err))
	}
	return errors.Join(v.wrong...)
}

type verifier struct {
	ctx   context.Context
	tx    *sql.Tx
	wrong []error
}

func (v *verifier) failed(format string, args ...any) {
	const most = 20
	if len(v.wrong) < most {
		v.wrong = append(v.wrong, fmt.Errorf(format, args...))
	}
}

func (v *verifier) count(what, query string) { v.answer(what, query, "0") }

func (v *verifier) answer(what, query, want string) {
	var got string
	if err := v.tx.QueryRowContext(v.ctx, query).Scan(&got); err != nil || got != want {
		v.failed("%s: %s, want %s (%v)", what, got, want, err)
	}
}

// log compares the last event about each thing with what is there of it.
func (v *verifier) log() {
	rows, err := v.tx.QueryContext(v.ctx, `SELECT s.name, e.type, e.ref, e.data FROM events e JOIN streams s ON s.id = e.stream
		JOIN (SELECT stream, ref, max(seq) AS seq FROM events GROUP BY stream, ref) last ON last.stream = e.stream AND last.seq = e.seq`)
	if err != nil {
		v.failed("read the log: %w", err)
		return
	}
	type last struct {
		stream, kind, ref string
		data              []byte
	}
	var all []last
	for rows.Next() {
		var l last
		if err := rows.Scan(&l.stream, &l.kind, &l.ref, &l.data); err != nil {
			v.failed("read the log: %w", err)
		}
		all = append(all, l)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		v.failed("read the log: %w", err)
	}
	for _, l := range all {
		name, _, _ := strings.Cut(l.kind, ".")
		table := projected[name]
		if table == "" {
			v.failed("an event of type %s", l.kind)
			continue
		}
		var now []byte
		err := v.tx.QueryRowContext(v.ctx, "SELECT data FROM "+table+" WHERE id = ?", l.ref).Scan(&now)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			if l.data != nil {
				v.failed("%s of %s is in the log of %s and not there", l.kind, l.ref, l.stream)
			}
		case err != nil:
			v.failed("read %s: %w", l.ref, err)
		case l.data == nil:
			v.failed("%s was removed, says the log of %s, and is there", l.ref, l.stream)
		case !bytes.Equal(now, l.data):
			v.failed("%s is\n%s\nthe log of %s says\n%s", l.ref, now, l.stream, l.data)
		}
	}
}

// whole looks for what is there without an event, where the log was never cut.
func (v *verifier) whole() {
	for kind, table := range map[string]string{"turn": "turns", "item": "items"} {
		v.count(table+" that no log tells of", fmt.Sprintf(`SELECT count(*) FROM %s p JOIN streams s ON s.name = 'thread:' || p.thread
			WHERE s.floor = 0 AND NOT EXISTS (SELECT 1 FROM events e WHERE e.stream = s.id AND e.ref = p.id AND e.type = '%s.upserted')`, table, kind))
		v.count(table+" of no thread", fmt.Sprintf("SELECT count(*) FROM %s WHERE thread NOT IN (SELECT id FROM threads)", table))
	}
	v.count("finished items that still stream", "SELECT count(*) FROM live l JOIN items i ON i.id = l.item WHERE NOT i.open")
	v.eachJSON()
}

// eachJSON checks that the columns beside the JSON say what the JSON says.
func (v *verifier) eachJSON() {
	rows, err := v.tx.QueryContext(v.ctx, "SELECT id, thread, ordinal, kind, data FROM items")
	if err != nil {
		v.failed("read items: %w", err)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var id, thread, kind string
		var ordinal int64
		var data sql.RawBytes
		if err := rows.Scan(&id, &thread, &ordinal, &kind, &data); err != nil {
			v.failed("read items: %w", err)
			return
		}
		var it struct {
			ID, ThreadID, Kind string
			Ordinal            int64
		}
		if err := json.Unmarshal(data, &it); err != nil || it.ID != id || it.ThreadID != thread || it.Kind != kind || it.Ordinal != ordinal {
			v.failed("item %s: columns and JSON differ: %s (%v)", id, data, err)
		}
	}
}
