package engine

import (
	"context"
	"errors"
	"fmt"

	"catamaran/internal/api"
	"catamaran/internal/store"
)

// revertMost bounds the files that an item of a revert names.
const revertMost = 200

// TellRevert puts a revert into a thread's timeline, or changes the item of that
// id; Total is counted here. It is stored for good when TellRevert returns. Errors are *api.Error.
func (e *Engine) TellRevert(ctx context.Context, threadID, itemID string, r api.Revert) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitBound)
	defer cancel()
	r.Total = len(r.Files)
	err := e.onThread(ctx, threadID, func(a *actor) error {
		it, err := a.st.Item(ctx, itemID)
		switch {
		case errors.Is(err, store.ErrNotFound):
			it = a.newItem(api.ItemRevert)
			it.ID, it.TurnID = itemID, r.TurnID
			if n := a.newest(ctx); n != "" {
				it.TurnID = n
			}
		case err != nil:
			return err
		case it.ThreadID != threadID:
			return &api.Error{Code: api.CodeInvalid, Message: "The revert belongs to another thread."}
		}
		return a.tellRevert(it, r)
	})
	return e.clientError("tell the revert in the timeline", err)
}

// TellUndoing notes in its item, for good when it returns, that the undo of a revert
// begins to write files; undone is the id that is taken back.
func (e *Engine) TellUndoing(ctx context.Context, threadID, itemID, undone string) error {
	return e.retell(ctx, threadID, itemID, undone, func(r *api.Revert) { r.Unfinished = true })
}

// TellUndone notes in its item that a revert was undone, or that its undo was.
// undone is the id that was taken back. An item that does not have it stays as it is.
func (e *Engine) TellUndone(ctx context.Context, threadID, itemID, undone string, done api.Reverted) error {
	return e.retell(ctx, threadID, itemID, undone, func(r *api.Revert) {
		if r.State == api.RevertDone {
			r.State = api.RevertUndone
		} else {
			r.State = api.RevertDone
		}
		r.RevertID, r.Left, r.Unfinished = done.RevertID, done.Left, false
		if done.RevertID != "" {
			r.Files, r.Total = done.Files, len(done.Files)
		}
	})
}

// retell changes the item of a revert that has the id undone.
func (e *Engine) retell(ctx context.Context, threadID, itemID, undone string, change func(*api.Revert)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitBound)
	defer cancel()
	err := e.onThread(ctx, threadID, func(a *actor) error {
		it, err := a.st.Item(ctx, itemID)
		if errors.Is(err, store.ErrNotFound) {
			return nil // a revert of a version that told none
		}
		if err != nil {
			return err
		}
		if it.ThreadID != threadID || it.Revert == nil || it.Revert.RevertID != undone {
			return nil
		}
		r := *it.Revert
		change(&r)
		return a.tellRevert(it, r)
	})
	return e.clientError("tell the undo in the timeline", err)
}

func (a *actor) tellRevert(it api.Item, r api.Revert) error {
	if a.state.Removed {
		return &api.Error{Code: api.CodeNotFound, Message: "This thread does not exist (any more)."}
	}
	r.Files, r.Left = r.Files[:min(len(r.Files), revertMost)], r.Left[:min(len(r.Left), revertMost)]
	it.Revert, it.UpdatedAt = &r, a.e.now()
	it.Text = revertText(r)
	return a.commit(&store.Write{Events: stored(a.id, []api.Event{{Type: api.EventItemUpserted, At: a.e.now(), TraceID: a.trace(), Item: &it}}), Durable: true})
}

func revertText(r api.Revert) string {
	files := "1 file"
	if r.Total != 1 {
		files = fmt.Sprintf("%d files", r.Total)
	}
	text := fmt.Sprintf("Reverted %s of turn %d", files, r.Turn)
	if r.Later {
		text += " and the turns after it"
	}
	if r.State == api.RevertUndone {
		text += "; undone"
	}
	if r.Unfinished {
		text += "; not finished"
	}
	return text + "."
}

// newest is the newest turn that is not queued.
func (a *actor) newest(ctx context.Context) string {
	marks, err := a.st.Marks(ctx, a.id)
	if err != nil {
		a.e.log.Warn("look for the newest turn", "thread", a.id, "error", err)
		return ""
	}
	for i := len(marks) - 1; i >= 0; i-- {
		if marks[i].Turn.State != api.TurnQueued {
			return marks[i].Turn.ID
		}
	}
	return ""
}
