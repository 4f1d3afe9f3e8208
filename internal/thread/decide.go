package thread

import (
	"strings"

	"catamaran/internal/api"
)

// Command is one of the types below.
type Command interface {
	decide(d *draft) *api.Error
}

// Prompt sends a message: it runs, or queues behind the running turn.
type Prompt struct {
	TurnID, ItemID, Text string
	Attachments          []api.Attachment
}

// Unqueue takes a queued turn back.
type Unqueue struct{ TurnID string }

// Edit changes the text of a queued turn's prompt.
type Edit struct{ TurnID, Text string }

// Stop ends the running turn and everything queued behind it; nothing that the
// person wanted stopped may run. Prompts sent after it queue as usual.
type Stop struct{}

// Ask is an approval or a question of the agent. Item carries ID, Raw, and Approval or Question; the rest is filled in.
type Ask struct{ Item api.Item }

// Reply answers an approval; Cancel cancels the turn.
type Reply struct {
	ItemID, OptionID string
	Cancel           bool
}

// Withdraw is an approval or a question the agent no longer waits for.
type Withdraw struct{ ItemID string }

// End is the end of the active turn. A queued turn begins after a completed turn
// or a stop; after a failure the queue is interrupted, for it was written in the
// expectation that the failed turn works.
type End struct {
	TurnID  string
	State   api.TurnState
	Reason  *api.Error
	Usage   *api.Usage
	Changes *api.ChangeSummary
}

// Halt ends everything at once: at shutdown, and at start for what a killed
// backend left. Queued turns are interrupted too: nothing runs unasked.
type Halt struct {
	// Running and Queued are the reasons' messages; Live are items whose streaming
	// ended with the process.
	Running, Queued string
	Live            []api.Item
}

// Rename sets the title.
type Rename struct{ Title string }

// Archive puts the thread away or takes it back.
type Archive struct{ Archived bool }

// Pin puts the thread on top of lists, or takes it down.
type Pin struct{ Pinned bool }

// Seen says that a person has seen the thread as it is.
type Seen struct{}

// Update changes what agents are told from the next turn on; absent fields stay. Another
// agent begins with its own model, effort and no plan, for theirs are of the one before.
type Update struct {
	AgentID       string
	Permission    api.PermissionMode
	Model, Effort *string
	Plan          *bool
}

// SettingUp names the job that sets up the thread's own working tree.
type SettingUp struct{ JobID string }

// Moved says what is checked out in the thread's own working tree.
type Moved struct{ Branch, DetachedAt string }

// Remove deletes the thread.
type Remove struct{}

// Decide says what a command does at the time at (Unix ms).
func Decide(s State, at int64, trace string, c Command) (Decision, *api.Error) {
	if s.Removed {
		return Decision{}, &api.Error{Code: api.CodeNotFound, Message: "This thread was deleted."}
	}
	d := &draft{State: s, head: s.Thread, at: at, trace: trace}
	if err := c.decide(d); err != nil {
		return Decision{}, err
	}
	d.head.Asking = asking(d.State)
	if d.head != s.Thread && !d.Removed {
		head := d.head
		// The head goes last: who sees it has seen what it tells about.
		d.emit(api.Event{Type: api.EventThreadUpserted, Thread: &head})
	}
	return Decision{Events: d.events, Actions: d.actions}, nil
}

// asking is what the oldest of the pending items wants of a person.
func asking(s State) string {
	if s.Active == nil || s.Active.State != api.TurnWaiting || len(s.Pending) == 0 {
		return ""
	}
	switch p := s.Pending[0]; {
	case p.Question != nil:
		return "question"
	case p.Approval != nil && p.Approval.Kind == "plan":
		return "plan"
	}
	return "approval"
}

// draft folds events as they are decided, so that each step sees the one before it.
type draft struct {
	State
	head    api.Thread
	at      int64
	trace   string
	events  []api.Event
	actions []Action
}

func (d *draft) emit(e api.Event) {
	e.At, e.TraceID = d.at, d.trace
	d.events = append(d.events, e)
	d.State = fold(d.State, &e)
}

func (d *draft) turn(t api.Turn) { d.emit(api.Event{Type: api.EventTurnUpserted, Turn: &t}) }

func (d *draft) item(it api.Item) {
	it.UpdatedAt = d.at
	d.emit(api.Event{Type: api.EventItemUpserted, Item: &it})
}

func (d *draft) do(a Action) { d.actions = append(d.actions, a) }

func (d *draft) state(s api.TurnState) {
	if d.head.State != s {
		d.head.State, d.head.UpdatedAt = s, d.at
	}
}

// sendable refuses texts that can't be a prompt.
func sendable(text string, attachments []api.Attachment) *api.Error {
	switch {
	case strings.TrimSpace(text) == "" && len(attachments) == 0:
		return &api.Error{Code: api.CodeInvalid, Message: "The message is empty.", Hint: "Write something to send."}
	case len(text) > TextMost:
		return &api.Error{Code: api.CodeTooLarge, Message: "The message is longer than 1 MiB.", Hint: "Put the text into a file of the project and mention it."}
	}
	return nil
}

func (c Prompt) decide(d *draft) *api.Error {
	if err := sendable(c.Text, c.Attachments); err != nil {
		return err
	}
	switch {
	case d.head.ArchivedAt != 0:
		return &api.Error{Code: api.CodeConflict, Message: "This thread is archived.", Hint: "Take it out of the archive first."}
	case len(d.Queue) >= QueueMost:
		return &api.Error{Code: api.CodeConflict, Message: "Too many messages wait in this thread.", Hint: "Wait for the running turn, or take queued messages back."}
	}
	if d.head.Title == "" {
		d.head.Title = Title(c.Text)
		if d.head.Title == "" && len(c.Attachments) > 0 {
			d.head.Title = Title(c.Attachments[0].Name)
		}
	}
	d.head.UpdatedAt, d.head.Unread = d.at, false
	t := api.Turn{ID: c.TurnID, ThreadID: d.head.ID, Ordinal: d.LastTurn + 1, State: api.TurnQueued, QueuedAt: d.at}
	it := api.Item{ID: c.ItemID, ThreadID: d.head.ID, TurnID: c.TurnID, Ordinal: d.LastItem + 1,
		Kind: api.ItemUserMessage, CreatedAt: d.at, Text: c.Text, Attachments: c.Attachments}
	if d.Active == nil && len(d.Queue) == 0 {
		d.begin(t, it, false)
		return nil
	}
	d.turn(t)
	d.item(it)
	return nil
}

// begin runs a turn. A queued one's prompt moves behind what came meanwhile.
func (d *draft) begin(t api.Turn, prompt api.Item, queued bool) {
	t.State, t.StartedAt = api.TurnRunning, d.at
	d.turn(t)
	if !queued || prompt.Ordinal != d.LastItem {
		if queued {
			prompt.Ordinal = d.LastItem + 1
		}
		d.item(prompt)
	}
	d.state(api.TurnRunning)
	d.do(Action{Kind: Begin, Turn: t, Text: prompt.Text, Attachments: prompt.Attachments})
}

func (d *draft) waiting(turnID string) (Queued, *api.Error) {
	for _, q := range d.Queue {
		if q.Turn.ID == turnID {
			return q, nil
		}
	}
	return Queued{}, &api.Error{Code: api.CodeConflict, Message: "This message no longer waits.", Hint: "Stop the turn instead, if it runs."}
}

func (c Unqueue) decide(d *draft) *api.Error {
	q, err := d.waiting(c.TurnID)
	if err != nil {
		return err
	}
	if q.Prompt.ID != "" {
		d.emit(api.Event{Type: api.EventItemRemoved, RemovedID: q.Prompt.ID})
	}
	d.emit(api.Event{Type: api.EventTurnRemoved, RemovedID: c.TurnID})
	return nil
}

func (c Edit) decide(d *draft) *api.Error {
	q, err := d.waiting(c.TurnID)
	if err != nil {
		return err
	}
	if err := sendable(c.Text, q.Prompt.Attachments); err != nil {
		return err
	}
	if q.Prompt.Text != c.Text {
		q.Prompt.Text = c.Text
		d.item(q.Prompt)
	}
	return nil
}

func (Stop) decide(d *draft) *api.Error {
	d.dropQueue("It waited in the queue when the thread was stopped.")
	if d.Active != nil && !d.head.Stopping {
		d.stop()
	}
	return nil
}

func (d *draft) stop() {
	d.settle(api.ApprovalCancelled, true)
	d.head.Stopping, d.head.UpdatedAt = true, d.at
	if d.Active.State == api.TurnWaiting {
		t := *d.Active
		t.State = api.TurnRunning
		d.turn(t)
	}
	d.state(api.TurnRunning)
	d.do(Action{Kind: Interrupt, Turn: *d.Active})
}

// settle ends every pending approval and question.
func (d *draft) settle(state api.ApprovalState, tell bool) {
	for _, p := range d.Pending {
		d.answered(p, state, "")
		if tell {
			d.do(Action{Kind: Answer, ItemID: p.ID})
		}
	}
}

func (d *draft) answered(p api.Item, state api.ApprovalState, option string) {
	if p.Question != nil {
		q := *p.Question
		q.State = state
		p.Question = &q
		d.item(p)
		return
	}
	a := *p.Approval
	a.State, a.ChosenID = state, option
	p.Approval = &a
	d.item(p)
}

func (d *draft) dropQueue(message string) {
	for _, q := range d.Queue {
		t := q.Turn
		t.State, t.EndedAt = api.TurnInterrupted, d.at
		t.Reason = &api.Error{Code: api.CodeCancelled, Message: message, Hint: "Send it again to run it."}
		d.turn(t)
	}
}

func (c Ask) decide(d *draft) *api.Error {
	if d.Active == nil {
		return &api.Error{Code: api.CodeConflict, Message: "No turn runs that could ask."}
	}
	it := c.Item
	it.ThreadID, it.TurnID, it.CreatedAt = d.head.ID, d.Active.ID, d.at
	it.Ordinal = d.LastItem + 1
	state := api.ApprovalPending
	if d.head.Stopping {
		state = api.ApprovalCancelled
	}
	if it.Question != nil {
		q := *it.Question
		it.Kind, q.State, it.Question = api.ItemQuestion, state, &q
	} else {
		a := *it.Approval
		it.Kind, a.State, it.Approval = api.ItemApproval, state, &a
	}
	d.item(it)
	if d.head.Stopping {
		d.do(Action{Kind: Answer, ItemID: it.ID})
		return nil
	}
	if d.Active.State != api.TurnWaiting {
		t := *d.Active
		t.State = api.TurnWaiting
		d.turn(t)
	}
	d.state(api.TurnWaiting)
	d.head.Unread = true
	return nil
}

func (d *draft) pending(itemID string) (api.Item, bool) {
	for _, p := range d.Pending {
		if p.ID == itemID {
			return p, true
		}
	}
	return api.Item{}, false
}

func (c Reply) decide(d *draft) *api.Error {
	p, ok := d.pending(c.ItemID)
	if !ok || p.Approval == nil {
		return closed
	}
	if c.Cancel {
		return Stop{}.decide(d)
	}
	for _, o := range p.Approval.Options {
		if o.ID != c.OptionID || o.ID == "" {
			continue
		}
		state := api.ApprovalApproved
		if strings.HasPrefix(o.Kind, "reject") {
			state = api.ApprovalDeclined
		}
		d.answered(p, state, o.ID)
		d.head.Unread = false
		d.do(Action{Kind: Answer, ItemID: p.ID, Option: o.ID})
		d.resumed()
		return nil
	}
	return &api.Error{Code: api.CodeInvalid, Message: "The agent does not offer this answer.", Hint: "Choose one of the answers shown, or cancel the turn."}
}

// resumed lets a turn run again once nothing is asked any more.
func (d *draft) resumed() {
	if len(d.Pending) > 0 || d.Active == nil || d.Active.State != api.TurnWaiting {
		return
	}
	t := *d.Active
	t.State = api.TurnRunning
	d.turn(t)
	d.state(api.TurnRunning)
}

func (c Withdraw) decide(d *draft) *api.Error {
	if p, ok := d.pending(c.ItemID); ok {
		d.answered(p, api.ApprovalCancelled, "")
		d.resumed()
	}
	return nil
}

func (c End) decide(d *draft) *api.Error {
	if d.Active == nil || d.Active.ID != c.TurnID {
		return &api.Error{Code: api.CodeConflict, Message: "This turn does not run."}
	}
	if !c.State.Final() {
		return &api.Error{Code: api.CodeInternal, Message: "A turn cannot end as " + string(c.State) + "."}
	}
	stopped := d.head.Stopping
	d.finish(c)
	if c.State == api.TurnCompleted || stopped {
		if len(d.Queue) > 0 {
			q := d.Queue[0]
			d.begin(q.Turn, q.Prompt, true)
		}
		return nil
	}
	d.dropQueue("The turn before it did not complete.")
	return nil
}

func (d *draft) finish(c End) {
	d.settle(api.ApprovalExpired, false)
	t := *d.Active
	t.State, t.Reason, t.EndedAt, t.Changes = c.State, c.Reason, d.at, c.Changes
	if c.Usage != nil {
		t.Usage = c.Usage
	}
	d.turn(t)
	// Who stops a turn knows that it ends.
	d.head.Unread = d.head.Unread || !d.head.Stopping
	d.head.Stopping, d.head.UpdatedAt = false, d.at
	d.state(c.State)
}

func (c Halt) decide(d *draft) *api.Error {
	for _, it := range c.Live {
		it.Live = false
		if it.Tool != nil && it.Tool.Status != api.ToolCompleted && it.Tool.Status != api.ToolFailed {
			tool := *it.Tool
			tool.Status = api.ToolCancelled
			it.Tool = &tool
		}
		d.item(it)
	}
	d.dropQueue(c.Queued)
	if d.Active != nil {
		d.finish(End{State: api.TurnInterrupted, Reason: &api.Error{Code: api.CodeCancelled, Message: c.Running, Hint: "Send a message to go on."}})
	}
	return nil
}
