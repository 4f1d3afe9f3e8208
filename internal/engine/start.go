package engine

import (
	"context"
	"errors"

	"catamaran/internal/api"
	"catamaran/internal/store"
	"catamaran/internal/thread"
)

// attachmentsMost bounds the files of one message.
const attachmentsMost = 20

// StartTurn sends a prompt: it runs, is handed to the running turn where that is asked for
// and the agent takes it, or queues behind the running turn. The answer is the turn it became part of.
func (e *Engine) StartTurn(ctx context.Context, commandID string, r api.TurnStart) (api.Turn, error) {
	return run(e, ctx, commandID, api.MethodTurnStart, func(c *command) (api.Turn, error) {
		if len(r.AttachmentIDs) > attachmentsMost {
			return api.Turn{}, &api.Error{Code: api.CodeTooLarge, Message: "A message takes at most 20 files.", Hint: "Send the others in another message."}
		}
		attachments, release, err := e.files.Claim(r.ThreadID, r.AttachmentIDs)
		if err != nil {
			return api.Turn{}, err
		}
		var result api.Turn
		err = e.onThread(ctx, r.ThreadID, func(a *actor) error {
			if e.frozen(a.state.Thread.ProjectID) {
				return &api.Error{Code: api.CodeConflict, Message: "The project is being removed.", Retryable: true}
			}
			id := newID("u")
			var tc thread.Command = thread.Prompt{TurnID: id, ItemID: newID("i"), Text: r.Text, Attachments: attachments}
			if r.Steer && a.steers() {
				id = a.run.turn.ID
				tc = thread.Steering{ItemID: newID("i"), Text: r.Text, Attachments: attachments}
			}
			return a.decide(tc, c.trace, func(s thread.State) (*store.Receipt, error) {
				var err error
				if result, err = turnOf(s, id); err != nil {
					return nil, err
				}
				rec, err := c.receipt(r.ThreadID, result)
				c.stored = c.stored || rec != nil
				return rec, err
			})
		})
		if err != nil {
			release()
		}
		return result, err
	})
}

func turnOf(s thread.State, id string) (api.Turn, error) {
	if s.Active != nil && s.Active.ID == id {
		return *s.Active, nil
	}
	for _, q := range s.Queue {
		if q.Turn.ID == id {
			return q.Turn, nil
		}
	}
	return api.Turn{}, errors.New("the turn is neither running nor queued")
}
