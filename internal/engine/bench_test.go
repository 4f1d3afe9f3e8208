package engine

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"catamaran/internal/api"
	"catamaran/internal/store"
)

func benchEngine(b *testing.B) (*Engine, api.Thread) {
	b.Helper()
	ready := make(chan struct{})
	dir := b.TempDir()
	e, err := New(Options{DataDir: dir, Agents: registry{talker{}}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Phase: func(p api.Phase, _ *api.Error) {
			if p == api.PhaseReady {
				close(ready)
			}
		}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-done })
	<-ready
	p := must[api.Project](b)(e.AddProject(b.Context(), "", api.ProjectAdd{Path: dir}))
	return e, must[api.Thread](b)(e.CreateThread(b.Context(), "", api.ThreadCreate{ProjectID: p.ID, AgentID: "demo"}))
}

// The floor of a command: through the thread's goroutine, nothing to store.
func BenchmarkEmptyCommand(b *testing.B) {
	e, th := benchEngine(b)
	for b.Loop() {
		if _, err := e.StopTurn(b.Context(), "", api.ThreadRef{ThreadID: th.ID}); err != nil {
			b.Fatal(err)
		}
	}
}

// A command whose events and receipt are synced to the disk.
func BenchmarkDurableCommand(b *testing.B) {
	e, th := benchEngine(b)
	for n := 0; b.Loop(); n++ {
		if _, err := e.RenameThread(b.Context(), fmt.Sprint("c", n), api.ThreadRename{ThreadID: th.ID, Title: fmt.Sprint("t", n)}); err != nil {
			b.Fatal(err)
		}
	}
}

// Opening one thread of 100 messages in a database of 100,000 (budget: under 50 ms).
func BenchmarkOpenThreadInBigDatabase(b *testing.B) {
	e, th := benchEngine(b)
	st, err := e.ready()
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("some text of a message ", 20)
	var middle string
	for n := range 1000 {
		id := newID("t")
		if n == 500 {
			middle = id
		}
		head := th
		head.ID = id
		events := stored(id, []api.Event{{Type: api.EventThreadUpserted, Thread: &head}})
		for i := range 100 {
			events = append(events, stored(id, []api.Event{{Type: api.EventItemUpserted, Item: &api.Item{ID: newID("i"), ThreadID: id, Ordinal: int64(i), Kind: api.ItemAgentMessage, Text: text}}})...)
		}
		if err := st.Commit(b.Context(), &store.Write{Events: events}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		s, err := e.Subscribe("thread:"+middle, nil)
		if err != nil {
			b.Fatal(err)
		}
		f, err := s.Next(b.Context())
		if err != nil || len(f.Thread.Items) != 100 {
			b.Fatalf("%v", err)
		}
		s.Close()
	}
}
