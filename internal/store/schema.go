package store

import (
	"context"
	"fmt"
	"os"

	"catamaran/internal/api"
)

// migrations are the schema's steps: forward only, each in one transaction,
// never edited once released. PRAGMA user_version counts the applied ones.
var migrations = []string{schemaOne}

// The data columns hold the JSON of the api type. What is beside them is what
// queries need, and what clients never see (resume cursor, checkpoints).
const schemaOne = `
CREATE TABLE streams (
	id    INTEGER PRIMARY KEY,
	name  TEXT NOT NULL UNIQUE,
	head  INTEGER NOT NULL,
	floor INTEGER NOT NULL
) STRICT;
CREATE TABLE events (
	stream INTEGER NOT NULL REFERENCES streams(id) ON DELETE CASCADE,
	seq    INTEGER NOT NULL,
	at     INTEGER NOT NULL,
	trace  TEXT NOT NULL,
	type   TEXT NOT NULL,
	ref    TEXT NOT NULL,
	data   BLOB,
	UNIQUE (stream, seq)
) STRICT;
CREATE TABLE projects (
	id      TEXT PRIMARY KEY,
	path    TEXT NOT NULL UNIQUE,
	created INTEGER NOT NULL,
	data    BLOB NOT NULL
) STRICT;
CREATE TABLE threads (
	id           TEXT PRIMARY KEY,
	project      TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE,
	updated      INTEGER NOT NULL,
	resume       TEXT NOT NULL DEFAULT '',
	resume_agent TEXT NOT NULL DEFAULT '',
	data         BLOB NOT NULL
) STRICT;
CREATE INDEX threads_project ON threads(project);
CREATE TABLE turns (
	id         TEXT PRIMARY KEY,
	thread     TEXT NOT NULL REFERENCES threads(id) ON DELETE CASCADE,
	ordinal    INTEGER NOT NULL,
	open       INTEGER NOT NULL,
	before_ref TEXT NOT NULL DEFAULT '',
	after_ref  TEXT NOT NULL DEFAULT '',
	data       BLOB NOT NULL
) STRICT;
CREATE INDEX turns_thread ON turns(thread, ordinal);
CREATE INDEX turns_open ON turns(thread) WHERE open;
CREATE TABLE items (
	id      TEXT PRIMARY KEY,
	thread  TEXT NOT NULL REFERENCES threads(id) ON DELETE CASCADE,
	turn    TEXT NOT NULL,
	ordinal INTEGER NOT NULL,
	kind    TEXT NOT NULL,
	open    INTEGER NOT NULL,
	data    BLOB NOT NULL
) STRICT;
CREATE INDEX items_thread ON items(thread, ordinal);
CREATE INDEX items_turn ON items(turn, kind);
CREATE INDEX items_open ON items(thread) WHERE open;
CREATE TABLE live (
	item   TEXT PRIMARY KEY,
	thread TEXT NOT NULL REFERENCES threads(id) ON DELETE CASCADE,
	data   BLOB NOT NULL
) STRICT;
CREATE INDEX live_thread ON live(thread);
CREATE TABLE receipts (
	n      INTEGER PRIMARY KEY,
	id     TEXT NOT NULL UNIQUE,
	at     INTEGER NOT NULL,
	method TEXT NOT NULL,
	ref    TEXT NOT NULL,
	answer BLOB,
	error  BLOB
) STRICT;
CREATE INDEX receipts_ref ON receipts(ref);
`

func (s *Store) migrate(ctx context.Context) error {
	var version int
	if err := s.writer.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	target := len(s.o.migrations)
	if version > target {
		return &api.Error{Code: api.CodeDatabaseNewer,
			Message: fmt.Sprintf("The database was written by a newer version (schema %d; this version knows %d).", version, target),
			Hint:    "Update Catamaran, or start it with another data folder."}
	}
	if version == target {
		return nil
	}
	if version > 0 {
		if s.o.Migrating != nil {
			s.o.Migrating()
		}
		copyTo := fmt.Sprintf("%s.before-v%d", s.path(), target)
		// A copy of an attempt that failed: the database it was made of has not changed since.
		if err := os.Remove(copyTo); err != nil && !os.IsNotExist(err) {
			return err
		}
		if _, err := s.writer.ExecContext(ctx, "VACUUM INTO ?", copyTo); err != nil {
			return fmt.Errorf("copy the database before migrating: %w", err)
		}
		if err := os.Chmod(copyTo, 0o600); err != nil {
			return err
		}
	}
	for v := version; v < target; v++ {
		tx, err := s.writer.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, s.o.migrations[v])
		if err == nil {
			_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", v+1))
		}
		if err == nil {
			err = tx.Commit()
		} else {
			tx.Rollback()
		}
		if err != nil {
			return fmt.Errorf("migrate to schema %d: %w", v+1, err)
		}
	}
	return nil
}
