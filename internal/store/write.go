package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"catamaran/internal/api"
)

const (
	writeQueue = 256
	// batchMost bounds how many writes share one transaction.
	batchMost = 128
	// keepThreadEvents and keepShellEvents are what a stream keeps for replay; an
	// older cursor gets a snapshot. Pruning happens in steps so that most writes delete nothing.
	keepThreadEvents = 500
	keepShellEvents  = 2000
	pruneStep        = 100

	receiptAge   = 7 * 24 * time.Hour
	receiptMost  = 100_000
	receiptPrune = 1000 // writes of receipts between two prunings
	writeBound   = 30 * time.Second
)

// Event is an event of one stream. Seq is given by the store.
type Event struct {
	Stream string
	api.Event
}

// Stream names.
const Shell = api.TopicShell

// ThreadStream is the name of a thread's stream.
func ThreadStream(threadID string) string { return api.TopicThread + threadID }

// Write is what is carried out together or not at all.
type Write struct {
	// Events get their sequence numbers in place.
	Events []Event
	Resume *Resume
	Refs   *Refs
	// Live replaces the kept text of items being streamed.
	Live []api.Item
	// Receipt is the answer to a command id.
	Receipt *Receipt
	// Durable waits for the disk, so that the write survives a power cut and not only a killed process.
	Durable bool
}

// Resume is a thread's cursor for going on with an agent's session.
type Resume struct{ ThreadID, AgentID, Cursor string }

// Refs are the checkpoints around a turn; empty ones stay as they are.
type Refs struct{ TurnID, Before, After string }

// Receipt is the stored outcome of a command. Ref is the thread or project it is
// about: it goes when that is removed, for answers hold titles and texts.
type Receipt struct {
	ID, Method, Ref string
	Answer          json.RawMessage
	Error           *api.Error
}

type request struct {
	w    *Write
	err  error
	done chan struct{}
}

// Commit stores w. It returns once w is stored or has failed; ctx bounds only
// the wait for a place in the queue. Concurrent writes share a transaction.
func (s *Store) Commit(ctx context.Context, w *Write) error {
	r := &request{w: w, done: make(chan struct{})}
	if err := s.send(ctx, r); err != nil {
		return err
	}
	<-r.done
	return r.err
}

func (s *Store) send(ctx context.Context, r *request) error {
	s.sendMu.RLock()
	defer s.sendMu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	select {
	case s.queue <- r:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

type stream struct{ id, head, floor int64 }

type writer struct {
	s        *Store
	conn     *sql.Conn
	stmts    map[string]*sql.Stmt
	streams  map[string]*stream // of committed and, within a transaction, of written events
	durable  bool
	receipts int
	index    index
	chores   chores
	waiting  []*request // callers of Settle
}

func newWriter(ctx context.Context, s *Store) (*writer, error) {
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{s: s, conn: conn, stmts: map[string]*sql.Stmt{}, streams: map[string]*stream{}}
	if err := errors.Join(w.pruneReceipts(ctx), w.loadIndex(ctx), w.loadChores(ctx)); err != nil {
		conn.Close()
		return nil, err
	}
	return w, nil
}

func (w *writer) run() {
	defer close(w.s.finished)
	defer w.conn.Close()
	for {
		first, ok := w.next()
		if !ok {
			break
		}
		batch := make([]*request, 0, batchMost)
		for more := first; ; {
			if more.w == nil {
				w.waiting = append(w.waiting, more)
			} else {
				batch = append(batch, more)
			}
			if len(batch) == batchMost {
				break
			}
			select {
			case more = <-w.s.queue:
			default:
				more = nil
			}
			if more == nil {
				break
			}
		}
		if len(batch) > 0 {
			w.batch(batch)
		}
	}
	w.lastChores()
	for _, st := range w.stmts {
		st.Close()
	}
}

// batch writes all requests in one transaction; when that fails, each in its own, so that one bad write fails alone.
func (w *writer) batch(batch []*request) {
	if err := w.transaction(batch); err != nil {
		if len(batch) == 1 {
			batch[0].err = err
		} else {
			for i := range batch {
				batch[i].err = w.transaction(batch[i : i+1])
			}
		}
	}
	for _, r := range batch {
		close(r.done)
	}
}

func (w *writer) transaction(batch []*request) (err error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), writeBound, errors.New("the database did not answer in time"))
	defer cancel()
	durable := false
	for _, r := range batch {
		durable = durable || r.w.Durable
	}
	if durable != w.durable {
		mode := "normal"
		if durable {
			mode = "full"
		}
		if _, err := w.conn.ExecContext(ctx, "PRAGMA synchronous = "+mode); err != nil {
			return w.wrap(err)
		}
		w.durable = durable
	}
	if err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return w.wrap(err)
	}
	for _, r := range batch {
		if err = w.apply(ctx, r.w); err != nil {
			break
		}
	}
	if err == nil {
		w.s.visible.Lock()
		defer w.s.visible.Unlock()
		err = w.exec(ctx, "COMMIT")
	}
	if err != nil {
		w.rollback()
		return w.wrap(err)
	}
	if w.s.o.Published != nil {
		for _, r := range batch {
			if len(r.w.Events) > 0 {
				w.s.o.Published(r.w.Events)
			}
		}
	}
	return nil
}

func (w *writer) wrap(err error) error {
	if Damaged(err) {
		return &api.Error{Code: api.CodeDatabaseCorrupt, Message: "The database is damaged.",
			Hint: "Restart Catamaran: it sets the damaged database aside and starts a new one.", Details: err.Error()}
	}
	return fmt.Errorf("store: write: %w", err)
}

func (w *writer) rollback() {
	if _, err := w.conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
		w.s.o.Log.Warn("database rollback", "error", err)
	}
	clear(w.streams)
}

func (w *writer) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	st := w.stmts[query]
	if st == nil {
		var err error
		if st, err = w.conn.PrepareContext(ctx, query); err != nil {
			return nil, err
		}
		w.stmts[query] = st
	}
	return st, nil
}

func (w *writer) exec(ctx context.Context, query string, args ...any) error {
	st, err := w.prepared(ctx, query)
	if err == nil {
		_, err = st.ExecContext(ctx, args...)
	}
	return err
}

func (w *writer) apply(ctx context.Context, wr *Write) error {
	for i := range wr.Events {
		if err := w.event(ctx, &wr.Events[i]); err != nil {
			return fmt.Errorf("event %s: %w", wr.Events[i].Type, err)
		}
	}
	if r := wr.Resume; r != nil {
		if err := w.exec(ctx, "UPDATE threads SET resume = ?, resume_agent = ? WHERE id = ?", r.Cursor, r.AgentID, r.ThreadID); err != nil {
			return err
		}
	}
	if r := wr.Refs; r != nil {
		if err := w.exec(ctx, `UPDATE turns SET before_ref = CASE WHEN ?1 = '' THEN before_ref ELSE ?1 END,
			after_ref = CASE WHEN ?2 = '' THEN after_ref ELSE ?2 END WHERE id = ?3`, r.Before, r.After, r.TurnID); err != nil {
			return err
		}
	}
	for i := range wr.Live {
		data, err := json.Marshal(&wr.Live[i])
		if err != nil {
			return err
		}
		if err := w.exec(ctx, "INSERT INTO live(item, thread, data) VALUES (?, ?, ?) ON CONFLICT(item) DO UPDATE SET data = excluded.data",
			wr.Live[i].ID, wr.Live[i].ThreadID, data); err != nil {
			return err
		}
	}
	return w.receipt(ctx, wr.Receipt)
}

func (w *writer) receipt(ctx context.Context, r *Receipt) error {
	if r == nil {
		return nil
	}
	var failure []byte
	if r.Error != nil {
		var err error
		if failure, err = json.Marshal(r.Error); err != nil {
			return err
		}
	}
	w.receipts++
	return w.exec(ctx, "INSERT INTO receipts(id, at, method, ref, answer, error) VALUES (?, ?, ?, ?, ?, ?)",
		r.ID, w.s.o.Now().UnixMilli(), r.Method, r.Ref, []byte(r.Answer), failure)
}

func (w *writer) stream(ctx context.Context, name string) (*stream, error) {
	if st := w.streams[name]; st != nil {
		return st, nil
	}
	st := &stream{}
	err := w.conn.QueryRowContext(ctx, "SELECT id, head, floor FROM streams WHERE name = ?", name).Scan(&st.id, &st.head, &st.floor)
	if errors.Is(err, sql.ErrNoRows) {
		err = w.conn.QueryRowContext(ctx, "INSERT INTO streams(name, head, floor) VALUES (?, 0, 0) RETURNING id", name).Scan(&st.id)
	}
	if err != nil {
		return nil, err
	}
	const mostCached = 1024
	if len(w.streams) >= mostCached {
		clear(w.streams)
	}
	w.streams[name] = st
	return st, nil
}

func (w *writer) event(ctx context.Context, e *Event) error {
	ref, data, err := subject(&e.Event)
	if err != nil {
		return err
	}
	st, err := w.stream(ctx, e.Stream)
	if err != nil {
		return err
	}
	st.head++
	e.Seq = st.head
	if err := w.exec(ctx, "INSERT INTO events(stream, seq, at, trace, type, ref, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
		st.id, e.Seq, e.At, e.TraceID, string(e.Type), ref, data); err != nil {
		return err
	}
	keep := int64(keepThreadEvents)
	if e.Stream == Shell {
		keep = keepShellEvents
	}
	if st.head-st.floor >= keep+pruneStep {
		st.floor = st.head - keep
		if err := w.exec(ctx, "DELETE FROM events WHERE stream = ? AND seq <= ?", st.id, st.floor); err != nil {
			return err
		}
	}
	if err := w.exec(ctx, "UPDATE streams SET head = ?, floor = ? WHERE id = ?", st.head, st.floor, st.id); err != nil {
		return err
	}
	return w.project(ctx, e, data)
}
