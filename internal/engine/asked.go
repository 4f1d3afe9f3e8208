package engine

import (
	"context"

	"catamaran/internal/agent"
	"catamaran/internal/api"
	"catamaran/internal/store"
	"catamaran/internal/thread"
)

// answer tells the agent the outcome of an approval or a question; "" is cancelled.
func (a *actor) answer(itemID, option string) {
	a.tell(itemID, func(s *session, id string) error { return s.Answer(id, option) })
}

// respond tells the agent the answers to a question; nil declines to answer it.
func (a *actor) respond(itemID string, answers []api.QuestionAnswerPart) {
	a.tell(itemID, func(s *session, id string) error { return s.Reply(id, answers) })
}

func (a *actor) tell(itemID string, fn func(s *session, id string) error) {
	id, ok := a.tl.approvals[itemID]
	s := a.session
	if !ok || s == nil {
		return
	}
	delete(a.tl.approvals, itemID)
	a.e.chore(func() {
		if err := fn(s, id); err != nil && !ended(s) {
			a.post(func() { a.notice("error", "The agent did not take the answer: "+err.Error()) })
		}
	})
}

// steers reports whether a message can be handed to the running turn.
func (a *actor) steers() bool {
	return a.run != nil && a.run.phase == prompting && !a.run.stop && a.session != nil && a.session.Info().Steer
}

// steer hands a message to the running turn; what it does not take is queued.
func (a *actor) steer(act thread.Action) {
	r, s := a.run, a.session
	if r == nil || s == nil {
		a.resend(act)
		return
	}
	input, err := a.input(act.Text, act.Attachments)
	if err != nil {
		a.resend(act)
		return
	}
	a.finishTexts()
	a.e.chore(func() {
		ctx, cancel := context.WithTimeout(r.ctx, a.e.t.call)
		defer cancel()
		if err := s.Steer(ctx, input); err != nil {
			a.e.log.Info("a message was not taken by the running turn", "thread", a.id, "error", err)
			a.post(func() { a.resend(act) })
		}
	})
}

func (a *actor) resend(act thread.Action) {
	a.must(thread.Resend{ItemID: act.ItemID, Prompt: thread.Prompt{TurnID: newID("u"), ItemID: newID("i"), Text: act.Text, Attachments: act.Attachments}}, newID("trace"))
}

// input makes what a driver takes of a prompt.
func (a *actor) input(text string, attachments []api.Attachment) (agent.Input, error) {
	in := agent.Input{Text: text}
	for _, at := range attachments {
		path, _, err := a.e.files.Path(a.id, at.ID)
		if err != nil {
			return in, err
		}
		in.Images = append(in.Images, agent.Image{Name: at.Name, Mime: at.Mime, Path: path})
	}
	return in, nil
}

// question shows a question of the agent.
func (a *actor) question(s *session, ev agent.Event) {
	if ev.Question == nil || !a.expects(s, ev) {
		return
	}
	q := *ev.Question
	if t := a.tl.tools[ev.ToolID]; t != nil && ev.ToolID != "" {
		q.ToolItemID = t.item.ID
	}
	it := api.Item{ID: newID("i"), Question: &q}
	a.tl.approvals[it.ID] = ev.ID
	a.flushNow()
	a.must(thread.Ask{Item: it}, a.trace())
}

// expects reports whether what the agent asks can be shown; outside of a turn it is
// answered as cancelled, and what was asked already is not shown again.
func (a *actor) expects(s *session, ev agent.Event) bool {
	if a.run == nil {
		a.e.chore(func() {
			if err := s.Answer(ev.ID, ""); err != nil && !ended(s) {
				a.e.log.Warn("refuse an approval outside a turn", "thread", a.id, "error", err)
			}
		})
		return false
	}
	for _, id := range a.tl.approvals {
		if id == ev.ID {
			return false
		}
	}
	a.finishTexts()
	return true
}

// AnswerQuestion answers a question part by part, or declines to answer it.
func (e *Engine) AnswerQuestion(ctx context.Context, commandID string, r api.QuestionAnswer) (api.Item, error) {
	return e.answered(ctx, commandID, api.MethodQuestionAnswer, r.ThreadID, r.ItemID, thread.Resolve{ItemID: r.ItemID, Answers: r.Answers, Cancel: r.Cancel})
}

// AnswerApproval answers an agent's request with one of its options, or cancels the turn.
func (e *Engine) AnswerApproval(ctx context.Context, commandID string, r api.ApprovalAnswer) (api.Item, error) {
	return e.answered(ctx, commandID, api.MethodApprovalAnswer, r.ThreadID, r.ItemID, thread.Reply{ItemID: r.ItemID, OptionID: r.OptionID, Cancel: r.Cancel})
}

// answered carries an answer out and returns the item as it is then.
func (e *Engine) answered(ctx context.Context, commandID, method, threadID, itemID string, tc thread.Command) (api.Item, error) {
	return run(e, ctx, commandID, method, func(c *command) (api.Item, error) {
		var result api.Item
		err := e.onThread(ctx, threadID, func(a *actor) error {
			for _, p := range a.state.Pending {
				if p.ID == itemID {
					result = p
				}
			}
			return a.decideEvents(tc, c.trace, func(events []api.Event) (*store.Receipt, error) {
				for _, ev := range events {
					if ev.Item != nil && ev.Item.ID == itemID {
						result = *ev.Item
					}
				}
				rec, err := c.receipt(threadID, result)
				c.stored = rec != nil
				return rec, err
			})
		})
		return result, err
	})
}
