package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catamaran/internal/agent"
	"catamaran/internal/api"
	"catamaran/internal/proc"
	"catamaran/internal/store"
	"catamaran/internal/store/storetest"
)

// ack is a line the backend child writes once a command was answered.
type ack struct {
	Thread *api.Thread `json:"thread,omitempty"`
	Turn   *api.Turn   `json:"turn,omitempty"`
	Text   string      `json:"text,omitempty"`
	Shown  string      `json:"shown,omitempty"` // an item with text that a subscriber was shown as complete
	In     string      `json:"in,omitempty"`    // its thread
	// Edited says that Text is what the turn's prompt was changed to.
	Edited bool `json:"edited,omitempty"`
	// Doomed is a thread that will be deleted, Removed one that was.
	Doomed  string `json:"doomed,omitempty"`
	Removed string `json:"removed,omitempty"`
}

// talker is an agent inside the backend child: agents of its own would outlive the kill.
type talker struct {
	plain
	o agent.OpenOptions
}

func (talker) Open(_ context.Context, o agent.OpenOptions) (agent.Session, error) {
	return &talker{o: o}, nil
}

func (s *talker) Prompt(ctx context.Context, in agent.Input) (agent.StopReason, error) {
	for i := range 40 {
		if ctx.Err() != nil {
			return agent.StopCancelled, nil
		}
		id := fmt.Sprint(i / 5)
		s.o.Sink(agent.Event{Kind: agent.KindMessage, ID: id, Append: fmt.Sprintf("%s, piece %d. ", in.Text, i)})
		if i%5 == 4 {
			s.o.Sink(agent.Event{Kind: agent.KindTool, ID: id, Tool: &agent.ToolUpdate{Title: "tool", Status: api.ToolRunning}, Append: "output"})
			s.o.Sink(agent.Event{Kind: agent.KindTool, ID: id, Tool: &agent.ToolUpdate{Status: api.ToolCompleted}})
		}
	}
	return agent.StopEndTurn, nil
}
func (s *talker) Interrupt(context.Context) error { return nil }
func (s *talker) Answer(string, string) error     { return nil }
func (s *talker) Info() agent.SessionInfo {
	return agent.SessionInfo{Resume: "r", Resumed: s.o.Resume != ""}
}
func (s *talker) Close(context.Context) error { return nil }
func (s *talker) Done() <-chan struct{}       { return nil }
func (s *talker) Err() error                  { return nil }

// edited is what an edit adds to a queued prompt.
const edited = ", edited"

// backendMain runs an engine that works until it is killed.
func backendMain() {
	dir := os.Getenv("TEST_DATA")
	ready := make(chan struct{})
	e, err := New(Options{DataDir: dir, Agents: registry{talker{}}, Phase: func(p api.Phase, _ *api.Error) {
		if p == api.PhaseReady {
			close(ready)
		}
	}})
	if err != nil {
		panic(err)
	}
	e.t.save = 5 * time.Millisecond
	go func() {
		if err := e.Run(context.Background()); err != nil {
			panic(err)
		}
	}()
	<-ready
	out := json.NewEncoder(os.Stdout)
	lines := make(chan ack)
	ctx := context.Background()
	p, err := e.AddProject(ctx, "", api.ProjectAdd{Path: dir})
	if err != nil {
		panic(err)
	}
	for w := range 3 {
		go func() {
			for n := 0; ; n++ {
				th, err := e.CreateThread(ctx, newID("c"), api.ThreadCreate{ProjectID: p.ID, AgentID: "demo"})
				if err != nil {
					panic(err)
				}
				lines <- ack{Thread: &th}
				sub, err := e.Subscribe("thread:"+th.ID, nil)
				if err != nil {
					panic(err)
				}
				text := fmt.Sprintf("worker %d turn %d", w, n)
				for k := range 3 {
					turn, err := e.StartTurn(ctx, newID("c"), api.TurnStart{ThreadID: th.ID, Text: text})
					if err != nil {
						panic(err)
					}
					lines <- ack{Turn: &turn, Text: text}
					if k == 2 {
						// The one before may have ended: then there is nothing to edit any more.
						if _, err := e.EditTurn(ctx, newID("c"), api.TurnEdit{TurnID: turn.ID, Text: text + edited}); err == nil {
							lines <- ack{Turn: &turn, Text: text + edited, Edited: true}
						}
					}
				}
				for ends := 0; ends < 3; {
					f, err := sub.Next(ctx)
					if err != nil {
						panic(err)
					}
					if f.Event != nil && f.Event.Item != nil && !f.Event.Item.Live {
						lines <- ack{Shown: f.Event.Item.ID, In: th.ID}
					}
					if f.Event != nil && f.Event.Turn != nil && f.Event.Turn.State.Final() {
						ends++
					}
				}
				sub.Close()
				switch n % 4 {
				case 1:
					th, err := e.RenameThread(ctx, newID("c"), api.ThreadRename{ThreadID: th.ID, Title: text + " renamed"})
					if err != nil {
						panic(err)
					}
					lines <- ack{Thread: &th}
				case 3:
					lines <- ack{Doomed: th.ID}
					if _, err := e.DeleteThread(ctx, newID("c"), api.ThreadRef{ThreadID: th.ID}); err != nil {
						panic(err)
					}
					lines <- ack{Removed: th.ID}
				}
			}
		}()
	}
	for l := range lines {
		out.Encode(l)
	}
}

// A backend killed at any point loses nothing it answered, ends every turn at
// the next start, and its projections are what its log says. CATAMARAN_CRASHES
// sets how often (A6.2, A2.7).
func TestKilledAtAnyPoint(t *testing.T) {
	t.Parallel()
	rounds := 4
	if n, err := strconv.Atoi(os.Getenv("CATAMARAN_CRASHES")); err == nil {
		rounds = n
	}
	// A database takes so many crashes; then another begins, since the checks read all of it.
	const each = 25
	var dir string
	var acked []ack
	interrupted, folded, kept := 0, 0, 0
	for round := range rounds {
		if round%each == 0 {
			kept += len(acked)
			dir, acked = t.TempDir(), nil
		}
		p, err := proc.Start(proc.Spec{Name: "backend under test", Path: os.Args[0],
			Env: append(os.Environ(), roleVariable+"=backend", "TEST_DATA="+dir, "GORACE=atexit_sleep_ms=0")})
		if err != nil {
			t.Fatal(err)
		}
		sc := bufio.NewScanner(p.Stdout())
		sc.Buffer(nil, 1<<20)
		for n, most := 0, rand.IntN(150); n <= most && sc.Scan(); n++ {
			var a ack
			if err := json.Unmarshal(sc.Bytes(), &a); err != nil {
				t.Fatalf("%q: %v", sc.Text(), err)
			}
			acked = append(acked, a)
		}
		p.Kill()
		for sc.Scan() { // what it wrote before it died counts too
			var a ack
			if json.Unmarshal(sc.Bytes(), &a) == nil {
				acked = append(acked, a)
			}
		}
		<-p.Done()
		if strings.Contains(p.StderrTail(), "panic") || strings.Contains(p.StderrTail(), "DATA RACE") {
			t.Fatal(p.StderrTail())
		}
		h := start(t, dir, nil, nil)
		n, f := checkAfterCrash(t, h, acked)
		if round%each == each-1 || round == rounds-1 {
			interrupted, folded = interrupted+n, folded+f
		}
		if err := storetest.Verify(t.Context(), dir); err != nil {
			t.Error(err)
		}
		h.stop()
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
		if (round+1)%100 == 0 {
			t.Logf("%d of %d crashes, %d answers kept", round+1, rounds, kept+len(acked))
		}
	}
	kept += len(acked)
	t.Logf("%d crashes, %d answers kept, %d turns interrupted, %d messages cut off in mid-stream", rounds, kept, interrupted, folded)
	if kept == 0 {
		t.Fatal("the backend answered nothing")
	}
}

func checkAfterCrash(t *testing.T, h *harness, acked []ack) (interrupted, folded int) {
	t.Helper()
	st, err := h.e.ready()
	if err != nil {
		t.Fatal(err)
	}
	shell, err := st.View(t.Context(), store.Shell, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	turns, items, threads := map[string]api.Turn{}, map[string]api.Item{}, map[string]api.Thread{}
	prompts := map[string]string{}
	for _, th := range shell.Shell.Threads {
		threads[th.ID] = th
		if th.State != "" && !th.State.Final() || th.Stopping {
			t.Errorf("thread %s is %s", th.ID, th.State)
		}
		now, err := st.View(t.Context(), store.ThreadStream(th.ID), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		zero := int64(0)
		log, err := st.View(t.Context(), store.ThreadStream(th.ID), &zero, nil)
		if err != nil {
			t.Fatal(err)
		}
		if log.Thread != nil {
			t.Fatal("the log is not whole: the test writes too much for it")
		}
		if d := cmp.Diff(sorted(*now.Thread), sorted(replayLog(log.Events))); d != "" {
			t.Errorf("thread %s: projection and log differ:\n%s", th.ID, d)
		}
		for _, u := range now.Thread.Turns {
			turns[u.ID] = u
			if !u.State.Final() {
				t.Errorf("turn %s is %s", u.ID, u.State)
			}
			if u.State == api.TurnInterrupted {
				interrupted++
			}
		}
		for _, it := range now.Thread.Items {
			items[it.ID] = it
			if it.Live {
				t.Errorf("item %s is live", it.ID)
			}
			if it.Kind == api.ItemUserMessage {
				prompts[it.TurnID] = it.Text
			}
			if it.Kind == api.ItemAgentMessage && strings.Count(it.Text, "piece") < 5 {
				folded++
			}
		}
	}
	doomed, removed, texts := map[string]bool{}, map[string]bool{}, map[string]ack{}
	for _, a := range acked {
		doomed[a.Doomed], removed[a.Removed] = true, true
		if a.Turn != nil {
			texts[a.Turn.ID] = a
		}
	}
	for _, a := range acked {
		switch {
		case a.Thread != nil && removed[a.Thread.ID] && threads[a.Thread.ID].ID != "":
			t.Errorf("thread %s was deleted and is there", a.Thread.ID)
		case a.Thread != nil && doomed[a.Thread.ID]:
		case a.Thread != nil && threads[a.Thread.ID].ID == "":
			t.Errorf("thread %s was answered and is lost", a.Thread.ID)
		case a.Thread != nil && strings.HasSuffix(a.Thread.Title, "renamed") && threads[a.Thread.ID].Title != a.Thread.Title:
			t.Errorf("thread %s is called %q; want %q", a.Thread.ID, threads[a.Thread.ID].Title, a.Thread.Title)
		case a.Turn != nil && doomed[a.Turn.ThreadID]:
		case a.Turn != nil && turns[a.Turn.ID].ID == "":
			t.Errorf("turn %s was answered and is lost", a.Turn.ID)
		case a.Turn != nil:
			last := texts[a.Turn.ID]
			if got := prompts[a.Turn.ID]; got != last.Text && (last.Edited || got != last.Text+edited) {
				t.Errorf("the prompt of turn %s is %q; want %q", a.Turn.ID, got, last.Text)
			}
		case a.Shown != "" && items[a.Shown].ID == "" && !doomed[a.In]:
			t.Errorf("item %s was shown as complete and is lost", a.Shown)
		}
	}
	return interrupted, folded
}

func replayLog(events []store.Event) api.ThreadSnapshot {
	var sn api.ThreadSnapshot
	turns, items := map[string]api.Turn{}, map[string]api.Item{}
	for _, e := range events {
		switch {
		case e.Thread != nil:
			sn.Thread = *e.Thread
		case e.Turn != nil:
			turns[e.Turn.ID] = *e.Turn
		case e.Item != nil:
			items[e.Item.ID] = *e.Item
		default:
			delete(turns, e.RemovedID)
			delete(items, e.RemovedID)
		}
	}
	for _, u := range turns {
		sn.Turns = append(sn.Turns, u)
	}
	for _, it := range items {
		sn.Items = append(sn.Items, it)
	}
	return sn
}

// sorted makes two snapshots comparable.
func sorted(sn api.ThreadSnapshot) map[string]any {
	all := map[string]any{"thread": sn.Thread}
	for _, u := range sn.Turns {
		all["turn "+u.ID] = u
	}
	for _, it := range sn.Items {
		all["item "+it.ID] = it
	}
	return all
}
