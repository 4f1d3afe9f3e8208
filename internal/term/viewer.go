package term

import (
	"context"
	"io"
	"time"

	"catamaran/internal/api"
)

const (
	// lineSearch is how far a snapshot's start is moved to the start of a line, in bytes.
	lineSearch = 16 << 10
	// enough is how much output is sent without waiting for more, flood where the waiting begins: in
	// between, more is on its way, and a moment makes one message of many.
	enough = 48 << 10
	flood  = 3 << 10
	// moment is that wait.
	moment = time.Millisecond
	// tell is how much input is taken before a viewer is told, a part of its window.
	tell = api.TerminalInput / 4
)

// Viewer is one attachment to a terminal. Next is for one goroutine; the other
// methods are safe for concurrent use.
type Viewer struct {
	t      *terminal
	number int64
	wake   chan struct{}
	timer  *time.Timer // of Next

	// Under the terminal's lock.
	next     int64 // number of the next byte to send
	acked    int64
	target   int64 // where the history ends that the attachment began with
	snapshot *Piece
	synced   bool
	changed  bool
	holds    bool // the program waits for it
	progress time.Time
	cols     int
	rows     int
	focus    int64
	typed    int64 // input received
	taken    int64 // input the program's side has
	told     int64 // taken, as the viewer knows it
	err      error // it has ended
}

// PieceKind tells what a Piece is.
type PieceKind int

const (
	// PieceSnapshot begins an attachment anew; PieceInfo is a change of the head.
	PieceSnapshot PieceKind = iota
	PieceInfo
	// PieceOutput is output: N bytes in Next's buffer, the first with number Seq.
	PieceOutput
	// PieceSynchronized: what was there at the attachment has been sent, up to Seq.
	PieceSynchronized
	// PieceTaken: the input before Seq was taken.
	PieceTaken
	// PieceResync ends the attachment: what comes next is not kept any more.
	PieceResync
)

// Piece is what comes next for a viewer.
type Piece struct {
	Kind PieceKind
	Seq  int64
	N    int
	View api.TerminalView
}

// attach adds a viewer that has everything before after (nil: nothing) and
// otherwise wants about the last tail bytes (nil: all).
func (t *terminal) attach(after, tail *int64) (*Viewer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone {
		return nil, errGone
	}
	if err := t.wakeLocked(); err != nil {
		return nil, err
	}
	h := t.history
	v := &Viewer{t: t, number: t.m.nextViewer(), wake: make(chan struct{}, 1), target: h.end, holds: true, progress: time.Now()}
	if after != nil && *after >= h.start && *after <= h.end {
		v.next, v.acked = *after, *after
		v.changed = true
	} else {
		from := h.start
		if tail != nil {
			from = max(from, h.end-max(0, *tail))
		}
		from, modes := h.modesAt(from, lineSearch)
		v.next, v.acked = from, from
		v.snapshot = &Piece{Kind: PieceSnapshot, Seq: from, View: api.TerminalView{Preamble: modes.enter(), Truncated: from > 0}}
		if from > 0 && t.head.alternate() && t.run != nil {
			// A screen that is drawn piecemeal is not all in its last pieces.
			t.run.console.redraw()
		}
	}
	if len(t.viewers) >= maxViewers {
		return nil, &api.Error{Code: api.CodeTooLarge, Message: "Too many windows show this terminal.", Hint: "Close one of them."}
	}
	t.viewers[v] = struct{}{}
	v.signal()
	return v, nil
}

func (v *Viewer) signal() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// Next waits for what comes next; buf takes output. io.EOF after Close and after
// a resync, ctx's error otherwise.
func (v *Viewer) Next(ctx context.Context, buf []byte) (Piece, error) {
	waited := false
	for {
		p, more, err := v.take(buf, waited)
		if err != nil || p.Kind >= 0 {
			return p, err
		}
		if !more {
			select {
			case <-v.wake:
			case <-ctx.Done():
				return Piece{}, ctx.Err()
			}
			continue
		}
		if v.timer == nil {
			v.timer = time.NewTimer(moment)
		} else {
			v.timer.Reset(moment)
		}
		waited = true
		for waiting := true; waiting; {
			select {
			case <-v.wake:
				if v.plenty() {
					v.timer.Stop()
					waiting = false
				}
			case <-v.timer.C:
				waiting = false
			case <-ctx.Done():
				return Piece{}, ctx.Err()
			}
		}
	}
}

// plenty reports whether waiting for more is over.
func (v *Viewer) plenty() bool {
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	return v.err != nil || v.changed || v.pendingLocked() >= enough || v.told != v.taken && v.taken-v.told >= tell
}

func (v *Viewer) pendingLocked() int64 {
	return min(v.t.history.end, v.acked+api.TerminalWindow) - v.next
}

// nothing is no piece.
const nothing PieceKind = -1

// take returns what is to be sent now; more says that there is some output, and more on its way.
func (v *Viewer) take(buf []byte, waited bool) (Piece, bool, error) {
	t := v.t
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case v.err != nil:
		return Piece{}, false, v.err
	case v.snapshot != nil:
		p := *v.snapshot
		v.snapshot, v.changed = nil, false
		v.fillLocked(&p.View)
		return p, false, nil
	case v.changed:
		v.changed = false
		p := Piece{Kind: PieceInfo, Seq: v.next}
		v.fillLocked(&p.View)
		return p, false, nil
	case v.taken-v.told >= tell:
		v.told = v.taken
		return Piece{Kind: PieceTaken, Seq: v.taken}, false, nil
	case v.next < t.history.start:
		v.endLocked(io.EOF)
		return Piece{Kind: PieceResync}, false, nil
	case !v.synced && v.next >= v.target:
		v.synced = true
		return Piece{Kind: PieceSynchronized, Seq: v.next}, false, nil
	}
	pending := v.pendingLocked()
	if pending <= 0 {
		return Piece{Kind: nothing}, false, nil
	}
	if !waited && v.synced && t.run != nil && pending >= flood && pending < enough {
		return Piece{Kind: nothing}, true, nil
	}
	if !v.synced {
		pending = min(pending, v.target-v.next)
	}
	n := t.history.copy(buf[:min(int64(len(buf)), pending)], v.next)
	p := Piece{Kind: PieceOutput, Seq: v.next, N: n}
	v.next += int64(n)
	return p, false, nil
}

func (v *Viewer) fillLocked(view *api.TerminalView) {
	view.Terminal = v.t.info
	view.Owner = v.t.ownerLocked() == v
}

// Ack tells that everything before seq was taken in.
func (v *Viewer) Ack(seq int64) error {
	t := v.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if seq < v.acked || seq > v.next {
		return &api.Error{Code: api.CodeInvalid, Message: "Output was acknowledged that was not sent."}
	}
	if seq == v.acked {
		return nil
	}
	v.acked, v.progress = seq, time.Now()
	if t.history != nil && t.history.end-seq < ahead {
		v.holds = true
	}
	if t.run != nil {
		select {
		case t.run.room <- struct{}{}:
		default:
		}
	}
	v.signal()
	return nil
}

// Type takes input for the program; seq is how much of it came before.
func (v *Viewer) Type(seq int64, b []byte) error {
	t := v.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if v.err != nil {
		return nil
	}
	if seq != v.typed {
		return &api.Error{Code: api.CodeInvalid, Message: "A part of the input is missing."}
	}
	if v.typed+int64(len(b))-v.taken > api.TerminalInput {
		return &api.Error{Code: api.CodeTooLarge, Message: "More input was sent than the terminal takes at once."}
	}
	v.typed += int64(len(b))
	t.inputLocked(v, b)
	return nil
}

func (v *Viewer) tookLocked(n int) {
	v.taken += int64(n)
	if v.taken-v.told >= tell {
		v.signal()
	}
}

// Resize tells the viewer's size in cells, and whether the person is in it: the
// terminal has the size of the viewer where they were last.
func (v *Viewer) Resize(cols, rows int, focused bool) error {
	if err := checkSize(cols, rows); err != nil {
		return err
	}
	t := v.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if v.err != nil {
		return nil
	}
	before := t.ownerLocked()
	v.cols, v.rows = cols, rows
	if focused {
		t.focuses++
		v.focus = t.focuses
	}
	if owner := t.ownerLocked(); owner != before {
		v.tellOwnerLocked(before, owner)
	}
	t.resizeLocked()
	return nil
}

func (v *Viewer) tellOwnerLocked(viewers ...*Viewer) {
	for _, o := range viewers {
		if o != nil {
			o.changed = true
			o.signal()
		}
	}
}

// Close detaches; it is idempotent.
func (v *Viewer) Close() {
	t := v.t
	t.mu.Lock()
	defer t.mu.Unlock()
	v.endLocked(io.EOF)
}

// endLocked takes the viewer off the terminal.
func (v *Viewer) endLocked(err error) {
	if v.err != nil {
		return
	}
	v.err = err
	t := v.t
	owner := t.ownerLocked()
	delete(t.viewers, v)
	v.signal()
	if t.run != nil {
		select {
		case t.run.room <- struct{}{}:
		default:
		}
	}
	if owner == v && !t.gone {
		v.tellOwnerLocked(t.ownerLocked())
		t.resizeLocked()
	}
	t.restLocked()
}
