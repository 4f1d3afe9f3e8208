package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/store"
)

// benchStream: ten agents write a thousand pieces a second each, five clients follow all of them.
func benchStream(ctx context.Context, s *setup) ([]row, error) {
	const threads, rate, clients = 10, 1000, 5
	seconds := 10
	if s.quick {
		seconds = 3
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	env, err := floodHome(s)
	if err != nil {
		return nil, err
	}
	a, err := serveAlone(ctx, s, env)
	if err != nil {
		return nil, err
	}
	defer a.stop()
	ids, err := makeThreads(ctx, a, env, threads)
	if err != nil {
		return nil, err
	}
	// The same calls with nothing else going on, to stand beside.
	quiet := a.calls(ctx, 2*time.Second)
	var begun, done sync.WaitGroup
	begun.Add(clients)
	texts, resyncs, errs := make([]map[string]string, clients), make([]int, clients), make([]error, clients)
	for c := range clients {
		f, err := a.feed(ctx)
		if err != nil {
			return nil, err
		}
		defer f.ws.CloseNow()
		done.Go(func() {
			once := sync.OnceFunc(begun.Done)
			defer once()
			texts[c], resyncs[c], errs[c] = f.watch(ctx, ids, once)
		})
	}
	begun.Wait()
	start := time.Now()
	for _, id := range ids {
		if err := a.call(api.MethodTurnStart, api.TurnStart{ThreadID: id, Text: fmt.Sprintf("flood %d %d", rate, seconds)}, nil); err != nil {
			return nil, err
		}
	}
	busy := a.calls(ctx, time.Duration(seconds)*time.Second)
	done.Wait()
	took := time.Since(start)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var want strings.Builder
	for i := range rate * seconds {
		want.WriteString(piece(i))
	}
	lost, again := 0, 0
	for c := range clients {
		again += resyncs[c]
		for _, id := range ids {
			if texts[c][id] != want.String() {
				lost++
			}
		}
	}
	p99 := row{What: "10 threads x 1,000 deltas/s, 5 clients: API p99", Unit: "ms", Ours: busy.quantile(.99), OtherName: "the same call, idle", Other: quiet.quantile(.99),
		Budget: "< 20 ms", Peer: "-", Runs: len(busy), Note: fmt.Sprintf("p50 %s ms, %d resyncs", number(busy.quantile(.5)), again)}
	loss := row{What: "the same: texts that differ from what was written", Unit: fmt.Sprintf("of %d", clients*threads), Ours: float64(lost), Budget: "0", Peer: "-", Runs: 1}
	rateRow := row{What: "the same: pieces of text a second, all threads", Unit: "/s", Ours: float64(threads*rate*seconds) / took.Seconds(), OtherName: "asked for", Other: threads * rate,
		Peer: "-", Runs: 1, Note: "agents, backend and clients share the cores"}
	return []row{p99, loss, rateRow}, nil
}

func makeThreads(ctx context.Context, a *alone, env []string, n int) ([]string, error) {
	if err := a.ready(ctx); err != nil {
		return nil, err
	}
	var p api.Project
	if err := a.call(api.MethodProjectAdd, api.ProjectAdd{Path: filepath.Join(strings.TrimPrefix(env[0], "HOME="), "project")}, &p); err != nil {
		return nil, err
	}
	var ids []string
	for range n {
		var t api.Thread
		if err := a.call(api.MethodThreadCreate, api.ThreadCreate{ProjectID: p.ID, AgentID: "qwen"}, &t); err != nil {
			return nil, err
		}
		ids = append(ids, t.ID)
	}
	return ids, nil
}

// calls makes an empty call every few milliseconds and returns how long each took, in ms.
func (a *alone) calls(ctx context.Context, during time.Duration) sample {
	var all sample
	end := time.Now().Add(during)
	for time.Now().Before(end) && ctx.Err() == nil {
		start := time.Now()
		if a.call(api.MethodPing, api.Empty{}, nil) != nil {
			break
		}
		all = append(all, float64(time.Since(start).Microseconds())/1000)
		time.Sleep(5 * time.Millisecond)
	}
	return all
}

// words makes messages of words in about the frequency that words have.
type words struct {
	r   *rand.Rand
	all []string
}

func newWords() *words {
	w := &words{r: rand.New(rand.NewPCG(3, 4))}
	for i := range 8000 {
		w.all = append(w.all, string([]byte{byte('a' + i*7%26), byte('a' + i*11%25), byte('a' + i%24), byte('a' + i/24%26), byte('a' + i/600%26)})[:3+i%3])
	}
	return w
}

func (w *words) message(n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(w.all[min(len(w.all)-1, int(w.r.ExpFloat64()*900))])
		b.WriteByte(' ')
	}
	return b.String()
}

// fill writes threads with messages straight into a database; running leaves the last turn of each running.
func fill(ctx context.Context, dir string, threads, messages, long int, running bool) error {
	st, err := store.Open(ctx, store.Options{Dir: dir})
	if err != nil {
		return err
	}
	w := newWords()
	project := api.Project{ID: "p_bench", Name: "bench", Path: dir}
	if err := st.Commit(ctx, &store.Write{Events: []store.Event{{Stream: store.Shell, Event: api.Event{Type: api.EventProjectUpserted, Project: &project}}}}); err != nil {
		return err
	}
	for n := range threads {
		id, count := fmt.Sprintf("t_%05d", n), messages
		if n == 0 && long > 0 {
			count = long
		}
		state := api.TurnCompleted
		if running {
			state = api.TurnRunning
		}
		head := api.Thread{ID: id, ProjectID: project.ID, Title: w.message(5), AgentID: "demo", Permission: api.PermissionSupervised, State: state, CreatedAt: 1, UpdatedAt: int64(n)}
		events := []store.Event{{Stream: store.Shell, Event: api.Event{Type: api.EventThreadUpserted, Thread: &head}}, {Stream: store.ThreadStream(id), Event: api.Event{Type: api.EventThreadUpserted, Thread: &head}}}
		const each = 10
		for m := range count {
			turn := fmt.Sprintf("u_%05d_%06d", n, m/each)
			if m%each == 0 {
				u := api.Turn{ID: turn, ThreadID: id, Ordinal: int64(m/each + 1), State: api.TurnCompleted, StartedAt: 1, EndedAt: 2}
				if running && m+each >= count {
					u.State, u.EndedAt = api.TurnRunning, 0
				}
				events = append(events, store.Event{Stream: store.ThreadStream(id), Event: api.Event{Type: api.EventTurnUpserted, Turn: &u}})
			}
			it := api.Item{ID: fmt.Sprintf("i_%05d_%06d", n, m), ThreadID: id, TurnID: turn, Ordinal: int64(m + 1), Kind: api.ItemAgentMessage, CreatedAt: 1, UpdatedAt: 1, Text: w.message(60)}
			if m%each == 0 {
				it.Kind = api.ItemUserMessage
			}
			if n == threads/2 && m == count/2 {
				it.Text += " needleword"
			}
			events = append(events, store.Event{Stream: store.ThreadStream(id), Event: api.Event{Type: api.EventItemUpserted, Item: &it}})
			if len(events) >= 500 {
				if err := st.Commit(ctx, &store.Write{Events: events}); err != nil {
					return err
				}
				events = nil
			}
		}
		if err := st.Commit(ctx, &store.Write{Events: events}); err != nil {
			return err
		}
	}
	return st.Close()
}

// benchHistory: a database of 100,000 messages, one thread of 20,000 among them.
func benchHistory(ctx context.Context, s *setup) ([]row, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	home := filepath.Join(s.tmp, "history")
	data := filepath.Join(home, "backend")
	if err := fill(ctx, data, 161, 500, 20_000, false); err != nil {
		return nil, err
	}
	a, err := serveAlone(ctx, s, append(os.Environ(), "CATAMARAN_HOME="+home))
	if err != nil {
		return nil, err
	}
	defer a.stop()
	if err := a.ready(ctx); err != nil {
		return nil, err
	}
	floor := a.calls(ctx, time.Second)
	f, err := a.feed(ctx)
	if err != nil {
		return nil, err
	}
	defer f.ws.CloseNow()
	beside := func(r row, budget string) row {
		r.Budget, r.Peer, r.OtherName, r.Other = budget, "-", "an empty call", floor.quantile(.5)
		return r
	}
	var long, some, back sample
	for i := range s.runs(40) {
		for _, m := range []struct {
			to     *sample
			thread string
		}{{&long, "t_00000"}, {&some, fmt.Sprintf("t_%05d", 1+i)}} {
			start := time.Now()
			n, err := f.open(ctx, fmt.Sprint(m.thread, i), m.thread)
			if err != nil || n == 0 {
				return nil, fmt.Errorf("open %s: %d items, %w", m.thread, n, err)
			}
			*m.to = append(*m.to, ms(time.Since(start)))
		}
		start := time.Now()
		var p api.ThreadPart
		if err := a.call(api.MethodThreadHistory, api.ThreadHistory{ThreadID: "t_00000", Before: int64(20_000 - 400*(i+1))}, &p); err != nil || len(p.Items) == 0 {
			return nil, fmt.Errorf("history: %d items, %w", len(p.Items), err)
		}
		back = append(back, ms(time.Since(start)))
	}
	rows := []row{
		beside(some.row("opening a thread of 500 messages, 100,000 in the database", "ms"), "< 50 ms"),
		beside(long.row("opening a thread of 20,000 messages, same database", "ms"), "< 50 ms"),
		beside(back.row("200 older messages of it", "ms"), ""),
	}
	w := newWords()
	for _, q := range []struct{ name, text, thread string }{
		{"search 100,000 messages: a rare word", "needleword", ""}, {"search: a word in many messages", w.all[30], ""},
		{"search: two letters", w.all[40][:2], ""}, {"search: two words", w.all[30] + " " + w.all[700], ""}, {"find in one thread", w.all[30], "t_00000"},
	} {
		var all sample
		for range s.runs(20) {
			start := time.Now()
			var h api.SearchHits
			if err := a.call(api.MethodSearch, api.Search{Text: q.text, ThreadID: q.thread}, &h); err != nil || len(h.Hits) == 0 {
				return rows, fmt.Errorf("search %q: %d hits, %w", q.text, len(h.Hits), err)
			}
			all = append(all, ms(time.Since(start)))
		}
		rows = append(rows, beside(all.row(q.name, "ms"), ""))
	}
	return rows, nil
}

// benchGrowth: what a session of 50 turns leaves on the disk beside the text one can see of it.
func benchGrowth(ctx context.Context, s *setup) ([]row, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	env, err := floodHome(s)
	if err != nil {
		return nil, err
	}
	a, err := serveAlone(ctx, s, env)
	if err != nil {
		return nil, err
	}
	defer a.stop()
	ids, err := makeThreads(ctx, a, env, 1)
	if err != nil {
		return nil, err
	}
	turns := 50
	for n := range turns {
		f, err := a.feed(ctx)
		if err != nil {
			return nil, err
		}
		var failed error
		_, _, err = f.watch(ctx, ids, func() {
			failed = a.call(api.MethodTurnStart, api.TurnStart{ThreadID: ids[0], Text: fmt.Sprintf("Please look at what the tests say and mend it, step %d", n)}, nil)
		})
		f.ws.CloseNow()
		if err := errors.Join(err, failed); err != nil {
			return nil, err
		}
	}
	visible, rows := 0, 0
	for before, more := int64(1<<40), true; more; {
		var p api.ThreadPart
		if err := a.call(api.MethodThreadHistory, api.ThreadHistory{ThreadID: ids[0], Before: before, Limit: 1000}, &p); err != nil {
			return nil, err
		}
		for _, it := range p.Items {
			visible += visibleBytes(&it)
			rows++
		}
		more, before = p.Earlier, p.Items[0].Ordinal
	}
	a.stop()
	size := int64(0)
	err = filepath.WalkDir(filepath.Join(strings.TrimPrefix(env[3], "CATAMARAN_HOME="), "backend"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "/logs/") {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return []row{{What: "growth: bytes on disk for each visible byte, 50 turns", Unit: "x", Ours: float64(size) / float64(visible), Budget: "< 3", Peer: "3.7 GB for 1,928 turns", Runs: 1,
		Note: fmt.Sprintf("%.1f MB for %.1f MB, %d items", float64(size)/1e6, float64(visible)/1e6, rows)}}, nil
}

func visibleBytes(it *api.Item) int {
	n := len(it.Text)
	if t := it.Tool; t != nil {
		n += len(t.Title) + len(t.Command) + int(max(t.OutputBytes, int64(len(t.Output))))
		for _, e := range t.Edits {
			n += len(e.OldText) + len(e.NewText)
		}
	}
	return n
}

// benchRestart: a backend killed with a turn running in each of a thousand threads.
func benchRestart(ctx context.Context, s *setup) ([]row, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	var start, idle sample
	for run := range s.runs(4) {
		home := filepath.Join(s.tmp, fmt.Sprint("restart", run))
		if err := fill(ctx, filepath.Join(home, "backend"), 1000, 20, 0, true); err != nil {
			return nil, err
		}
		for _, to := range []*sample{&start, &idle} {
			began := time.Now()
			a, err := serveAlone(ctx, s, append(os.Environ(), "CATAMARAN_HOME="+home))
			if err != nil {
				return nil, err
			}
			if err := a.ready(ctx); err != nil {
				a.stop()
				return nil, err
			}
			*to = append(*to, ms(time.Since(began)))
			err = a.final(ctx)
			// The next start is after a kill too, with nothing open.
			_ = a.cmd.Process.Kill()
			a.stop()
			if err != nil {
				return nil, err
			}
		}
	}
	r := start.row("start after kill -9, 1,000 threads each in a turn: every turn in a final state", "ms")
	r.Budget, r.Peer, r.OtherName, r.Other = "< 2,000 ms after ready", "stuck for ever (reported)", "the same with no turn", idle.quantile(.5)
	return []row{r}, nil
}

// final checks that no thread is in a turn.
func (a *alone) final(ctx context.Context) error {
	f, err := a.feed(ctx)
	if err != nil {
		return err
	}
	defer f.ws.CloseNow()
	if err := f.send(ctx, api.ClientFrame{Type: api.FrameSubscribe, ID: "s", Topic: api.TopicShell}); err != nil {
		return err
	}
	for {
		fr, err := f.next(ctx)
		if err != nil {
			return err
		}
		if fr.Shell == nil {
			continue
		}
		for _, t := range fr.Shell.Threads {
			if !t.State.Final() {
				return fmt.Errorf("thread %s is %s", t.ID, t.State)
			}
		}
		if len(fr.Shell.Threads) != 1000 {
			return fmt.Errorf("%d threads", len(fr.Shell.Threads))
		}
		return nil
	}
}
