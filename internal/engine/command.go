package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"catamaran/internal/api"
	"catamaran/internal/store"
)

// commandIDMost bounds a command id, in bytes.
const commandIDMost = 200

// command is one call that changes something, with the receipt it leaves.
type command struct {
	e          *Engine
	st         *store.Store
	id, method string
	// trace ties its events together: the command id, so that a client can find them.
	trace  string
	stored bool
}

// receipt makes the receipt to store together with the command's events; nil without a command id.
func (c *command) receipt(ref string, answer any) (*store.Receipt, error) {
	if c.id == "" || c.stored {
		return nil, nil
	}
	b, err := json.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return &store.Receipt{ID: c.id, Method: c.method, Ref: ref, Answer: b}, nil
}

// commit stores events and the receipt with the answer together.
func (c *command) commit(ctx context.Context, ref string, events []store.Event, answer any) error {
	r, err := c.receipt(ref, answer)
	if err != nil {
		return err
	}
	if len(events) == 0 && r == nil {
		return nil
	}
	if err := c.st.Commit(ctx, &store.Write{Events: events, Receipt: r, Durable: true}); err != nil {
		return err
	}
	c.stored = true
	return nil
}

// run carries a command out once: a repeated id waits for the first and gets its answer.
func run[T any](e *Engine, ctx context.Context, id, method string, fn func(*command) (T, error)) (T, error) {
	answer, err := runOnce(e, ctx, id, method, fn)
	return answer, e.clientError("carry out "+method, err)
}

func runOnce[T any](e *Engine, ctx context.Context, id, method string, fn func(*command) (T, error)) (T, error) {
	var none T
	st, err := e.ready()
	if err != nil {
		return none, err
	}
	c := &command{e: e, st: st, id: id, method: method, trace: id}
	if id == "" {
		c.trace = newID("trace")
		return fn(c)
	}
	if len(id) > commandIDMost {
		return none, &api.Error{Code: api.CodeInvalid, Message: "The command id is too long."}
	}
	release, err := e.claim(ctx, "command "+id)
	if err != nil {
		return none, err
	}
	defer release()
	r, err := st.Receipt(ctx, id)
	if err == nil {
		return replayed[T](r, method)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return none, err
	}
	answer, err := fn(c)
	switch {
	case err == nil && !c.stored:
		err = c.commit(context.WithoutCancel(ctx), "", nil, answer)
	case err != nil && lasting(err):
		failed := &store.Receipt{ID: id, Method: method, Error: api.AsError(err)}
		if serr := st.Commit(context.WithoutCancel(ctx), &store.Write{Receipt: failed}); serr != nil {
			e.log.Warn("store the receipt of a refused command", "method", method, "error", serr)
		}
	}
	return answer, err
}

func replayed[T any](r store.Receipt, method string) (T, error) {
	var answer T
	if r.Method != method {
		return answer, &api.Error{Code: api.CodeInvalid, Message: "This command id was used for another command.", Hint: "Use a new id for every command."}
	}
	if r.Error != nil {
		return answer, r.Error
	}
	if err := json.Unmarshal(r.Answer, &answer); err != nil {
		return answer, fmt.Errorf("decode a receipt: %w", err)
	}
	return answer, nil
}

// lasting reports whether the same command would be refused again: only such refusals are kept.
func lasting(err error) bool {
	a := api.AsError(err)
	if a == nil || a.Retryable {
		return false
	}
	switch a.Code {
	case api.CodeInvalid, api.CodeNotFound, api.CodeConflict, api.CodeTooLarge, api.CodePathUntranslatable, api.CodeForbidden:
		return true
	}
	return false
}

// claim makes something this caller's until release; another caller with the same name waits.
func (e *Engine) claim(ctx context.Context, name string) (release func(), err error) {
	for {
		e.mu.Lock()
		busy := e.inflight[name]
		if busy == nil {
			mine := make(chan struct{})
			e.inflight[name] = mine
			e.mu.Unlock()
			return func() {
				e.mu.Lock()
				delete(e.inflight, name)
				e.mu.Unlock()
				close(mine)
			}, nil
		}
		e.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
