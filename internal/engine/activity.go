package engine

import (
	"context"

	"catamaran/internal/api"
)

// Activity tells which threads have turns that have not ended: what a quit or an update would cut off.
func (e *Engine) Activity(ctx context.Context, _ api.Empty) (api.Activity, error) {
	a := api.Activity{Threads: []api.BusyThread{}}
	st, err := e.ready()
	if err != nil {
		return a, err
	}
	busy, err := st.Busy(ctx)
	if err != nil {
		return a, e.clientError("look for running turns", err)
	}
	for _, t := range busy {
		a.Threads = append(a.Threads, api.BusyThread{ID: t.ID, Title: t.Title})
	}
	return a, nil
}
