package engine

import (
	"context"
	"strings"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/api"
	"catamaran/internal/store"
	"catamaran/internal/thread"
)

const (
	// textMost bounds one item's text; what comes after it goes into another item.
	textMost = 1 << 20
	planMost = 1000
)

// timeline turns the agent's events into items of one turn.
type timeline struct {
	turnID    string
	texts     map[string]*text  // messages and reasoning being streamed, by kind and agent id
	tools     map[string]*tool  // by the agent's id
	notices   map[string]string // item ids by the agent's id
	approvals map[string]string // the agent's ids by item id
	plan      *api.Item
}

type text struct {
	item    api.Item
	all     strings.Builder
	shown   int // bytes that subscribers have; 0 with item not shown yet
	unsaved bool
}

type tool struct {
	item    api.Item
	out     *store.Output
	shown   int
	changed bool // more than the output changed since it was shown
	grown   bool
	unsaved bool
	done    bool // stored in a final state; item holds only its place
	edited  bool // the files it is about to edit have been looked at
}

func (tl *timeline) reset(turnID string) {
	for _, t := range tl.tools {
		if t.out != nil {
			t.out.Close()
		}
	}
	*tl = timeline{turnID: turnID, texts: map[string]*text{}, tools: map[string]*tool{},
		notices: map[string]string{}, approvals: map[string]string{}}
}

func (t *text) current() api.Item {
	it := t.item
	it.Text = t.all.String() // shares memory; a Builder only ever appends
	return it
}

func (t *tool) current() api.Item {
	it := t.item
	c := *it.Tool
	c.Output, c.OutputBytes = t.out.Text(), t.out.Bytes()
	it.Tool = &c
	return it
}

// liveItems returns what is being streamed, as it is now.
func (tl *timeline) liveItems() []api.Item {
	var all []api.Item
	for _, t := range tl.texts {
		all = append(all, t.current())
	}
	for _, t := range tl.tools {
		if !t.done {
			all = append(all, t.current())
		}
	}
	return all
}

// event takes one event of the agent.
func (a *actor) event(s *session, ev agent.Event) {
	own := s == a.session || s == a.closing || a.session == nil && a.run != nil && s.opener == a.run
	if !own || a.state.Removed || a.tl.turnID == "" {
		return
	}
	switch ev.Kind {
	case agent.KindMessage:
		a.text(api.ItemAgentMessage, ev)
	case agent.KindReasoning:
		a.text(api.ItemReasoning, ev)
	case agent.KindTool:
		a.tool(ev)
	case agent.KindPlan:
		a.plan(ev)
	case agent.KindApproval:
		a.ask(s, ev)
	case agent.KindQuestion:
		a.question(s, ev)
	case agent.KindMode:
		a.planning(ev.Planning)
	case agent.KindApprovalResolved:
		for itemID, id := range a.tl.approvals {
			if id == ev.ID {
				delete(a.tl.approvals, itemID)
				a.must(thread.Withdraw{ItemID: itemID}, a.trace())
			}
		}
	case agent.KindUsage:
		if a.run != nil && ev.Usage != nil {
			u := *ev.Usage
			a.run.usage = &u
		}
	case agent.KindNotice:
		a.agentNotice(ev)
	default:
		a.finishTexts()
		it := a.newItem(api.ItemUnknown)
		it.Text, it.Raw = clean(ev.Append), boundRaw(ev.Raw)
		a.keep(it)
	}
}

func (a *actor) trace() string {
	if a.run != nil {
		return a.run.trace
	}
	return ""
}

// newItem takes the next place in the timeline.
func (a *actor) newItem(kind api.ItemKind) api.Item {
	a.state.LastItem++
	now := a.e.now()
	return api.Item{ID: newID("i"), ThreadID: a.id, TurnID: a.tl.turnID, Ordinal: a.state.LastItem, Kind: kind, CreatedAt: now, UpdatedAt: now}
}

// keep stores items as they are.
func (a *actor) keep(items ...api.Item) {
	events := make([]api.Event, len(items))
	for i := range items {
		items[i].UpdatedAt = a.e.now()
		events[i] = api.Event{Type: api.EventItemUpserted, At: a.e.now(), TraceID: a.trace(), Item: &items[i]}
	}
	a.store(stored(a.id, events), false)
}

func (a *actor) notice(level, message string) {
	if a.state.Removed {
		return
	}
	it := a.newItem(api.ItemNotice)
	it.Level, it.Text = level, message
	a.keep(it)
}

func (a *actor) warn(message string) { a.notice("warning", message) }

func (a *actor) agentNotice(ev agent.Event) {
	level := ev.Level
	if level == "" {
		level = "info"
	}
	if id, ok := a.tl.notices[ev.ID]; ok && ev.ID != "" {
		if it, err := a.st.Item(context.Background(), id); err == nil && len(it.Text)+len(ev.Append) <= textMost {
			it.Text += clean(ev.Append)
			it.Level = level
			a.keep(it)
			return
		}
	}
	a.finishTexts()
	it := a.newItem(api.ItemNotice)
	it.Level, it.Text = level, cut(clean(ev.Append), textMost)
	if len(ev.Raw) > 0 {
		it.Raw = boundRaw(ev.Raw)
	}
	a.tl.notices[ev.ID] = it.ID
	a.keep(it)
}

// text appends to a message or to reasoning, which is complete once anything else begins.
func (a *actor) text(kind api.ItemKind, ev agent.Event) {
	add := clean(ev.Append)
	key := string(kind) + "\x00" + ev.ID
	for len(add) > 0 {
		t := a.tl.texts[key]
		room := textMost
		if t != nil {
			room -= t.all.Len()
		}
		piece := cut(add, room)
		if t == nil || piece == "" {
			a.finishTexts()
			t = &text{item: a.newItem(kind)}
			t.item.Live = true
			a.tl.texts[key] = t
			piece = cut(add, textMost)
		}
		t.all.WriteString(piece)
		add = add[len(piece):]
		t.item.UpdatedAt = a.e.now()
		t.unsaved = true
		a.dirty()
	}
}

// finishTexts stores the text that was being streamed.
func (a *actor) finishTexts() {
	var items []api.Item
	for key, t := range a.tl.texts {
		it := t.current()
		it.Live = false
		items = append(items, it)
		delete(a.tl.texts, key)
	}
	if len(items) > 0 {
		a.keep(items...)
	}
}

func (a *actor) tool(ev agent.Event) {
	t := a.tl.tools[ev.ID]
	fresh := t == nil
	if fresh {
		a.finishTexts()
		t = &tool{item: a.newItem(api.ItemToolCall)}
		t.item.Tool = &api.ToolCall{Kind: "other", Status: api.ToolPending}
		t.item.Live = true
		t.out = a.st.NewOutput(a.id, t.item.ID)
		a.tl.tools[ev.ID] = t
	} else if t.done && !a.reopen(t) {
		return
	}
	before := t.item.Tool.Status
	if ev.Tool != nil {
		t.changed = true
		merge(t.item.Tool, ev.Tool)
		if ev.Tool.Output != nil {
			a.spilled(t.out.Replace(clean(*ev.Tool.Output)))
		}
	}
	if ev.Append != "" {
		t.grown = true
		a.spilled(t.out.Append(clean(ev.Append)))
	}
	t.item.UpdatedAt = a.e.now()
	t.edited = a.edits.tool(t.item.Tool, t.edited)
	switch {
	case finalTool(t.item.Tool.Status):
		a.finishTool(t)
	case fresh:
		a.keep(t.current())
		t.changed, t.grown, t.shown = false, false, len(t.out.Text())
	default:
		t.changed = t.changed || before != t.item.Tool.Status
		t.unsaved = true
		a.dirty()
	}
}

// reopen loads a tool call that was complete and is told about again.
func (a *actor) reopen(t *tool) bool {
	it, err := a.st.Item(context.Background(), t.item.ID)
	if err != nil || it.Tool == nil {
		return false
	}
	bytes := it.Tool.OutputBytes
	t.item, t.out = it, a.st.NewOutput(a.id, it.ID)
	if bytes > int64(len(it.Tool.Output)) {
		// The whole is in the spill file already; it must not be written over.
		t.out = a.st.ContinueOutput(a.id, it.ID, it.Tool.Output, bytes)
	} else {
		a.spilled(t.out.Append(it.Tool.Output))
	}
	t.item.Live, t.done = true, false
	return true
}

func (a *actor) spilled(err error) {
	if err != nil {
		a.e.log.Warn("spill a tool's output", "thread", a.id, "error", err)
	}
}

func (a *actor) finishTool(t *tool) {
	it := t.current()
	it.Live = false
	t.out.Close()
	t.out, t.done, t.changed, t.grown, t.unsaved = nil, true, false, false, false
	t.item.Tool = &api.ToolCall{Status: it.Tool.Status}
	a.keep(it)
}

func finalTool(s api.ToolStatus) bool {
	return s == api.ToolCompleted || s == api.ToolFailed || s == api.ToolCancelled
}

func merge(c *api.ToolCall, u *agent.ToolUpdate) {
	set := func(to *string, from string) {
		if from != "" {
			*to = cut(clean(from), rawMost)
		}
	}
	next := *c
	set(&next.Kind, u.Kind)
	set(&next.Title, u.Title)
	set(&next.Command, u.Command)
	if u.Status != "" {
		next.Status = u.Status
	}
	if u.Input != nil {
		next.Input = boundRaw(u.Input)
	}
	if u.ExitCode != nil {
		next.ExitCode = u.ExitCode
	}
	if u.Locations != nil {
		next.Locations = u.Locations
	}
	if u.Edits != nil {
		next.Edits = boundEdits(u.Edits)
	}
	*c = next
}

func (a *actor) plan(ev agent.Event) {
	a.finishTexts()
	if ev.Append != "" {
		// A plan that is written as text is an item of its own, whole at once.
		it := a.newItem(api.ItemPlan)
		it.Text = cut(clean(ev.Append), textMost)
		a.keep(it)
		return
	}
	steps := ev.Plan[:min(len(ev.Plan), planMost)]
	if a.tl.plan == nil {
		it := a.newItem(api.ItemPlan)
		a.tl.plan = &it
	}
	it := *a.tl.plan
	it.Plan = append([]api.PlanStep{}, steps...)
	a.keep(it)
}

// ask shows an approval. A shape the driver did not understand is a generic
// card with the agent's JSON: it can be declined, it is never dropped.
func (a *actor) ask(s *session, ev agent.Event) {
	if !a.expects(s, ev) {
		return
	}
	it := api.Item{ID: newID("i"), Raw: boundRaw(ev.Raw)}
	ap := api.Approval{}
	if ev.Approval != nil {
		ap = *ev.Approval
		ap.Edits = boundEdits(ap.Edits)
	}
	if ap.Title == "" {
		ap.Title = "The agent asks for permission"
	}
	if ap.Options == nil {
		ap.Options = []api.ApprovalOption{}
	}
	if t := a.tl.tools[ev.ToolID]; t != nil && ev.ToolID != "" {
		ap.ToolItemID = t.item.ID
	}
	it.Approval = &ap
	a.tl.approvals[it.ID] = ev.ID
	a.flushNow()
	a.must(thread.Ask{Item: it}, a.trace())
}

// planning keeps what the agent itself says of its plan mode, so that the next turn is told no other.
func (a *actor) planning(on bool) {
	if on != a.state.Thread.Plan {
		a.must(thread.Update{Plan: &on}, a.trace())
	}
}

// complete ends everything that streams, at the end of a turn; tool calls without an end get status.
func (a *actor) complete(status api.ToolStatus) {
	a.finishTexts()
	for _, t := range a.tl.tools {
		if !t.done {
			t.item.Tool.Status = status
			a.finishTool(t)
		}
	}
}

// dirty has the change shown within the coalescing time and kept within a second.
func (a *actor) dirty() {
	if !a.flushing {
		a.flushing = true
		a.flush.Reset(a.e.t.flush)
	}
	if !a.saving {
		a.saving = true
		a.save.Reset(a.saveAfter())
	}
}

// saveAfter is how long streamed text may wait to be kept: little text less than much, of which every save writes all.
func (a *actor) saveAfter() time.Duration {
	const little = 32 << 10
	size := 0
	for _, t := range a.tl.texts {
		size += t.all.Len()
	}
	for _, t := range a.tl.tools {
		if !t.done {
			size += int(min(t.out.Bytes(), store.OutputHead+store.OutputTail))
		}
	}
	if size <= little {
		return a.e.t.save / 4
	}
	return a.e.t.save
}

// flushNow shows subscribers what was streamed since the last time.
func (a *actor) flushNow() {
	a.flushing = false
	a.flush.Reset(far)
	name := store.ThreadStream(a.id)
	for _, t := range a.tl.texts {
		if t.all.Len() == t.shown {
			continue
		}
		it := t.current()
		if t.shown == 0 {
			a.e.hub.delta(name, it, api.Delta{Item: &it})
		} else {
			a.e.hub.delta(name, it, api.Delta{ItemID: it.ID, Field: "text", Offset: t.shown, Text: it.Text[t.shown:]})
		}
		t.shown = t.all.Len()
	}
	for _, t := range a.tl.tools {
		if !t.done && !t.out.Capped() {
			a.showTool(name, t)
		}
	}
	if a.run == nil {
		// Nothing will end what an agent does outside a turn.
		a.complete(api.ToolCancelled)
	}
}

func (a *actor) showTool(name string, t *tool) {
	if !t.changed && !t.grown {
		return
	}
	it := t.current()
	if t.changed || len(it.Tool.Output) < t.shown || t.out.Capped() {
		a.e.hub.delta(name, it, api.Delta{Item: &it})
	} else {
		a.e.hub.delta(name, it, api.Delta{ItemID: it.ID, Field: "output", Offset: t.shown, Text: it.Tool.Output[t.shown:]})
	}
	t.changed, t.grown, t.shown = false, false, len(it.Tool.Output)
}

// saveNow keeps the text of what streams, so that a killed backend has it, and
// shows capped outputs, which can only be shown whole.
func (a *actor) saveNow() {
	a.saving = false
	a.save.Reset(far)
	a.settle()
	var items []api.Item
	for _, t := range a.tl.texts {
		if t.unsaved {
			t.unsaved = false
			items = append(items, t.current())
		}
	}
	for _, t := range a.tl.tools {
		if t.done {
			continue
		}
		if t.out.Capped() {
			a.showTool(store.ThreadStream(a.id), t)
		}
		if t.unsaved {
			t.unsaved = false
			items = append(items, t.current())
		}
	}
	if len(items) == 0 {
		return
	}
	if err := a.commit(&store.Write{Live: items}); err != nil {
		a.e.log.Error("keep streamed text", "thread", a.id, "error", err)
	}
}
