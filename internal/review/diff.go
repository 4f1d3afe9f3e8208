package review

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/checkpoint"
	"catamaran/internal/engine"
	"catamaran/internal/store"
)

func noCheckpoints(t api.Turn) error {
	hint := "Changes are known for folders in a Git repository, from the turn's checkpoints."
	if !t.State.Final() {
		hint = "The turn has not ended yet."
	}
	return &api.Error{Code: api.CodeNotFound, Message: "No checkpoints were made around this turn.", Hint: hint}
}

func find(m engine.Marked, turnID string) (int, error) {
	for i, k := range m.Turns {
		if k.Turn.ID == turnID {
			return i, nil
		}
	}
	return 0, &api.Error{Code: api.CodeNotFound, Message: "This turn does not exist (any more)."}
}

// DiffTurn tells what a turn changed.
func (d *Desk) DiffTurn(ctx context.Context, r api.DiffTurn) (api.Diff, error) {
	m, err := d.o.Engine.MarksOf(ctx, r.TurnID)
	if err != nil {
		return api.Diff{}, err
	}
	i, err := find(m, r.TurnID)
	if err != nil {
		return api.Diff{}, err
	}
	k := m.Turns[i]
	if k.Before == "" || k.After == "" {
		return api.Diff{}, noCheckpoints(k.Turn)
	}
	return d.o.Checkpoints.Compare(ctx, m.Project.Path, k.Before, k.After, r.DiffOptions, nil)
}

// DiffThread tells what a thread's turns changed together: from before its first to
// after its last one, of the files that any of them changed.
func (d *Desk) DiffThread(ctx context.Context, r api.DiffThread) (api.Diff, error) {
	m, err := d.o.Engine.Marks(ctx, r.ThreadID)
	if err != nil {
		return api.Diff{}, err
	}
	first, last := "", ""
	only := map[string]bool{}
	whole := true
	for _, k := range m.Turns {
		if k.Before == "" || k.After == "" {
			continue
		}
		if first == "" {
			first = k.Before
		}
		last = k.After
		if k.Turn.Changes == nil || k.Turn.Changes.Truncated {
			whole = false
			continue
		}
		for _, f := range k.Turn.Changes.Files {
			only[f.Path] = true
			if f.OldPath != "" {
				only[f.OldPath] = true
			}
		}
	}
	if first == "" {
		return api.Diff{}, &api.Error{Code: api.CodeNotFound, Message: "No checkpoints were made in this thread.", Hint: "Changes are known for folders in a Git repository, from turns that have ended."}
	}
	if !whole {
		only = nil
	}
	return d.o.Checkpoints.Compare(ctx, m.Project.Path, first, last, r.DiffOptions, only)
}

// DiffBetween compares two checkpoints of threads of one project.
func (d *Desk) DiffBetween(ctx context.Context, r api.DiffBetween) (api.Diff, error) {
	var refs [2]string
	var in [2]engine.Marked
	for i, p := range []api.DiffPoint{r.From, r.To} {
		m, err := d.o.Engine.MarksOf(ctx, p.TurnID)
		if err != nil {
			return api.Diff{}, err
		}
		at, err := find(m, p.TurnID)
		if err != nil {
			return api.Diff{}, err
		}
		in[i], refs[i] = m, m.Turns[at].Before
		if p.After {
			refs[i] = m.Turns[at].After
		}
		if refs[i] == "" {
			return api.Diff{}, noCheckpoints(m.Turns[at].Turn)
		}
	}
	if in[0].Project.ID != in[1].Project.ID {
		return api.Diff{}, &api.Error{Code: api.CodeInvalid, Message: "These turns belong to different projects.", Hint: "Compare turns of one project."}
	}
	return d.o.Checkpoints.Compare(ctx, in[0].Project.Path, refs[0], refs[1], r.DiffOptions, nil)
}

// DiffWorking tells how the working tree differs from the last commit, or the index does.
func (d *Desk) DiffWorking(ctx context.Context, r api.DiffWorking) (api.Diff, error) {
	dir, _, err := d.place(ctx, r.GitPlace)
	if err != nil {
		return api.Diff{}, err
	}
	from, to, err := d.o.Checkpoints.Working(ctx, dir, r.Scope)
	if err != nil {
		return api.Diff{}, err
	}
	return d.o.Checkpoints.Compare(ctx, dir, from, to, r.DiffOptions, nil)
}

// target finds what reverting a turn is about.
func (d *Desk) target(ctx context.Context, turnID string, later bool) (checkpoint.Target, engine.Marked, error) {
	m, err := d.o.Engine.MarksOf(ctx, turnID)
	if err != nil {
		return checkpoint.Target{}, m, err
	}
	i, err := find(m, turnID)
	if err != nil {
		return checkpoint.Target{}, m, err
	}
	if err := idle(m); err != nil {
		return checkpoint.Target{}, m, err
	}
	marks := m.Turns[i : i+1]
	if later {
		marks = m.Turns[i:]
	}
	t := checkpoint.Target{Dir: m.Dir, ThreadID: m.Thread.ID}
	from, to := marks[0].Turn.StartedAt, int64(0)
	for _, k := range marks {
		if k.Before == "" || k.After == "" {
			if len(marks) == 1 {
				return t, m, noCheckpoints(k.Turn)
			}
			continue // it never began
		}
		t.Turns = append(t.Turns, turnOf(k))
		to = max(to, k.Turn.EndedAt)
	}
	if len(t.Turns) == 0 {
		return t, m, noCheckpoints(marks[0].Turn)
	}
	beside, err := d.o.Engine.Beside(ctx, m, from, to)
	for _, k := range beside {
		t.Beside = append(t.Beside, turnOf(k))
	}
	return t, m, err
}

func turnOf(k store.Mark) checkpoint.Turn {
	return checkpoint.Turn{ID: k.Turn.ID, ThreadID: k.Turn.ThreadID, Before: k.Before, After: k.After}
}

// idle refuses while the thread's agent may be writing.
func idle(m engine.Marked) error {
	for _, k := range m.Turns {
		if k.Turn.State == api.TurnRunning || k.Turn.State == api.TurnWaiting {
			return &api.Error{Code: api.CodeConflict, Message: "A turn of this thread is running.", Hint: "Wait for its end, or stop it.", Retryable: true}
		}
	}
	return nil
}

// PreviewRevert tells what reverting a turn would do.
func (d *Desk) PreviewRevert(ctx context.Context, r api.RevertPreview) (api.RevertPlan, error) {
	t, _, err := d.target(ctx, r.TurnID, r.Later)
	if err != nil {
		return api.RevertPlan{}, err
	}
	plan, err := d.o.Checkpoints.Plan(ctx, t)
	plan.TurnID = r.TurnID
	return plan, err
}

// ApplyRevert reverts a turn as its preview said.
func (d *Desk) ApplyRevert(ctx context.Context, id string, r api.RevertApply) (api.Reverted, error) {
	return engine.Once(d.o.Engine, ctx, id, api.MethodRevertApply, func() (api.Reverted, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revertBound)
		defer cancel()
		t, m, err := d.target(ctx, r.TurnID, r.Later)
		if err != nil {
			return api.Reverted{}, err
		}
		id := revertID("")
		i, err := find(m, r.TurnID)
		if err != nil {
			return api.Reverted{}, err
		}
		tell := func(files []string, left []api.RevertFile, unfinished bool) error {
			return d.o.Engine.TellRevert(ctx, m.Thread.ID, itemOf(id), api.Revert{TurnID: r.TurnID, Turn: m.Turns[i].Turn.Ordinal, Later: r.Later && i < len(m.Turns)-1,
				State: api.RevertDone, RevertID: id, Unfinished: unfinished, Files: files, Left: left})
		}
		// The timeline tells it before anything is written: whatever happens then can be undone from there.
		done, err := d.o.Checkpoints.Revert(ctx, t, r.Seen, r.Paths, id, func(paths []string) error { return tell(paths, nil, true) })
		if done.RevertID != "" {
			d.told(m, tell(done.Files, done.Left, false))
		}
		d.changed(m)
		return done, err
	})
}

// UndoRevert takes a revert back.
func (d *Desk) UndoRevert(ctx context.Context, id string, r api.RevertUndo) (api.Reverted, error) {
	return engine.Once(d.o.Engine, ctx, id, api.MethodRevertUndo, func() (api.Reverted, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revertBound)
		defer cancel()
		m, err := d.o.Engine.Marks(ctx, r.ThreadID)
		if err != nil {
			return api.Reverted{}, err
		}
		if err := idle(m); err != nil {
			return api.Reverted{}, err
		}
		done, err := d.o.Checkpoints.Undo(ctx, m.Dir, r.ThreadID, r.RevertID, revertID(r.RevertID), func([]string) error {
			return d.o.Engine.TellUndoing(ctx, r.ThreadID, itemOf(r.RevertID), r.RevertID)
		})
		if err == nil && (done.RevertID != "" || len(done.Left) == 0) {
			d.told(m, d.o.Engine.TellUndone(ctx, r.ThreadID, itemOf(r.RevertID), r.RevertID, done))
		}
		d.changed(m)
		return done, err
	})
}

// told notes that what was done could not be told: it is done all the same.
func (d *Desk) told(m engine.Marked, err error) {
	if err != nil {
		d.o.Log.Error("tell a revert in the timeline", "thread", m.Thread.ID, "error", err)
	}
}

// revertBound limits a revert.
const revertBound = 5 * time.Minute

// tailSize is the length of a revert's name, the end of its id.
const tailSize = 16

// revertID sorts by time among the ids of turns, so that old ones are dropped with
// them. The undo of a revert has the same end, by which their item in the timeline is found.
func revertID(undone string) string {
	const digits = "0123456789abcdef"
	ms := time.Now().UnixMilli()
	var b [12]byte
	for i := range b {
		b[11-i] = digits[ms>>(4*i)&15]
	}
	tail := strings.ToLower(rand.Text()[:tailSize])
	if len(undone) > tailSize {
		tail = undone[len(undone)-tailSize:]
	}
	return "u_" + string(b[:]) + tail
}

// itemOf is the id of the item that tells a revert and its undo.
func itemOf(revertID string) string {
	return "i_revert_" + revertID[max(0, len(revertID)-tailSize):]
}

// changed has the places of a thread looked at, where somebody does.
func (d *Desk) changed(m engine.Marked) {
	d.looks.each(func(p api.GitPlace) bool { return p.ProjectID == m.Project.ID }, func(l *look) {
		select {
		case l.kick <- struct{}{}:
		default:
		}
	})
}
