package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"catamaran/internal/api"
	"catamaran/internal/atomicfile"
)

// migrations are the schema's steps: forward only, each in one transaction,
// never edited once released. PRAGMA user_version counts the applied ones.
var migrations = []string{schemaOne, schemaTwo}

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

// schemaTwo adds the search over titles and messages: an index without the texts
// themselves, whose rows items.n and threads.n name. unindex holds what removed
// threads leave to be taken out of it, meta how far older messages are indexed.
const schemaTwo = `
ALTER TABLE items ADD COLUMN n INTEGER;
CREATE UNIQUE INDEX items_n ON items(n) WHERE n IS NOT NULL;
ALTER TABLE threads ADD COLUMN n INTEGER;
CREATE UNIQUE INDEX threads_n ON threads(n) WHERE n IS NOT NULL;
CREATE VIRTUAL TABLE search USING fts5(words, parts, title, place, content='', columnsize=0, tokenize='ascii');
INSERT INTO search(search, rank) VALUES ('secure-delete', 1);
CREATE TABLE unindex (
	n     INTEGER PRIMARY KEY,
	place TEXT NOT NULL,
	title TEXT NOT NULL,
	text  TEXT NOT NULL
) STRICT;
CREATE TABLE meta (
	key   TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) STRICT;
INSERT INTO meta(key, value) SELECT 'index from', 0 UNION ALL SELECT 'index to', coalesce(max(rowid), 0) FROM items;
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
		if err := s.copyBefore(ctx, target); err != nil {
			return &api.Error{Code: api.CodeUnavailable, Message: "The database could not be copied before it is brought up to date.",
				Hint: "Make room on the disk for another copy of " + s.path() + ", then start again.", Details: err.Error()}
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

// beforeSuffix names a copy from before the migration to a schema.
const beforeSuffix = ".before-v"

// copyBefore copies the database, which nobody else has open, before it is migrated.
func (s *Store) copyBefore(ctx context.Context, target int) error {
	var busy, pages, folded int
	if err := s.writer.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &folded); err != nil {
		return err
	}
	if busy != 0 {
		return errors.New("another program has the database open")
	}
	from, err := os.Open(s.path())
	if err != nil {
		return err
	}
	defer from.Close()
	copyTo := fmt.Sprintf("%s%s%d", s.path(), beforeSuffix, target)
	// One of an attempt that failed is written over: the database it was made of has not changed since.
	to, err := os.OpenFile(copyTo+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from) // by the file system itself, where it can
	if err == nil {
		err = to.Sync()
	}
	if err := errors.Join(err, to.Close()); err != nil {
		os.Remove(copyTo + ".part")
		return err
	}
	return atomicfile.Rename(copyTo+".part", copyTo)
}
