package term

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"catamaran/internal/api"
)

const (
	// firstSave and nextSave are how long output is on its way to the disk: at the beginning, and while more comes.
	firstSave = 500 * time.Millisecond
	nextSave  = 3 * time.Second
)

// load reads what an earlier backend left, once, when somebody asks for terminals.
func (m *Manager) load(ctx context.Context) error {
	m.loading.Lock()
	defer m.loading.Unlock()
	m.mu.Lock()
	loaded, ended := m.loaded, m.ended
	m.mu.Unlock()
	if ended {
		return &api.Error{Code: api.CodeUnavailable, Message: "The backend is ending.", Retryable: true}
	}
	if loaded {
		return nil
	}
	found, err := filepath.Glob(filepath.Join(m.o.Dir, "*.json"))
	if err != nil {
		return err
	}
	terminals := map[string]*terminal{}
	for _, path := range found {
		id := strings.TrimSuffix(filepath.Base(path), ".json")
		t := &terminal{m: m, file: file{dir: m.o.Dir, id: id}, viewers: map[*Viewer]struct{}{}}
		rec, err := loadRecord(path)
		if err != nil || rec.Terminal.ID != id {
			m.o.Log.Warn("a terminal's record cannot be read; it is dropped", "path", path, "err", fmt.Sprint(err))
			t.file.remove()
			continue
		}
		if _, err := m.o.Folder(ctx, rec.Terminal.ProjectID, rec.Terminal.ThreadID); err != nil {
			if e := api.AsError(err); e == nil || e.Code != api.CodeNotFound {
				if ctx.Err() != nil {
					return ctx.Err()
				}
			} else {
				// Its project or thread was deleted while nobody could tell us.
				t.file.remove()
				continue
			}
		}
		t.info, t.command, t.file.start, t.head = rec.Terminal, rec.Command, rec.Start, rec.Last.scanner()
		t.head.title = t.info.Title
		if t.info.State == api.TerminalRunning {
			t.info.State, t.info.Busy, t.info.Foreground = api.TerminalLost, false, ""
		}
		terminals[id] = t
	}
	m.sweep(terminals)
	m.mu.Lock()
	m.terminals, m.loaded = terminals, true
	m.mu.Unlock()
	return nil
}

// sweep drops histories without a record.
func (m *Manager) sweep(known map[string]*terminal) {
	found, _ := filepath.Glob(filepath.Join(m.o.Dir, "*.history"))
	for _, path := range found {
		if known[strings.TrimSuffix(filepath.Base(path), ".history")] == nil {
			_ = os.Remove(path)
		}
	}
}

// later runs fn in a moment, unless the end comes first.
func (m *Manager) later(d time.Duration, fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return
	}
	m.late.Add(1)
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		defer m.late.Done()
		m.mu.Lock()
		delete(m.timers, timer)
		m.mu.Unlock()
		fn()
	})
	m.timers[timer] = struct{}{}
}

// saveSoonLocked has the terminal saved in a moment, once.
func (t *terminal) saveSoonLocked() {
	t.dirty = true
	if t.saving {
		return
	}
	t.saving = true
	t.saveIn(firstSave)
}

func (t *terminal) saveIn(d time.Duration) {
	t.m.later(d, func() {
		if err := t.save(); err != nil {
			t.m.o.Log.Warn("save a terminal", "terminal", t.file.id, "err", err.Error())
			t.mu.Lock()
			t.saving = false // the next output tries again
			t.mu.Unlock()
			return
		}
		t.mu.Lock()
		more := t.dirty && !t.gone
		t.saving = more
		t.restLocked()
		t.mu.Unlock()
		if more {
			t.saveIn(nextSave)
		}
	})
}
