// Package longthread writes a state folder with a thread of any length, as if a
// person and an agent had talked for months. Browser tests and benchmarks open
// it; the product never imports it.
package longthread

import (
	"context"
	"fmt"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/home"
	"catamaran/internal/store"
)

// Names of what is written.
const (
	ProjectID = "long-project"
	ThreadID  = "long-thread"
)

// PromptID and AnswerID are the items of turn n, from 1 on.
func PromptID(n int) string { return fmt.Sprintf("prompt-%d", n) }
func AnswerID(n int) string { return fmt.Sprintf("answer-%d", n) }

// Write fills the state folder dir, which no backend may have open, with one
// project at folder and one thread of it with messages messages: half of them a
// person's, half an agent's, with two steps of work between. All turns have ended.
func Write(ctx context.Context, dir, folder string, messages int) error {
	s, err := store.Open(ctx, store.Options{Dir: home.Backend(dir)})
	if err != nil {
		return err
	}
	err = write(ctx, s, folder, messages/2)
	if e := s.Close(); err == nil {
		err = e
	}
	return err
}

// WriteThreads fills the state folder dir, which no backend may have open, with one
// project at folder and so many threads of it that have nothing in them yet.
func WriteThreads(ctx context.Context, dir, folder string, threads int) error {
	s, err := store.Open(ctx, store.Options{Dir: home.Backend(dir)})
	if err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	project := api.Project{ID: ProjectID, Name: "many", Path: folder, AgentID: "demo", CreatedAt: now}
	batch := []store.Event{{Stream: store.Shell, Event: api.Event{Type: api.EventProjectUpserted, At: now, Project: &project}}}
	for n := 1; n <= threads && err == nil; n++ {
		at := now - int64(threads-n)*60_000
		t := api.Thread{ID: fmt.Sprintf("thread-%d", n), ProjectID: ProjectID, Title: fmt.Sprintf("Thread number %d of many", n), AgentID: "demo", Permission: api.PermissionSupervised, State: api.TurnCompleted, CreatedAt: at, UpdatedAt: at}
		e := api.Event{Type: api.EventThreadUpserted, At: at, Thread: &t}
		batch = append(batch, store.Event{Stream: store.ThreadStream(t.ID), Event: e}, store.Event{Stream: store.Shell, Event: e})
		if n%perWrite == 0 || n == threads {
			err = s.Commit(ctx, &store.Write{Events: batch})
			batch = batch[:0]
		}
	}
	if e := s.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("write threads: %w", err)
	}
	return nil
}

// perWrite is how many turns are stored at once.
const perWrite = 500

func write(ctx context.Context, s *store.Store, folder string, turns int) error {
	begin := time.Now().Add(-time.Duration(turns) * time.Minute).UnixMilli()
	end := begin + int64(turns)*60_000
	project := api.Project{ID: ProjectID, Name: "long", Path: folder, AgentID: "demo", CreatedAt: begin}
	thread := api.Thread{ID: ThreadID, ProjectID: ProjectID, Title: "A long conversation", AgentID: "demo", Permission: api.PermissionSupervised, State: api.TurnCompleted, CreatedAt: begin, UpdatedAt: end}
	if err := s.Commit(ctx, &store.Write{Events: []store.Event{
		{Stream: store.Shell, Event: api.Event{Type: api.EventProjectUpserted, At: begin, Project: &project}},
		{Stream: store.ThreadStream(ThreadID), Event: api.Event{Type: api.EventThreadUpserted, At: begin, Thread: &thread}},
		{Stream: store.Shell, Event: api.Event{Type: api.EventThreadUpserted, At: begin, Thread: &thread}},
	}}); err != nil {
		return fmt.Errorf("write the thread: %w", err)
	}
	var batch []store.Event
	flush := func() error {
		if err := s.Commit(ctx, &store.Write{Events: batch}); err != nil {
			return fmt.Errorf("write turns: %w", err)
		}
		batch = batch[:0]
		return nil
	}
	for n := 1; n <= turns; n++ {
		batch = append(batch, turnEvents(n, begin+int64(n)*60_000)...)
		if n%perWrite == 0 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// turnEvents are the events of turn n.
func turnEvents(n int, at int64) []store.Event {
	id := fmt.Sprintf("turn-%d", n)
	ordinal := int64(n-1)*4 + 1
	item := func(k int64, id string, i api.Item) store.Event {
		i.ID, i.ThreadID, i.TurnID, i.Ordinal = id, ThreadID, fmt.Sprintf("turn-%d", n), ordinal+k
		i.CreatedAt, i.UpdatedAt = at+k*1000, at+k*1000
		return store.Event{Stream: store.ThreadStream(ThreadID), Event: api.Event{Type: api.EventItemUpserted, At: at, Item: &i}}
	}
	zero := 0
	turn := api.Turn{ID: id, ThreadID: ThreadID, Ordinal: int64(n), State: api.TurnCompleted, QueuedAt: at, StartedAt: at, EndedAt: at + 4200, Usage: &api.Usage{InputTokens: 900, OutputTokens: 240}}
	return []store.Event{
		{Stream: store.ThreadStream(ThreadID), Event: api.Event{Type: api.EventTurnUpserted, At: at, Turn: &turn}},
		item(0, PromptID(n), api.Item{Kind: api.ItemUserMessage, Text: fmt.Sprintf("Question %d: %s?", n, strings.Repeat("what about this part ", n%7+1))}),
		item(1, fmt.Sprintf("reason-%d", n), api.Item{Kind: api.ItemReasoning, Text: "The part is small. I look at it first."}),
		item(2, fmt.Sprintf("tool-%d", n), api.Item{Kind: api.ItemToolCall, Tool: &api.ToolCall{Kind: "execute", Title: "Run the checks", Command: "go test ./...", Status: api.ToolCompleted, ExitCode: &zero, Output: "ok\n"}}),
		item(3, AnswerID(n), api.Item{Kind: api.ItemAgentMessage, Text: answer(n)}),
	}
}

// answer is Markdown of changing shape and length.
func answer(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Answer %d. %s\n", n, strings.Repeat("The part does what its name says and nothing else. ", n%5+1))
	switch n % 4 {
	case 1:
		fmt.Fprintf(&b, "\n```go\nfunc part%d(x int) int {\n\treturn x + %d\n}\n```\n", n, n)
	case 2:
		b.WriteString("\n- it is **tested**\n- it has *one* caller\n- see `internal/part`\n")
	case 3:
		b.WriteString("\n| what | how often |\n| --- | --- |\n| read | 12 |\n| written | 3 |\n")
	}
	return b.String()
}
