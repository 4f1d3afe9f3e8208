package term

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"catamaran/internal/api"
)

const (
	// readSize is how much output is taken from a program at a time.
	readSize = 64 << 10
	// ahead is how far the program may be ahead of what a viewer that holds it has acknowledged.
	ahead = 2 * api.TerminalWindow
	// lookDelay is how long after something happened the foreground is looked at for the first
	// time. A shell on a busy machine may take longer from the echo of a line to the program it
	// starts, which may print nothing: two more looks follow, each after four times as long.
	lookDelay = 120 * time.Millisecond
	lookTimes = 3
)

// start is what a shell is started with.
type start struct {
	shell string
	args  []string
	dir   string
	env   []string
	cols  int
	rows  int
}

// terminal is one terminal. What it is made of changes under mu only.
type terminal struct {
	m *Manager

	mu      sync.Mutex
	info    api.Terminal
	command string // the id of the command that opened it
	head    scanner
	history *history   // nil while it lies on disk only
	saveMu  sync.Mutex // held while saving; taken before mu
	file    file       // under saveMu once the terminal is shared
	run     *run       // nil when nothing runs
	gone    bool       // closed for good
	viewers map[*Viewer]struct{}
	focuses int64
	look    struct {
		due   bool
		done  int // how many followed what happened last
		round int // of the one that is due
	}
	saving bool // a save is due or under way
	dirty  bool // there is something to save
	pinned int  // saves under way, which read the history
}

// run is one shell's life in a terminal.
type run struct {
	console *console
	ending  context.Context // ends the reader's wait for viewers
	end     context.CancelFunc
	room    chan struct{} // a viewer came forward
	input   chan struct{} // there is input
	queue   []typed       // under the terminal's lock
	writing bool          // the writer has something in hand
	done    chan struct{} // the shell is gone and the terminal knows
}

type typed struct {
	from *Viewer
	data []byte
}

// begin starts the goroutines of a shell. The caller holds mu.
func (t *terminal) beginLocked(c *console) {
	r := &run{console: c, room: make(chan struct{}, 1), input: make(chan struct{}, 1), done: make(chan struct{})}
	r.ending, r.end = context.WithCancel(context.Background())
	t.run = r
	t.info.State, t.info.ExitCode, t.info.Signal, t.info.EndedAt = api.TerminalRunning, nil, "", 0
	t.m.life.Go(func() {
		read := make(chan struct{})
		go func() {
			defer close(read)
			t.read(r)
		}()
		go t.write(r)
		<-c.process.Done()
		// Viewers may hold the last of the output back, then something outside the tree the terminal.
		awaited(read, lastOutput)
		r.end()
		awaited(read, lastOutput)
		c.close()
		<-read
		t.ended(r)
	})
}

func awaited(done <-chan struct{}, d time.Duration) {
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
}

// read takes the program's output until there is none any more.
func (t *terminal) read(r *run) {
	buf := make([]byte, readSize)
	flow := &flow{}
	defer t.m.floods.end(flow)
	for {
		t.awaitRoom(r)
		n, err := r.console.read(buf)
		if n > 0 {
			t.output(buf[:n])
		}
		if err != nil {
			return
		}
		if rest := t.m.floods.after(flow, n, time.Now()); rest > 0 {
			time.Sleep(rest)
		}
	}
}

// awaitRoom waits while a viewer that makes progress is too far behind.
func (t *terminal) awaitRoom(r *run) {
	var began time.Time
	for {
		t.mu.Lock()
		wait := time.Duration(0)
		now := time.Now()
		if began.IsZero() {
			began = now
		}
		for v := range t.viewers {
			if !v.holds || t.history.end-v.acked < ahead {
				continue
			}
			since := v.progress
			if since.Before(began) {
				since = began
			}
			left := t.m.stall - now.Sub(since)
			if left <= 0 {
				v.holds = false
				continue
			}
			if wait == 0 || left < wait {
				wait = left
			}
		}
		t.mu.Unlock()
		if wait == 0 {
			return
		}
		late := time.NewTimer(wait)
		select {
		case <-r.room:
		case <-late.C:
		case <-r.ending.Done():
			late.Stop()
			return
		}
		late.Stop()
	}
}

// output keeps what the program printed and wakes the viewers.
func (t *terminal) output(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outputLocked(b)
}

func (t *terminal) outputLocked(b []byte) {
	t.history.append(b)
	if t.head.feed(b) {
		t.info.Title = t.head.title
		t.changedLocked()
	}
	for v := range t.viewers {
		v.signal()
	}
	t.touchedLocked()
	t.saveSoonLocked()
}

// touchedLocked has the foreground looked at in a moment, and again after that.
func (t *terminal) touchedLocked() {
	if t.look.due && t.look.done == 0 {
		return
	}
	t.look.done = 0
	t.lookSoonLocked()
}

func (t *terminal) lookSoonLocked() {
	if t.run == nil {
		t.look.due = false
		return
	}
	t.look.due = true
	t.look.round++
	round := t.look.round
	t.m.later(lookDelay<<(2*t.look.done), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.look.round != round {
			return // something happened meanwhile
		}
		t.look.due = false
		t.lookLocked()
		if t.look.done++; t.look.done < lookTimes {
			t.lookSoonLocked()
		}
	})
}

// lookLocked asks the system what has the terminal.
func (t *terminal) lookLocked() {
	if t.run == nil {
		return
	}
	name, busy := t.run.console.foreground()
	if busy != t.info.Busy || name != t.info.Foreground {
		t.info.Busy, t.info.Foreground = busy, name
		t.changedLocked()
	}
}

// changedLocked tells everybody that info changed.
func (t *terminal) changedLocked() {
	for v := range t.viewers {
		v.changed = true
		v.signal()
	}
	t.m.changed()
}

// write hands the program its input.
func (t *terminal) write(r *run) {
	for {
		t.mu.Lock()
		queue := r.queue
		r.queue = nil
		r.writing = len(queue) > 0
		t.mu.Unlock()
		for i, in := range queue {
			err := r.console.write(in.data)
			queue[i].data = nil
			t.mu.Lock()
			in.from.tookLocked(len(in.data))
			t.mu.Unlock()
			if err != nil {
				break // the end is noticed elsewhere
			}
		}
		if len(queue) > 0 {
			continue
		}
		select {
		case <-r.input:
		case <-r.ending.Done():
			return
		}
	}
}

// inputLocked takes input of a viewer: at once where the program's side has room for it.
func (t *terminal) inputLocked(v *Viewer, b []byte) {
	r := t.run
	if r == nil {
		v.tookLocked(len(b)) // nobody is there to read it
		return
	}
	if len(r.queue) == 0 && !r.writing {
		n := r.console.tryWrite(b)
		v.tookLocked(n)
		b = b[n:]
	}
	if len(b) > 0 {
		r.queue = append(r.queue, typed{v, append([]byte(nil), b...)})
		select {
		case r.input <- struct{}{}:
		default:
		}
	}
	t.touchedLocked()
}

// resizeLocked gives the terminal the size of the viewer that owns it.
func (t *terminal) resizeLocked() {
	v := t.ownerLocked()
	if v == nil || v.cols == 0 || v.cols == t.info.Cols && v.rows == t.info.Rows {
		return
	}
	t.info.Cols, t.info.Rows = v.cols, v.rows
	if t.run != nil {
		if err := t.run.console.resize(v.cols, v.rows); err != nil {
			t.m.o.Log.Debug("resize a terminal", "terminal", t.info.ID, "err", err.Error())
		}
	}
	t.saveSoonLocked()
	t.changedLocked()
}

// ownerLocked is the viewer the person was in last, else one that has a size.
func (t *terminal) ownerLocked() *Viewer {
	var owner *Viewer
	for v := range t.viewers {
		if v.cols != 0 && (owner == nil || v.focus > owner.focus || v.focus == owner.focus && v.number < owner.number) {
			owner = v
		}
	}
	return owner
}

// ended is told when the shell and everything below it is gone.
func (t *terminal) ended(r *run) {
	t.mu.Lock()
	p := r.console.process
	t.run = nil
	t.info.State, t.info.EndedAt = api.TerminalExited, t.m.o.Now().UnixMilli()
	t.info.Signal = p.Signal()
	t.info.ExitCode = nil
	if code := p.ExitCode(); t.info.Signal == "" {
		t.info.ExitCode = &code
	}
	t.info.Busy, t.info.Foreground = false, ""
	for _, in := range r.queue {
		in.from.tookLocked(len(in.data))
	}
	r.queue = nil
	t.changedLocked()
	t.mu.Unlock()
	close(r.done)
	if err := t.save(); err != nil {
		t.m.o.Log.Warn("save a terminal", "terminal", t.info.ID, "err", err.Error())
	}
	t.mu.Lock()
	t.restLocked()
	t.mu.Unlock()
}

// restLocked frees the history of a terminal in which nothing runs and that nobody looks at.
func (t *terminal) restLocked() {
	if t.run == nil && len(t.viewers) == 0 && !t.dirty && !t.gone && t.pinned == 0 {
		t.letGoLocked()
	}
}

// letGoLocked frees the history.
func (t *terminal) letGoLocked() {
	if t.history != nil {
		t.history.release()
		t.history = nil
	}
}

// wakeLocked reads the history back.
func (t *terminal) wakeLocked() error {
	if t.history != nil {
		return nil
	}
	h, err := t.file.load(t.m.bound, t.m.grew)
	if err != nil {
		return fmt.Errorf("read the history of a terminal: %w", err)
	}
	t.history = h
	return nil
}

// restart starts another shell below what is there.
func (t *terminal) restart(s start) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.gone:
		return errGone
	case t.run != nil:
		return nil
	}
	if err := t.wakeLocked(); err != nil {
		return err
	}
	s.cols, s.rows = t.info.Cols, t.info.Rows
	c, err := openConsole(s)
	if err != nil {
		return err
	}
	t.info.Shell, t.info.Cwd, t.info.Title = shellName(s.shell), s.dir, ""
	// What the last program left on must not stay on, and its screen is no history of the new one.
	again := t.head.leave() + "\r\n"
	t.head.title = ""
	t.beginLocked(c)
	t.outputLocked([]byte(again))
	t.changedLocked()
	return nil
}

// stop ends the shell and waits until the terminal knows.
func (t *terminal) stop(ctx context.Context) error {
	t.mu.Lock()
	r := t.run
	t.mu.Unlock()
	if r == nil {
		return nil
	}
	if err := r.console.stop(ctx); err != nil {
		return err
	}
	r.end()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close ends the terminal for good: whoever looks at it is told.
func (t *terminal) close(ctx context.Context) error {
	t.mu.Lock()
	t.gone = true
	t.mu.Unlock()
	err := t.stop(ctx)
	t.mu.Lock()
	for v := range t.viewers {
		v.endLocked(io.EOF)
	}
	if t.history != nil {
		t.history.release()
	}
	t.mu.Unlock()
	t.saveMu.Lock()
	defer t.saveMu.Unlock()
	t.file.remove()
	return err
}
