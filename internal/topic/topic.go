// Package topic is one value that changes, and the subscribers who see its
// newest state: a slow one skips states, and never holds anybody up. It keeps no
// history and stores nothing. Packages job and review use it for what is not in
// the event log.
package topic

import (
	"context"
	"io"
	"sync"
	"time"

	"catamaran/internal/api"
)

// Topic holds the newest state. The zero value has none yet.
type Topic struct {
	mu      sync.Mutex
	frame   api.ServerFrame
	version int
	changed chan struct{}
}

// Set makes f the newest state; its type is left to Next.
func (t *Topic) Set(f api.ServerFrame) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.frame = f
	t.version++
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// look returns the state, its version, and a channel that is closed at the next change.
func (t *Topic) look() (api.ServerFrame, int, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.frame, t.version, t.changed
}

// Subscription is one subscriber. One goroutine at a time may call Next.
type Subscription struct {
	t     *Topic
	seen  int
	phase int // 0: nothing sent, 1: snapshot sent, 2: synchronized
	every time.Duration
	last  time.Time
	once  sync.Once
	gone  chan struct{}
	leave func()
}

// Subscribe attaches: a snapshot as soon as there is a state, "synchronized", then
// an event for every newer state, no more often than every. leave is called once
// at Close; it may be nil.
func (t *Topic) Subscribe(every time.Duration, leave func()) *Subscription {
	return &Subscription{t: t, every: every, gone: make(chan struct{}), leave: leave}
}

// Next waits for the next frame; io.EOF after Close.
func (s *Subscription) Next(ctx context.Context) (api.ServerFrame, error) {
	for {
		if s.phase == 1 {
			s.phase = 2
			return api.ServerFrame{Type: api.FrameSynchronized}, nil
		}
		frame, version, changed := s.t.look()
		if version > s.seen {
			if wait := s.every - time.Since(s.last); s.phase == 2 && wait > 0 {
				if err := s.rest(ctx, wait); err != nil {
					return api.ServerFrame{}, err
				}
				frame, version, _ = s.t.look()
			}
			s.seen, s.last = version, time.Now()
			frame.Type = api.FrameEvent
			if s.phase == 0 {
				s.phase, frame.Type = 1, api.FrameSnapshot
			}
			return frame, nil
		}
		select {
		case <-changed:
		case <-s.gone:
			return api.ServerFrame{}, io.EOF
		case <-ctx.Done():
			return api.ServerFrame{}, ctx.Err()
		}
	}
}

func (s *Subscription) rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.gone:
		return io.EOF
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close detaches; it is idempotent.
func (s *Subscription) Close() {
	s.once.Do(func() {
		close(s.gone)
		if s.leave != nil {
			s.leave()
		}
	})
}
