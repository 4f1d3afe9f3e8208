package engine

import (
	"context"

	"catamaran/internal/api"
	"catamaran/internal/store"
)

// Marked is a thread, where it works, and its turns with their checkpoints.
type Marked struct {
	Project api.Project
	Thread  api.Thread
	Dir     string
	Turns   []store.Mark
}

// Marks returns a thread's turns with their checkpoints, oldest first. Errors are *api.Error.
func (e *Engine) Marks(ctx context.Context, threadID string) (Marked, error) {
	m, err := e.marks(ctx, threadID)
	return m, e.clientError("read the thread's turns", err)
}

func (e *Engine) marks(ctx context.Context, threadID string) (Marked, error) {
	var m Marked
	st, err := e.ready()
	if err != nil {
		return m, err
	}
	if m.Thread, err = st.Thread(ctx, threadID); err != nil {
		return m, err
	}
	if m.Project, err = e.project(ctx, st, m.Thread.ProjectID); err != nil {
		return m, err
	}
	if m.Dir = m.Thread.Dir; m.Dir == "" {
		m.Dir = m.Project.Path
	}
	m.Turns, err = st.Marks(ctx, threadID)
	return m, err
}

// MarksOf is Marks of the thread that a turn belongs to.
func (e *Engine) MarksOf(ctx context.Context, turnID string) (Marked, error) {
	st, err := e.ready()
	if err != nil {
		return Marked{}, err
	}
	t, _, err := st.Turn(ctx, turnID)
	if err != nil {
		return Marked{}, e.clientError("find the turn", err)
	}
	return e.Marks(ctx, t.ThreadID)
}

// Beside returns the turns of other threads that worked in the folder of m at some
// time between from and to.
func (e *Engine) Beside(ctx context.Context, m Marked, from, to int64) ([]store.Mark, error) {
	st, err := e.ready()
	if err != nil {
		return nil, err
	}
	threads, err := st.Threads(ctx, m.Project.ID)
	if err != nil {
		return nil, e.clientError("read the project's threads", err)
	}
	var list []store.Mark
	for _, t := range threads {
		if t.ID == m.Thread.ID || t.Dir != m.Thread.Dir {
			continue
		}
		marks, err := st.Marks(ctx, t.ID)
		if err != nil {
			return nil, e.clientError("read a thread's turns", err)
		}
		for _, k := range marks {
			if k.Turn.StartedAt > 0 && k.Turn.StartedAt <= to && (k.Turn.EndedAt == 0 || k.Turn.EndedAt >= from) {
				list = append(list, k)
			}
		}
	}
	return list, nil
}

// Places returns a project and its threads.
func (e *Engine) Places(ctx context.Context, projectID string) (api.Project, []api.Thread, error) {
	st, err := e.ready()
	if err != nil {
		return api.Project{}, nil, err
	}
	p, err := e.project(ctx, st, projectID)
	if err != nil {
		return p, nil, e.clientError("find the project", err)
	}
	threads, err := st.Threads(ctx, projectID)
	return p, threads, e.clientError("read the project's threads", err)
}
