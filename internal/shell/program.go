package shell

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/atomicfile"
	"catamaran/internal/proc"
)

const (
	// maxReport bounds a line of the window program, in bytes.
	maxReport = 64 << 10
	// orderBound bounds the wait until the window program has taken an order.
	orderBound = 2 * time.Second
	placeFile  = "window.json"
)

// ErrNoWindow: there is no window program that could show a dialog.
var ErrNoWindow = errors.New("no native window is open")

// program is the running window program; api.WindowOrder and api.WindowReport are its protocol.
type program struct {
	*proc.Process
	state string
	log   *slog.Logger

	orders sync.Mutex // one order at a time

	mu    sync.Mutex
	next  int64
	picks map[int64]chan api.WindowReport
}

// startProgram starts the window program. Its address goes to its stdin, where
// no other user of the machine can read it, and its end follows that of stdin.
func startProgram(path, url, state, data, theme string, log *slog.Logger) (*program, error) {
	// The web view leaves helpers behind when it crashes; the guard ends them.
	process, err := proc.Start(proc.Spec{Name: "window", Path: path, Guard: true})
	if err != nil {
		return nil, err
	}
	p := &program{Process: process, state: state, log: log, picks: map[int64]chan api.WindowReport{}}
	if err := p.order(api.WindowOrder{Op: api.WindowStart, URL: url, Place: loadPlace(state), Data: data, Theme: theme}); err != nil {
		p.Kill()
		return nil, fmt.Errorf("give the window its address: %w", err)
	}
	return p, nil
}

// order writes one line. A program that does not read gets no second chance.
func (p *program) order(o api.WindowOrder) error {
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	p.orders.Lock()
	defer p.orders.Unlock()
	late := time.AfterFunc(orderBound, func() { p.Kill() })
	defer late.Stop()
	_, err = p.Stdin().Write(append(b, '\n'))
	return err
}

// read takes reports until the program's output ends.
func (p *program) read() {
	r := bufio.NewReaderSize(p.Stdout(), maxReport)
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			continue // no report of ours is that long
		}
		if err != nil {
			break
		}
		var report api.WindowReport
		if json.Unmarshal(line, &report) != nil {
			continue // a library's own words
		}
		p.take(report)
	}
	_, _ = io.Copy(io.Discard, p.Stdout())
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, ch := range p.picks {
		close(ch)
		delete(p.picks, id)
	}
}

func (p *program) take(r api.WindowReport) {
	switch r.Op {
	case api.WindowMoved:
		if r.Place != nil {
			if err := savePlace(p.state, *r.Place); err != nil {
				p.log.Warn("keep the window's place", "error", err)
			}
		}
	case api.WindowPicked:
		p.mu.Lock()
		ch := p.picks[r.ID]
		delete(p.picks, r.ID)
		p.mu.Unlock()
		if ch != nil {
			ch <- r
		}
	}
}

// pick shows one of the system's dialogs and waits for the person; o says which.
func (p *program) pick(ctx context.Context, o api.WindowOrder) (string, error) {
	ch := make(chan api.WindowReport, 1)
	p.mu.Lock()
	p.next++
	o.ID = p.next
	p.picks[o.ID] = ch
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.picks, o.ID)
		p.mu.Unlock()
	}()
	if err := p.order(o); err != nil {
		return "", fmt.Errorf("ask the window for a dialog: %w", err)
	}
	select {
	case r, ok := <-ch:
		switch {
		case !ok:
			return "", fmt.Errorf("the window ended while its dialog was open")
		case r.Error != "":
			return "", fmt.Errorf("the window's dialog: %s", r.Error)
		}
		return r.Path, nil
	case <-p.Done():
		return "", fmt.Errorf("the window ended while its dialog was open")
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// PickFolder shows the native folder dialog of the window that is open and
// returns the chosen path, "" when the person cancelled. dir is the start
// folder; the system's choice where it is "" or gone. ErrNoWindow where the page
// is shown by a browser.
func (w *Windows) PickFolder(ctx context.Context, title, dir string) (string, error) {
	return w.ask(ctx, api.WindowOrder{Op: api.WindowPick, Title: title, Dir: dir})
}

// SaveFile shows the native dialog to save a file, with a name to begin with, and
// returns the chosen path, "" when the person cancelled. It writes nothing. The
// dialog begins where this user's downloads are. Errors as PickFolder's.
func (w *Windows) SaveFile(ctx context.Context, title, name string) (string, error) {
	return w.ask(ctx, api.WindowOrder{Op: api.WindowSave, Title: title, Name: name, Dir: downloads()})
}

func (w *Windows) ask(ctx context.Context, o api.WindowOrder) (string, error) {
	w.mu.Lock()
	p := w.window
	w.mu.Unlock()
	if p == nil {
		return "", ErrNoWindow
	}
	return p.pick(ctx, o)
}

// Native reports whether a native window is open, which has dialogs.
func (w *Windows) Native() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.window != nil
}

// loadPlace is nil where nothing sensible is kept.
func loadPlace(state string) *api.WindowPlace {
	b, err := atomicfile.ReadFile(filepath.Join(state, placeFile))
	if err != nil {
		return nil
	}
	var p api.WindowPlace
	const most = 100_000
	if json.Unmarshal(b, &p) != nil || p.Width <= 0 || p.Height <= 0 || p.Width > most || p.Height > most || max(p.X, -p.X, p.Y, -p.Y) > most {
		return nil
	}
	return &p
}

func savePlace(state string, p api.WindowPlace) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	path := filepath.Join(state, placeFile)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return atomicfile.Rename(path+".new", path)
}
