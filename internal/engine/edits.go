package engine

import (
	"context"
	"slices"
	"sync"

	"catamaran/internal/api"
	"catamaran/internal/checkpoint"
)

// notesMost bounds the looks at files that wait; beyond it an edit counts as not reported.
const notesMost = 256

// editing looks at the files that an agent reports to edit, in the order it does so,
// in a goroutine of its own: the thread's must not wait for a file. A nil one does nothing.
type editing struct {
	e    *Engine
	rec  *checkpoint.Edits
	dir  string
	mu   sync.Mutex
	over bool
	// queue holds what to look at; done is closed when all of it has been.
	queue chan note
	done  chan struct{}
}

type note struct {
	paths []string
	after bool
}

// edit begins to record a turn's edits.
func (e *Engine) edit(dir, threadID, turnID string) *editing {
	if e.o.Checkpoints == nil {
		return nil
	}
	rec := e.o.Checkpoints.Edits(dir, threadID, turnID)
	if rec == nil {
		return nil
	}
	n := &editing{e: e, rec: rec, dir: dir, queue: make(chan note, notesMost), done: make(chan struct{})}
	e.chore(n.run)
	return n
}

func (n *editing) run() {
	defer close(n.done)
	for what := range n.queue {
		ctx, cancel := context.WithTimeout(context.Background(), n.e.t.call)
		look := n.rec.Before
		if what.after {
			look = n.rec.After
		}
		if err := look(ctx, what.paths...); err != nil {
			n.e.log.Debug("look at an edited file", "error", err)
		}
		cancel()
	}
}

// tool takes a state of a tool call; begun tells, and the result says, whether its
// files have been looked at before the edit. Only a completed edit counts as one.
func (n *editing) tool(c *api.ToolCall, begun bool) bool {
	if n == nil || c.Kind != "edit" && c.Kind != "delete" && c.Kind != "move" {
		return begun
	}
	paths := toolPaths(c)
	if len(paths) == 0 {
		return begun
	}
	switch {
	case c.Status == api.ToolCompleted:
		n.rec.Made(paths...)
		n.add(note{paths, true})
	case finalTool(c.Status):
		if begun {
			n.rec.Failed(paths...)
		}
		return false
	case !begun:
		n.rec.Begin(paths...)
		n.add(note{paths, false})
		return true
	}
	return begun
}

func toolPaths(c *api.ToolCall) []string {
	var paths []string
	for _, l := range c.Locations {
		paths = append(paths, l.Path)
	}
	for _, ed := range c.Edits {
		paths = append(paths, ed.Path)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

func (n *editing) add(what note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.over {
		return
	}
	select {
	case n.queue <- what:
	default:
	}
}

// close ends the record, without keeping it where finish has not: the turn is over.
func (n *editing) close() {
	if n == nil {
		return
	}
	n.stop()
	n.rec.Close()
}

// stop takes no more notes.
func (n *editing) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.over {
		n.over = true
		close(n.queue)
	}
}

// finish waits for the looks that are due and keeps the record.
func (n *editing) finish(ctx context.Context) error {
	if n == nil {
		return nil
	}
	n.stop()
	ctx, cancel := context.WithTimeout(ctx, n.e.t.checkpoint)
	defer cancel()
	select {
	case <-n.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return n.rec.Save(ctx)
}

// keepTurns is how many of a thread's turns keep their checkpoints, pruneEvery how
// often older ones are dropped.
const (
	keepTurns  = 200
	pruneEvery = 20
)
