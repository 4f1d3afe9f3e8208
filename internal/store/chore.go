package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// vacuumPages is how much a step of giving space back moves.
	vacuumPages = 500
	// copyAge is how long the copy from before a migration is kept.
	copyAge = 14 * 24 * time.Hour
	// scrubTries bounds how often the log is asked to let go of removed text while somebody reads it.
	scrubTries = 20
	scrubWait  = 250 * time.Millisecond
	// closeBound limits what is tidied at the end; the next start does the rest.
	closeBound = time.Second
)

// chores is what the writer does between writes, in steps of some milliseconds.
// Nothing of it is lost when the process ends: it is found again at the next start.
type chores struct {
	// scrub: something was removed; its text must leave the files too.
	scrub  bool
	vacuum bool
	tries  int
	failed time.Time // of the last step; the next one waits a while
}

const choreRetry = time.Minute

// loadChores finds what a process that ended left to do.
func (w *writer) loadChores(ctx context.Context) error {
	var free int
	if err := w.conn.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&free); err != nil {
		return err
	}
	w.chores.vacuum = free > 0
	return w.s.dropCopies(copyAge)
}

// removed has the text of what was removed leave the files as well.
func (w *writer) removed() {
	w.chores.scrub, w.chores.vacuum, w.chores.tries = true, true, scrubTries
	w.index.unindex = true
}

// next waits for a write, and does chores while there is none.
func (w *writer) next() (*request, bool) {
	for {
		select {
		case r, ok := <-w.s.queue:
			return r, ok
		default:
		}
		wait, more := w.chore()
		if !more {
			w.settled()
			r, ok := <-w.s.queue
			return r, ok
		}
		if wait == 0 {
			continue
		}
		t := time.NewTimer(wait)
		select {
		case r, ok := <-w.s.queue:
			t.Stop()
			return r, ok
		case <-t.C:
		}
	}
}

// chore does one step; more says that there are others, after a wait.
func (w *writer) chore() (wait time.Duration, more bool) {
	if since := w.s.o.Now().Sub(w.chores.failed); !w.chores.failed.IsZero() && since >= 0 && since < choreRetry {
		return 0, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeBound)
	defer cancel()
	wait, more, err := w.step(ctx)
	if err != nil {
		w.chores.failed = w.s.o.Now()
		w.s.o.Log.Warn("tidy the database", "error", err)
		return 0, false
	}
	w.chores.failed = time.Time{}
	return wait, more
}

// lastChores takes what was removed out of the files, as far as it can be done quickly.
func (w *writer) lastChores() {
	w.index.titles, w.index.from = false, w.index.to
	end := time.Now().Add(closeBound)
	for more := true; more && time.Now().Before(end); {
		_, more = w.chore()
	}
}

func (w *writer) step(ctx context.Context) (wait time.Duration, more bool, err error) {
	if w.receipts >= receiptPrune {
		w.receipts = 0
		return 0, true, w.pruneReceipts(ctx)
	}
	if more, err := w.indexStep(ctx); more || err != nil {
		return 0, true, err
	}
	switch c := &w.chores; {
	case c.vacuum:
		c.vacuum, err = w.vacuumStep(ctx)
		return 0, true, err
	case c.scrub:
		done, err := w.emptyLog(ctx)
		c.tries--
		if done {
			err = errors.Join(err, w.s.dropCopies(0))
		}
		c.scrub = !done && c.tries > 0
		return scrubWait, c.scrub, err
	}
	return 0, false, nil
}

// vacuumStep gives free pages back to the file system.
func (w *writer) vacuumStep(ctx context.Context) (more bool, err error) {
	rows, err := w.conn.QueryContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumPages))
	if err != nil {
		return false, err
	}
	for rows.Next() { // a page a step
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return false, err
	}
	var free int
	err = w.conn.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&free)
	return free > 0, err
}

// emptyLog folds the log into the database and empties it; done is false while a reader needs it.
func (w *writer) emptyLog(ctx context.Context) (done bool, err error) {
	if _, err := w.conn.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
		return false, err
	}
	var busy, pages, folded int
	err = w.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &folded)
	_, rerr := w.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", busyMillis))
	return busy == 0, errors.Join(err, rerr)
}

// together carries fn out in one transaction.
func (w *writer) together(ctx context.Context, fn func() error) error {
	if err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := fn()
	if err == nil {
		err = w.exec(ctx, "COMMIT")
	}
	if err != nil {
		w.rollback()
	}
	return err
}

func (w *writer) pruneReceipts(ctx context.Context) error {
	_, err := w.conn.ExecContext(ctx, "DELETE FROM receipts WHERE at < ? OR n <= (SELECT max(n) FROM receipts) - ?",
		w.s.o.Now().Add(-receiptAge).UnixMilli(), receiptMost)
	return err
}

// dropCopies removes copies from before migrations that are at least so old:
// what people delete must not live on in them.
func (s *Store) dropCopies(age time.Duration) error {
	entries, err := os.ReadDir(s.o.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), databaseFile+beforeSuffix) {
			continue
		}
		info, err := e.Info()
		if err == nil && time.Since(info.ModTime()) >= age {
			err = os.Remove(filepath.Join(s.o.Dir, e.Name()))
		}
		if err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// Settle waits until the work in the background that is known now is done; benchmarks and tests use it.
func (s *Store) Settle(ctx context.Context) error {
	r := &request{done: make(chan struct{})}
	if err := s.send(ctx, r); err != nil {
		return err
	}
	select {
	case <-r.done:
		return nil
	case <-s.finished:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *writer) settled() {
	for _, r := range w.waiting {
		close(r.done)
	}
	w.waiting = nil
}
