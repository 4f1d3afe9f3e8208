// Package thread decides what commands do to a thread: pure functions from a
// state and a command to events and actions, without I/O, clocks or random
// numbers. Package engine calls it, stores the events and carries the actions out.
//
// Invariants, each tested: at most one turn runs; final states never change;
// queued turns begin in the order they were sent; a stop is followed by exactly
// one end of the running turn, and nothing that was queued before it runs.
package thread

import (
	"slices"

	"catamaran/internal/api"
)

// QueueMost bounds the turns waiting behind the running one.
const QueueMost = 50

// TextMost bounds a prompt, in bytes.
const TextMost = 1 << 20

// titleRunes is how much of the first prompt becomes the title.
const titleRunes = 60

// State is what decisions need to know of a thread. Fold makes the next one; a State is never changed in place.
type State struct {
	Thread api.Thread
	// Active is the running or waiting turn.
	Active *api.Turn
	// Queue holds the turns waiting, in order, each with its prompt.
	Queue []Queued
	// Pending are the approvals and questions the active turn waits for.
	Pending []api.Item
	// LastTurn and LastItem are the greatest ordinals given.
	LastTurn, LastItem int64
	Removed            bool
}

// Queued is a turn that waits.
type Queued struct {
	Turn   api.Turn
	Prompt api.Item
}

// Action is something to do once the events are stored.
type Action struct {
	// Kind: begin, interrupt, answer, respond, steer, reopen.
	Kind        string
	Turn        api.Turn
	Text        string // begin, steer: the prompt
	Attachments []api.Attachment
	ItemID      string // answer, respond: the item; steer: the message's
	Option      string // answer: the option; "" cancelled
	Answers     []api.QuestionAnswerPart
}

// Action kinds.
const (
	Begin     = "begin"     // run Turn with Text
	Interrupt = "interrupt" // walk the stop ladder until the turn has ended
	Answer    = "answer"    // tell the agent
	Respond   = "respond"   // tell the agent the answers to a question; none: declined
	Steer     = "steer"     // hand Text to the running turn
	Reopen    = "reopen"    // end the agent's session; the next turn opens another
)

// Decision is what a command does: nothing, where both are empty.
type Decision struct {
	Events  []api.Event
	Actions []Action
}

// Load makes a state from stored work: turns not final by ordinal, their prompts and pending approvals.
func Load(t api.Thread, turns []api.Turn, items []api.Item, lastTurn, lastItem int64) State {
	s := State{Thread: t, LastTurn: lastTurn, LastItem: lastItem}
	for i := range turns {
		s = Fold(s, []api.Event{{Type: api.EventTurnUpserted, Turn: &turns[i]}})
	}
	for i := range items {
		s = Fold(s, []api.Event{{Type: api.EventItemUpserted, Item: &items[i]}})
	}
	return s
}

// Fold applies events to a state.
func Fold(s State, events []api.Event) State {
	for i := range events {
		s = fold(s, &events[i])
	}
	return s
}

func fold(s State, e *api.Event) State {
	switch e.Type {
	case api.EventThreadUpserted:
		s.Thread = *e.Thread
	case api.EventThreadRemoved:
		s.Removed = true
	case api.EventTurnUpserted:
		return foldTurn(s, *e.Turn)
	case api.EventTurnRemoved:
		s.Queue = without(s.Queue, e.RemovedID)
	case api.EventItemUpserted:
		return foldItem(s, *e.Item)
	}
	return s
}

func foldTurn(s State, t api.Turn) State {
	s.LastTurn = max(s.LastTurn, t.Ordinal)
	at := slices.IndexFunc(s.Queue, func(q Queued) bool { return q.Turn.ID == t.ID })
	if t.State == api.TurnQueued {
		q := Queued{Turn: t}
		if at >= 0 {
			q.Prompt = s.Queue[at].Prompt
			s.Queue = slices.Clone(s.Queue)
			s.Queue[at] = q
		} else {
			s.Queue = append(slices.Clip(s.Queue), q)
		}
		return s
	}
	if at >= 0 {
		s.Queue = without(s.Queue, t.ID)
	}
	if !t.State.Final() {
		s.Active = &t
	} else if s.Active != nil && s.Active.ID == t.ID {
		s.Active, s.Pending = nil, nil
	}
	return s
}

func foldItem(s State, it api.Item) State {
	s.LastItem = max(s.LastItem, it.Ordinal)
	switch it.Kind {
	case api.ItemUserMessage:
		for i := range s.Queue {
			if s.Queue[i].Turn.ID == it.TurnID {
				s.Queue = slices.Clone(s.Queue)
				s.Queue[i].Prompt = it
			}
		}
	case api.ItemApproval, api.ItemQuestion:
		pending := slices.DeleteFunc(slices.Clone(s.Pending), func(p api.Item) bool { return p.ID == it.ID })
		if it.Approval != nil && it.Approval.State == api.ApprovalPending || it.Question != nil && it.Question.State == api.ApprovalPending {
			pending = append(pending, it)
		}
		s.Pending = pending
	}
	return s
}

func without(queue []Queued, turnID string) []Queued {
	return slices.DeleteFunc(slices.Clone(queue), func(q Queued) bool { return q.Turn.ID == turnID })
}
