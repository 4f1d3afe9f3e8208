package engine

import (
	"context"
	"errors"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/store"
	"catamaran/internal/thread"
)

const (
	outputDefault = 256 << 10
	outputMost    = 1 << 20
)

// History returns a part of a thread's timeline.
func (e *Engine) History(ctx context.Context, r api.ThreadHistory) (api.ThreadPart, error) {
	st, err := e.ready()
	if err != nil {
		return api.ThreadPart{}, err
	}
	said := 0
	for _, is := range []bool{r.Before > 0, r.After > 0, r.Around != ""} {
		if is {
			said++
		}
	}
	if said != 1 || r.Before < 0 || r.After < 0 || r.Limit < 0 {
		return api.ThreadPart{}, &api.Error{Code: api.CodeInvalid, Message: "A part of a timeline is before an ordinal, after one, or around an item: give exactly one."}
	}
	if r.Limit == 0 {
		r.Limit = store.PartItems
	}
	r.Limit = min(r.Limit, store.PartMost)
	p, err := st.History(ctx, r)
	if err != nil {
		return p, e.clientError("read the thread", err)
	}
	for i, it := range p.Items {
		if it.Live {
			if now, ok := e.hub.liveItem(store.ThreadStream(r.ThreadID), it.ID); ok {
				p.Items[i] = now
			}
		}
	}
	return p, nil
}

// ItemOutput returns a part of a tool call's output, also of what its item leaves out.
func (e *Engine) ItemOutput(ctx context.Context, r api.ItemOutput) (api.ItemOutputPart, error) {
	p, err := e.itemOutput(ctx, r)
	return p, e.clientError("read the output", err)
}

func (e *Engine) itemOutput(ctx context.Context, r api.ItemOutput) (api.ItemOutputPart, error) {
	st, err := e.ready()
	if err != nil {
		return api.ItemOutputPart{}, err
	}
	if r.Offset < 0 || r.Limit < 0 {
		return api.ItemOutputPart{}, &api.Error{Code: api.CodeInvalid, Message: "A part of an output begins at or after its first byte."}
	}
	if r.Limit == 0 {
		r.Limit = outputDefault
	}
	r.Limit = min(r.Limit, outputMost)
	it, err := st.Item(ctx, r.ItemID)
	if err != nil {
		return api.ItemOutputPart{}, err
	}
	if it.Tool == nil {
		return api.ItemOutputPart{}, &api.Error{Code: api.CodeInvalid, Message: "Only tool calls have output."}
	}
	if it.Live {
		if now, ok := e.hub.liveItem(store.ThreadStream(it.ThreadID), it.ID); ok {
			it = now
		}
	}
	if it.Tool.OutputBytes > int64(len(it.Tool.Output)) {
		p, err := st.ReadOutput(it.ThreadID, it.ID, r.Offset, r.Limit)
		if !errors.Is(err, store.ErrNotFound) {
			return p, err
		}
		// The file is gone; what the item has of it is still better than nothing.
	}
	return store.Cut(strings.NewReader(it.Tool.Output), int64(len(it.Tool.Output)), r.Offset, r.Limit)
}

// PinThread pins a thread or lets it go.
func (e *Engine) PinThread(ctx context.Context, commandID string, r api.ThreadPin) (api.Thread, error) {
	return onState(e, ctx, commandID, api.MethodThreadPin, r.ThreadID, thread.Pin{Pinned: r.Pinned}, head)
}

// SeenThread says that a person has seen a thread as it is.
func (e *Engine) SeenThread(ctx context.Context, commandID string, r api.ThreadRef) (api.Thread, error) {
	return onState(e, ctx, commandID, api.MethodThreadSeen, r.ThreadID, thread.Seen{}, head)
}

// turnThread finds the thread of a turn. A command that was carried out before
// has its answer again, for it may have removed the turn.
func turnThread[T any](e *Engine, ctx context.Context, commandID, method, turnID string) (threadID string, again *T, err error) {
	st, err := e.ready()
	if err != nil {
		return "", nil, err
	}
	if commandID != "" {
		if rec, err := st.Receipt(ctx, commandID); err == nil {
			answer, err := replayed[T](rec, method)
			return "", &answer, err
		}
	}
	t, _, err := st.Turn(ctx, turnID)
	return t.ThreadID, nil, e.clientError("find the turn", err)
}

func given[T any](v *T) (none T) {
	if v == nil {
		return none
	}
	return *v
}

// EditTurn changes the text of a queued turn.
func (e *Engine) EditTurn(ctx context.Context, commandID string, r api.TurnEdit) (api.Item, error) {
	threadID, again, err := turnThread[api.Item](e, ctx, commandID, api.MethodTurnEdit, r.TurnID)
	if err != nil || again != nil {
		return given(again), err
	}
	return onState(e, ctx, commandID, api.MethodTurnEdit, threadID, thread.Edit{TurnID: r.TurnID, Text: r.Text}, func(s thread.State) (api.Item, error) {
		for _, q := range s.Queue {
			if q.Turn.ID == r.TurnID {
				return q.Prompt, nil
			}
		}
		return api.Item{}, errors.New("the turn is not queued")
	})
}
