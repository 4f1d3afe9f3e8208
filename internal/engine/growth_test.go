package engine

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/agent"
	"catamaran/internal/api"
)

// worker plays turns of the shape that recorded sessions have: thinking and text in
// words, commands with output, now and then a long one, an edit, a plan that changes.
type worker struct {
	talker
	n int
}

func (w *worker) Prompt(_ context.Context, in agent.Input) (agent.StopReason, error) {
	w.n++
	say := func(kind, id string, sentences int) {
		for i := range sentences {
			for _, word := range strings.SplitAfter(fmt.Sprintf("In turn %d sentence %d tells what was found and what follows from it for the part that %s is about. ", w.n, i, id), " ") {
				w.o.Sink(agent.Event{Kind: kind, ID: id, Append: word})
			}
		}
	}
	say(agent.KindReasoning, "r", 4)
	for c := range 6 {
		id := fmt.Sprint("call", c)
		w.o.Sink(agent.Event{Kind: agent.KindPlan, Plan: []api.PlanStep{{Text: "look", Status: "completed"}, {Text: fmt.Sprint("step ", c), Status: "in_progress"}}})
		w.o.Sink(agent.Event{Kind: agent.KindTool, ID: id, Tool: &agent.ToolUpdate{Kind: "execute", Title: "Run the checks", Command: "go test ./...", Status: api.ToolRunning}})
		lines := 25
		if w.n%10 == 0 && c == 0 {
			lines = 8000
		}
		for l := range lines {
			w.o.Sink(agent.Event{Kind: agent.KindTool, ID: id, Append: fmt.Sprintf("ok  example/part%d/unit%05d 0.0%ds\n", c, l, l%90)})
		}
		w.o.Sink(agent.Event{Kind: agent.KindTool, ID: id, Tool: &agent.ToolUpdate{Status: api.ToolCompleted}})
		say(agent.KindMessage, fmt.Sprint("m", c), 2)
	}
	w.o.Sink(agent.Event{Kind: agent.KindTool, ID: "edit", Tool: &agent.ToolUpdate{Kind: "edit", Title: "Edit main.go", Status: api.ToolCompleted,
		Edits: []api.FileEdit{{Path: "main.go", OldText: strings.Repeat("old line\n", 30), NewText: strings.Repeat("new line\n", 34)}}}})
	say(agent.KindMessage, "end", 8)
	return agent.StopEndTurn, nil
}

// A6.2: what streams is not stored, and a session of 50 turns takes less than three
// times the text that can be seen of it, the index of words and the log included.
func TestGrowthStaysNearTheText(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := start(t, dir, func(o *Options) {
		o.Agents = registry{scripted{open: func(_ context.Context, o agent.OpenOptions) (agent.Session, error) {
			return &worker{talker: talker{o: o}}, nil
		}}}
	}, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	for n := range 50 {
		turn := h.prompt(th.ID, fmt.Sprintf("Please look at what the checks say and mend it, step %d", n))
		c.until("the end", c.ended(turn.ID))
	}
	visible := 0
	for _, it := range c.items {
		visible += len(it.Text)
		if it.Tool != nil {
			visible += len(it.Tool.Title) + len(it.Tool.Command) + int(max(it.Tool.OutputBytes, int64(len(it.Tool.Output))))
			for _, e := range it.Tool.Edits {
				visible += len(e.OldText) + len(e.NewText)
			}
		}
	}
	events := c.seq
	h.stop()
	size := int64(0)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		size += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes on disk for %d visible ones (%.2f), %d events for %d items, %d deltas", size, visible, float64(size)/float64(visible), events, len(c.items), c.deltas)
	if size >= 3*int64(visible) {
		t.Errorf("%d bytes on disk for %d visible ones", size, visible)
	}
	// A turn here has 22 items, six of which begin and end, and a plan that changes six times.
	if most := int64(len(c.items)*2 + 50*12); events > most {
		t.Errorf("%d events for %d items", events, len(c.items))
	}
}
