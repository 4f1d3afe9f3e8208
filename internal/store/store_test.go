package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"catamaran/internal/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), oddFolder)
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func project(id string) Event {
	return Event{Stream: Shell, Event: api.Event{Type: api.EventProjectUpserted, At: 1, Project: &api.Project{ID: id, Name: id, Path: "/" + id}}}
}

func threadHead(id, project string) []Event {
	e := api.Event{Type: api.EventThreadUpserted, At: 1, Thread: &api.Thread{ID: id, ProjectID: project, Title: "title of " + id}}
	return []Event{{Stream: Shell, Event: e}, {Stream: ThreadStream(id), Event: e}}
}

func item(thread, id string, ordinal int64, text string) Event {
	return Event{Stream: ThreadStream(thread), Event: api.Event{Type: api.EventItemUpserted, At: 1,
		Item: &api.Item{ID: id, ThreadID: thread, TurnID: "u", Ordinal: ordinal, Kind: api.ItemAgentMessage, Text: text}}}
}

func commit(t testing.TB, s *Store, w *Write) {
	t.Helper()
	if err := s.Commit(t.Context(), w); err != nil {
		t.Fatal(err)
	}
}

func seed(t testing.TB, s *Store) {
	t.Helper()
	commit(t, s, &Write{Events: append([]Event{project("p")}, threadHead("t", "p")...)})
}

func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	if !hasModes {
		t.Skip("this system has no permission bits; the list of the user's own folder protects the files")
	}
	s := open(t, Options{})
	seed(t, s)
	for name, want := range map[string]os.FileMode{"": 0o700, databaseFile: 0o600, databaseFile + "-wal": 0o600, lockFile: 0o600} {
		info, err := os.Stat(filepath.Join(s.o.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has mode %o, want %o", name, got, want)
		}
	}
	var mode string
	var vacuum, keys int
	for query, to := range map[string]any{"PRAGMA journal_mode": &mode, "PRAGMA auto_vacuum": &vacuum, "PRAGMA foreign_keys": &keys} {
		if err := s.reader.QueryRow(query).Scan(to); err != nil {
			t.Fatal(err)
		}
	}
	if mode != "wal" || vacuum != 2 || keys != 1 {
		t.Fatalf("journal %s, auto_vacuum %d, foreign_keys %d", mode, vacuum, keys)
	}
	if _, err := s.reader.Exec("DELETE FROM projects"); err == nil {
		t.Fatal("a reader can write")
	}
}

func TestOneOwner(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	_, err := Open(t.Context(), Options{Dir: s.o.Dir})
	if api.CodeOf(err) != api.CodeDatabaseOwned || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Fatalf("got %v", err)
	}
	s.Close()
	again := open(t, Options{Dir: s.o.Dir})
	again.Close()
}

func TestNewerSchemaIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	seed(t, s)
	s.Close()
	newer := open(t, Options{Dir: s.o.Dir, migrations: append(migrations[:len(migrations):len(migrations)], "CREATE TABLE future (x)")})
	newer.Close()
	if _, err := Open(t.Context(), Options{Dir: s.o.Dir}); api.CodeOf(err) != api.CodeDatabaseNewer {
		t.Fatalf("got %v", err)
	}
	again := open(t, Options{Dir: s.o.Dir, migrations: append(migrations[:len(migrations):len(migrations)], "CREATE TABLE future (x)")})
	if _, err := again.Project(t.Context(), "p"); err != nil {
		t.Fatal(err)
	}
}

func TestMigrationCopiesFirstAndIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	seed(t, s)
	s.Close()
	bad := append(migrations[:len(migrations):len(migrations)], "CREATE TABLE half (x); INSERT INTO nowhere VALUES (1);")
	if _, err := Open(t.Context(), Options{Dir: s.o.Dir, migrations: bad}); err == nil {
		t.Fatal("a failing migration is taken")
	}
	told := false
	good := append(migrations[:len(migrations):len(migrations)], "CREATE TABLE half (x)")
	s2 := open(t, Options{Dir: s.o.Dir, migrations: good, Migrating: func() { told = true }})
	if !told {
		t.Fatal("Migrating was not called")
	}
	if _, err := s2.Project(t.Context(), "p"); err != nil {
		t.Fatal(err)
	}
	before := filepath.Join(s.o.Dir, fmt.Sprint(databaseFile, beforeSuffix, len(good)))
	db, err := openPool(before, reads)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n, version int
	if err := db.QueryRow("SELECT count(*) FROM projects").Scan(&n); err != nil || n != 1 {
		t.Fatalf("the copy holds %d projects, %v", n, err)
	}
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil || version != len(migrations) {
		t.Fatalf("the copy has schema %d, %v", version, err)
	}
}

func TestDamagedDatabaseIsSetAside(t *testing.T) {
	t.Parallel()
	damage := map[string]func(b []byte) []byte{
		"not a database": func(b []byte) []byte { return []byte(strings.Repeat("not a database ", 1000)) },
		"header smashed": func(b []byte) []byte { copy(b[16:], make([]byte, 84)); return b },
		"pages smashed":  func(b []byte) []byte { copy(b[4096:], strings.Repeat("\xff", len(b)-4096)); return b },
		"end missing":    func(b []byte) []byte { return b[:len(b)/2] },
	}
	for name, smash := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, Options{})
			seed(t, s)
			var events []Event
			for i := range 200 {
				events = append(events, item("t", fmt.Sprint("i", i), int64(i), strings.Repeat("text ", 100)))
			}
			commit(t, s, &Write{Events: events})
			s.Close()
			path := filepath.Join(s.o.Dir, databaseFile)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b = smash(b)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			s2 := open(t, Options{Dir: s.o.Dir})
			n := s2.Notice()
			if n == nil || n.Code != api.CodeDatabaseCorrupt {
				t.Fatalf("notice %+v", n)
			}
			kept, err := filepath.Glob(path + ".corrupt-*Z")
			if err != nil || len(kept) != 1 || !strings.Contains(n.Hint, kept[0]) {
				t.Fatalf("kept %v, hint %q", kept, n.Hint)
			}
			was, err := os.ReadFile(kept[0])
			if err != nil || string(was) != string(b) {
				for i := range was {
					if i >= len(b) || was[i] != b[i] {
						t.Fatalf("the damaged file was changed from byte %d of %d on (%d now)", i, len(b), len(was))
					}
				}
				t.Fatalf("the damaged file has %d bytes, had %d: %v", len(was), len(b), err)
			}
			seed(t, s2)
		})
	}
}

func TestViewSnapshotAndReplay(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	seed(t, s)
	for i := range 5 {
		commit(t, s, &Write{Events: []Event{item("t", fmt.Sprint("i", i), int64(i), "x")}})
	}
	v, err := s.View(t.Context(), ThreadStream("t"), nil, nil)
	if err != nil || v.Seq != 6 || len(v.Thread.Items) != 5 || v.Thread.Thread.Title != "title of t" {
		t.Fatalf("%+v %v", v, err)
	}
	after := int64(4)
	v, err = s.View(t.Context(), ThreadStream("t"), &after, nil)
	if err != nil || v.Thread != nil || len(v.Events) != 2 || v.Events[0].Seq != 5 || v.Events[0].Item.ID != "i3" {
		t.Fatalf("%+v %v", v, err)
	}
	ahead := int64(99)
	if v, err = s.View(t.Context(), ThreadStream("t"), &ahead, nil); err != nil || v.Thread == nil {
		t.Fatalf("a cursor of another database: %+v %v", v, err)
	}
	attached := false
	if _, err = s.View(t.Context(), ThreadStream("nobody"), nil, func() { attached = true }); !errors.Is(err, ErrNotFound) || attached {
		t.Fatalf("got %v, attached %v", err, attached)
	}
	if v, err = s.View(t.Context(), Shell, nil, nil); err != nil || len(v.Shell.Projects) != 1 || len(v.Shell.Threads) != 1 || v.Seq != 2 {
		t.Fatalf("%+v %v", v, err)
	}
}

func TestOldEventsArePrunedAndOldCursorsGetASnapshot(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	seed(t, s)
	var events []Event
	for i := range keepThreadEvents + 2*pruneStep {
		e := item("t", "same", 1, fmt.Sprint("version ", i))
		e.Item.Kind = api.ItemNotice // what is searched costs more to change
		events = append(events, e)
	}
	commit(t, s, &Write{Events: events})
	var kept int
	if err := s.reader.QueryRow("SELECT count(*) FROM events e JOIN streams s ON s.id = e.stream WHERE s.name = 'thread:t'").Scan(&kept); err != nil {
		t.Fatal(err)
	}
	if kept < keepThreadEvents || kept >= keepThreadEvents+pruneStep {
		t.Fatalf("%d events are kept", kept)
	}
	old := int64(3)
	v, err := s.View(t.Context(), ThreadStream("t"), &old, nil)
	if err != nil || v.Thread == nil || len(v.Thread.Items) != 1 || v.Seq != int64(len(events)+1) {
		t.Fatalf("%+v %v", v, err)
	}
	recent := v.Seq - keepThreadEvents
	if v, err = s.View(t.Context(), ThreadStream("t"), &recent, nil); err != nil || len(v.Events) != keepThreadEvents {
		t.Fatalf("%d events, %v", len(v.Events), err)
	}
}

// A view and the subscription attached in it miss nothing and repeat nothing.
func TestAttachIsExact(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sinks []chan int64
	s := open(t, Options{Published: func(events []Event) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			if e.Stream != Shell {
				for _, c := range sinks {
					c <- e.Seq
				}
			}
		}
	}})
	seed(t, s)
	const writes = 300
	done := make(chan struct{})
	go func() {
		defer close(done)
		var wg sync.WaitGroup
		for w := range 3 {
			wg.Go(func() {
				for i := range writes / 3 {
					if err := s.Commit(context.Background(), &Write{Events: []Event{item("t", fmt.Sprint("i", w, i), int64(i), "x")}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}()
	type sub struct {
		from int64
		c    chan int64
	}
	var subs []sub
	for range 30 {
		c := make(chan int64, writes+10)
		v, err := s.View(t.Context(), ThreadStream("t"), nil, func() {
			mu.Lock()
			sinks = append(sinks, c)
			mu.Unlock()
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := int64(len(v.Thread.Items)) + 1; got != v.Seq {
			t.Fatalf("%d items at %d", got-1, v.Seq)
		}
		subs = append(subs, sub{v.Seq, c})
	}
	<-done
	for i, s := range subs {
		want := s.from
		close(s.c)
		for seq := range s.c {
			if want++; seq != want {
				t.Fatalf("subscription %d from %d: got %d, want %d", i, s.from, seq, want)
			}
		}
		if want != writes+1 {
			t.Fatalf("subscription %d ends at %d", i, want)
		}
	}
}

func TestABadWriteFailsAlone(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	seed(t, s)
	var wg sync.WaitGroup
	errs := make([]error, 40)
	for i := range errs {
		wg.Go(func() {
			thread := "t"
			if i%4 == 0 {
				thread = "nobody" // no such thread: the foreign key refuses it
			}
			errs[i] = s.Commit(context.Background(), &Write{Events: []Event{item(thread, fmt.Sprint("i", i), int64(i), "x")}})
		})
	}
	wg.Wait()
	for i, err := range errs {
		if (err != nil) != (i%4 == 0) {
			t.Errorf("write %d: %v", i, err)
		}
	}
	v, err := s.View(t.Context(), ThreadStream("t"), nil, nil)
	if err != nil || len(v.Thread.Items) != 30 || v.Seq != 31 {
		t.Fatalf("%d items at %d, %v", len(v.Thread.Items), v.Seq, err)
	}
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	s := open(t, Options{Now: func() time.Time { return now }})
	commit(t, s, &Write{Receipt: &Receipt{ID: "a", Method: "m", Answer: json.RawMessage(`{"x":1}`)}})
	commit(t, s, &Write{Receipt: &Receipt{ID: "b", Method: "m", Error: &api.Error{Code: api.CodeConflict, Message: "no"}}})
	if err := s.Commit(t.Context(), &Write{Events: []Event{project("p")}, Receipt: &Receipt{ID: "a", Method: "m"}}); err == nil {
		t.Fatal("a command id is stored twice")
	}
	if _, err := s.Project(t.Context(), "p"); !errors.Is(err, ErrNotFound) {
		t.Fatal("half of a refused write is there")
	}
	r, err := s.Receipt(t.Context(), "a")
	if err != nil || string(r.Answer) != `{"x":1}` || r.Error != nil {
		t.Fatalf("%+v %v", r, err)
	}
	if r, err = s.Receipt(t.Context(), "b"); err != nil || r.Error == nil || r.Error.Code != api.CodeConflict {
		t.Fatalf("%+v %v", r, err)
	}
	s.Close()
	now = now.Add(receiptAge + time.Minute)
	s = open(t, Options{Dir: s.o.Dir, Now: func() time.Time { return now }})
	if _, err := s.Receipt(t.Context(), "a"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("an old receipt is kept: %v", err)
	}
}

func TestRemovedMeansGone(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	seed(t, s)
	const secret = "XyzzySecretText"
	head := threadHead("t2", "p")
	for i := range head {
		head[i].Thread.Title = secret
	}
	turn := Event{Stream: ThreadStream("t2"), Event: api.Event{Type: api.EventTurnUpserted, Turn: &api.Turn{ID: "u", ThreadID: "t2", State: api.TurnCompleted}}}
	commit(t, s, &Write{Events: append(head, turn, item("t2", "i", 1, strings.Repeat(secret, 5000))),
		Live:    []api.Item{{ID: "l", ThreadID: "t2", Text: secret}},
		Receipt: &Receipt{ID: "c", Method: "m", Ref: "t2", Answer: json.RawMessage(`"` + secret + `"`)}})
	o := s.NewOutput("t2", "i")
	if err := o.Append(strings.Repeat(secret, 20000)); err != nil {
		t.Fatal(err)
	}
	o.Close()
	removed := api.Event{Type: api.EventThreadRemoved, RemovedID: "t2"}
	commit(t, s, &Write{Events: []Event{{Stream: ThreadStream("t2"), Event: removed}, {Stream: Shell, Event: removed}}})
	if err := s.DropSpill("t2"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	err := filepath.Walk(s.o.Dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), secret) {
			t.Errorf("%s still holds the text", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{Dir: s.o.Dir})
	for _, table := range []string{"turns", "items", "live", "receipts"} {
		var n int
		if err := s.reader.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s has %d rows, %v", table, n, err)
		}
	}
	if _, err := s.Work(t.Context(), "t2"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	if v, err := s.View(t.Context(), Shell, nil, nil); err != nil || len(v.Shell.Threads) != 1 || v.Seq != 4 {
		t.Fatalf("%+v %v", v, err)
	}
}

func TestWorkAndUnfinished(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	seed(t, s)
	turn := func(id string, n int64, state api.TurnState) Event {
		return Event{Stream: ThreadStream("t"), Event: api.Event{Type: api.EventTurnUpserted, Turn: &api.Turn{ID: id, ThreadID: "t", Ordinal: n, State: state}}}
	}
	it := func(id, turn string, n int64, kind api.ItemKind, live bool) Event {
		return Event{Stream: ThreadStream("t"), Event: api.Event{Type: api.EventItemUpserted,
			Item: &api.Item{ID: id, ThreadID: "t", TurnID: turn, Ordinal: n, Kind: kind, Live: live}}}
	}
	commit(t, s, &Write{Events: []Event{turn("done", 1, api.TurnCompleted), it("m1", "done", 1, api.ItemUserMessage, false)}})
	if ids, err := s.Unfinished(t.Context()); err != nil || len(ids) != 0 {
		t.Fatalf("%v %v", ids, err)
	}
	commit(t, s, &Write{
		Events: []Event{turn("runs", 2, api.TurnRunning), it("m2", "runs", 2, api.ItemUserMessage, false), it("tool", "runs", 3, api.ItemToolCall, true)},
		Live:   []api.Item{{ID: "tool", ThreadID: "t", Ordinal: 3, Live: true, Text: "one"}, {ID: "msg", ThreadID: "t", Ordinal: 9, Live: true}},
		Resume: &Resume{ThreadID: "t", AgentID: "demo", Cursor: "abc"},
		Refs:   &Refs{TurnID: "runs", Before: "ref1"}})
	commit(t, s, &Write{Live: []api.Item{{ID: "tool", ThreadID: "t", Ordinal: 3, Live: true, Text: "one two"}}, Refs: &Refs{TurnID: "runs", After: "ref2"}})
	w, err := s.Work(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Turns) != 1 || len(w.Items) != 2 || len(w.Live) != 2 || w.LastTurn != 2 || w.LastItem != 9 || w.Resume.Cursor != "abc" {
		t.Fatalf("%+v", w)
	}
	if _, refs, err := s.Turn(t.Context(), "runs"); err != nil || refs.Before != "ref1" || refs.After != "ref2" {
		t.Fatalf("%+v %v", refs, err)
	}
	commit(t, s, &Write{Events: []Event{it("tool", "runs", 3, api.ItemToolCall, false), it("msg", "runs", 9, api.ItemAgentMessage, false), turn("runs", 2, api.TurnInterrupted)}})
	if ids, err := s.Unfinished(t.Context()); err != nil || len(ids) != 0 {
		t.Fatalf("%v %v", ids, err)
	}
}

func TestClosedStore(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	seed(t, s)
	s.Close()
	s.Close()
	if err := s.Commit(t.Context(), &Write{}); !errors.Is(err, ErrClosed) {
		t.Fatalf("got %v", err)
	}
	if _, err := s.View(t.Context(), Shell, nil, nil); err == nil {
		t.Fatal("a closed store answers")
	}
}
