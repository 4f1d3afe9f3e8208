// Package store keeps a backend's state in one SQLite database: an event log
// with a sequence per stream, projections of it (projects, threads, turns,
// items) written in the same transaction, command receipts, the text of items
// that are still being streamed, and spill files for big tool output. It holds
// all SQL of the program and decides nothing; package engine is its only caller.
//
// Invariants: one process owns a data folder at a time (an OS lock, not a file's
// existence); one connection writes; what Options.Published is told has been
// committed, in commit order; a view and the subscription attached with it agree
// on the sequence number they start at.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite" // the driver, and its error type

	"catamaran/internal/api"
)

const (
	databaseFile = "catamaran.db"
	lockFile     = "catamaran.lock"
	spillDir     = "spill"

	busyMillis = 5000

	readers   = 4
	openBound = 60 * time.Second
	// checkBound limits the consistency check at start: a big database must not delay the backend.
	checkBound = 250 * time.Millisecond
)

// ErrClosed is returned after Close.
var ErrClosed = errors.New("the database is closed")

var errLate = errors.New("the database did not open in time")

// ErrNotFound is returned for a row or a stream that is not there.
var ErrNotFound = errors.New("not found")

// Options of a store.
type Options struct {
	// Dir is the data folder; it is made with mode 0700 when missing.
	Dir string
	Log *slog.Logger
	Now func() time.Time
	// Migrating is called before an existing database is migrated; may be nil.
	Migrating func()
	// Published is told of committed events, in commit order, from the writer's
	// goroutine; it must not block and must not call the store. May be nil.
	Published func([]Event)

	// SetAside sets the database aside before opening, because it proved damaged (Damaged).
	SetAside bool

	// migrations replaces the schema's steps in tests.
	migrations []string
}

// Store is safe for concurrent use.
type Store struct {
	o         Options
	lock      *os.File
	writer    *sql.DB
	reader    *sql.DB
	notice    *api.Error
	queue     chan *request
	finished  chan struct{}
	closeOnce sync.Once

	sendMu sync.RWMutex // held for writing while closing: nobody sends on a closed queue
	closed bool

	// visible is held for writing over commit + publish, for reading while a view
	// takes its snapshot and attaches: a subscriber can neither miss an event nor get it twice.
	visible sync.RWMutex
}

// Open takes the data folder, migrates the database and starts its writer.
// Errors are *api.Error with CodeDatabaseOwned or CodeDatabaseNewer where that is the reason.
// A corrupt database is set aside under catamaran.db.corrupt-<time>; Notice tells.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Dir == "" || !filepath.IsAbs(o.Dir) {
		return nil, fmt.Errorf("store: the data folder %q is not an absolute path", o.Dir)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.migrations == nil {
		o.migrations = migrations
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	lock, err := takeLock(filepath.Join(o.Dir, lockFile), o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{o: o, lock: lock, queue: make(chan *request, writeQueue), finished: make(chan struct{})}
	w, err := s.openDatabase(ctx)
	if Damaged(err) {
		o.Log.Error("database is corrupt", "error", err)
		var aside string
		if aside, err = s.setAside(); err == nil {
			s.notice = &api.Error{Code: api.CodeDatabaseCorrupt,
				Message: "The database was damaged. It was set aside and a new, empty one was started.",
				Hint:    "The damaged file was kept: " + aside}
			w, err = s.openDatabase(ctx)
		}
	}
	if err != nil {
		s.closeDatabases()
		lock.Close()
		return nil, fmt.Errorf("store: open %s: %w", filepath.Join(o.Dir, databaseFile), err)
	}
	go w.run()
	return s, nil
}

// Notice is what people should be told about opening: nil, or that a damaged database was set aside.
func (s *Store) Notice() *api.Error { return s.notice }

// Close ends the writer after what was queued, folds the log into the database file and gives up the data folder.
func (s *Store) Close() error {
	var err error
	s.closeOnce.Do(func() {
		s.sendMu.Lock()
		s.closed = true
		close(s.queue)
		s.sendMu.Unlock()
		<-s.finished
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.reader.Close()
		if _, cerr := s.writer.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); cerr != nil {
			s.o.Log.Warn("database checkpoint at close", "error", cerr)
		}
		// The pools stay set: who reads too late gets an error of a closed pool.
		err = s.writer.Close()
		s.lock.Close()
	})
	<-s.finished
	return err
}

func (s *Store) path() string { return filepath.Join(s.o.Dir, databaseFile) }

func (s *Store) openDatabase(ctx context.Context) (*writer, error) {
	if s.o.SetAside && s.notice == nil {
		return nil, &damageError{"found while reading"}
	}
	// SQLite gives the WAL and its index the mode of the database file.
	f, err := os.OpenFile(s.path(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	f.Close()
	if err != nil {
		return nil, err
	}
	kind := writes
	if info.Size() == 0 {
		kind = creates
	}
	if s.writer, err = openPool(s.path(), kind); err != nil {
		return nil, err
	}
	s.writer.SetMaxOpenConns(1)
	early, cancel := context.WithTimeoutCause(ctx, openBound, errLate)
	defer cancel()
	if err := s.check(early); err != nil {
		return nil, err
	}
	// A big database takes its time to copy; the phase tells.
	if err := s.migrate(ctx); err != nil {
		return nil, err
	}
	ctx, done := context.WithTimeoutCause(ctx, openBound, errLate)
	defer done()
	if s.reader, err = openPool(s.path(), reads); err != nil {
		return nil, err
	}
	s.reader.SetMaxOpenConns(readers)
	s.reader.SetMaxIdleConns(readers)
	if err := s.reader.PingContext(ctx); err != nil {
		return nil, err
	}
	return newWriter(ctx, s)
}

// What a pool is for.
const (
	creates = "create"
	writes  = "write"
	reads   = "read"
)

func openPool(path, kind string) (*sql.DB, error) {
	q := url.Values{}
	q.Set("_busy_timeout", strconv.Itoa(busyMillis))
	if kind != reads {
		q.Set("_journal_mode", "WAL")
	}
	if kind == creates {
		// Only then has it an effect; later it would write at every start, even into a damaged file.
		q.Set("_auto_vacuum", "incremental")
	}
	q.Set("_foreign_keys", "on")
	q.Set("_synchronous", "normal")
	q.Set("_dqs", "0")
	q.Set("_txlock", "immediate")
	q.Add("_pragma", "journal_size_limit(16777216)")
	// What is sorted must not reach the disk beside the database.
	q.Add("_pragma", "temp_store(memory)")
	// Deleted text is overwritten where that costs no extra write: delete means delete.
	q.Add("_pragma", "secure_delete(fast)")
	if kind == reads {
		q.Set("_txlock", "deferred")
		q.Set("_query_only", "on")
	}
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p
	}
	u := url.URL{Scheme: "file", Path: p, RawQuery: q.Encode()}
	return sql.Open("sqlite", u.String())
}

// check looks for damage within checkBound; what it can't look at in that time counts as sound.
func (s *Store) check(ctx context.Context) error {
	if _, err := s.writer.ExecContext(ctx, "SELECT count(*) FROM sqlite_schema"); err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, checkBound)
	defer cancel()
	var answer string
	err := s.writer.QueryRowContext(short, "PRAGMA quick_check(1)").Scan(&answer)
	if Damaged(err) {
		return err
	}
	if err == nil && answer != "ok" {
		return &damageError{answer}
	}
	return ctx.Err()
}

type damageError struct{ text string }

func (e *damageError) Error() string { return "damaged: " + e.text }

// Damaged reports whether err says that the database is damaged.
func Damaged(err error) bool {
	const corrupt, notADatabase = 11, 26 // SQLITE_CORRUPT, SQLITE_NOTADB
	var d *damageError
	if errors.As(err, &d) || api.CodeOf(err) == api.CodeDatabaseCorrupt {
		return true
	}
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == corrupt || e.Code()&0xff == notADatabase)
}

// setAside renames the database and what belongs to it; nothing of it is lost.
func (s *Store) setAside() (string, error) {
	s.closeDatabases()
	to := s.path() + ".corrupt-" + s.o.Now().UTC().Format("20060102T150405.000Z")
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Rename(s.path()+suffix, to+suffix); err != nil && !os.IsNotExist(err) {
			return "", fmt.Errorf("set the damaged database aside: %w", err)
		}
	}
	return to, nil
}

func (s *Store) closeDatabases() error {
	var err error
	if s.reader != nil {
		err = s.reader.Close()
		s.reader = nil
	}
	if s.writer != nil {
		err = errors.Join(err, s.writer.Close())
		s.writer = nil
	}
	return err
}
