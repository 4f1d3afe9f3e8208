package review

import (
	"context"
	"sync"

	"catamaran/internal/api"
	"catamaran/internal/topic"
)

// looker keeps its topic up to date until the context of run ends.
type looker interface {
	run(ctx context.Context)
	shown() *topic.Topic
}

// watched is what is looked at in places while somebody subscribes: one looker for
// a place, which runs from its first subscriber to its last.
type watched[L looker] struct {
	begin func(p api.GitPlace) L

	mu      sync.Mutex
	places  map[api.GitPlace]*sight[L]
	closed  bool
	running sync.WaitGroup
}

type sight[L looker] struct {
	look   L
	users  int
	cancel context.CancelFunc
}

func (w *watched[L]) subscribe(p api.GitPlace) (Stream, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, &api.Error{Code: api.CodeUnavailable, Message: "The backend is ending.", Retryable: true}
	}
	s := w.places[p]
	if s == nil {
		ctx, cancel := context.WithCancel(context.Background())
		s = &sight[L]{look: w.begin(p), cancel: cancel}
		if w.places == nil {
			w.places = map[api.GitPlace]*sight[L]{}
		}
		w.places[p] = s
		w.running.Go(func() { s.look.run(ctx) })
	}
	s.users++
	return s.look.shown().Subscribe(0, func() { w.leave(p, s) }), nil
}

func (w *watched[L]) leave(p api.GitPlace, s *sight[L]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.users--; s.users == 0 {
		s.cancel()
		delete(w.places, p)
	}
}

// each calls fn with every place that is looked at, of those that match.
func (w *watched[L]) each(match func(p api.GitPlace) bool, fn func(L)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p, s := range w.places {
		if match(p) {
			fn(s.look)
		}
	}
}

// end ends every looker, and lets none begin; running tells when they have ended.
func (w *watched[L]) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, s := range w.places {
		s.cancel()
	}
}
