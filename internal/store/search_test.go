package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
)

func look(t testing.TB, s *Store, r api.Search) api.SearchHits {
	t.Helper()
	if r.Limit == 0 {
		r.Limit = 50
	}
	h, err := s.Search(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range h.Hits {
		if len(x.Marks) == 0 {
			t.Fatalf("a hit without a mark: %+v", x)
		}
	}
	return h
}

// places names hits: the item, or the thread of a title.
func places(h api.SearchHits) string {
	var all []string
	for _, x := range h.Hits {
		if x.ItemID == "" {
			all = append(all, "title of "+x.Thread.ID)
		} else {
			all = append(all, x.ItemID)
		}
	}
	return strings.Join(all, ",")
}

func settle(t testing.TB, s *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Settle(ctx); err != nil {
		t.Fatal(err)
	}
}

func titled(id, project, title string, archived bool) []Event {
	th := &api.Thread{ID: id, ProjectID: project, Title: title}
	if archived {
		th.ArchivedAt = 5
	}
	e := api.Event{Type: api.EventThreadUpserted, At: 1, Thread: th}
	return []Event{{Stream: Shell, Event: e}, {Stream: ThreadStream(id), Event: e}}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	commit(t, s, &Write{Events: []Event{project("p1"), project("p2")}})
	commit(t, s, &Write{Events: append(append(titled("t1", "p1", "Fix the parser", false), titled("t2", "p2", "Draw a diagram", false)...), titled("t3", "p1", "An old parser", true)...)})
	tool := item("t1", "i3", 3, "")
	tool.Item.Kind, tool.Item.Tool = api.ItemToolCall, &api.ToolCall{Title: "parser", Output: "parser"}
	streaming := item("t1", "i4", 4, "The parser is strea")
	streaming.Item.Live = true
	commit(t, s, &Write{Events: []Event{
		item("t1", "i1", 1, "Please repair the Parser in useState"), item("t1", "i2", 2, "Done; ünïcode and 日本語の検索 work"), tool, streaming,
		item("t2", "i5", 1, "a parser of diagrams"), item("t3", "i6", 1, "the parser of old"),
	}})
	for _, c := range []struct {
		want string
		r    api.Search
	}{
		{"title of t1,i5,i1", api.Search{Text: "parser"}},
		{"title of t3,title of t1,i6,i5,i1", api.Search{Text: "PARS", Archived: true}},
		{"title of t1,i1", api.Search{Text: "parser", ProjectID: "p1"}},
		{"i5", api.Search{Text: "parser", ThreadID: "t2"}},
		{"i6", api.Search{Text: "parser", ThreadID: "t3"}},
		{"i1", api.Search{Text: "repair parser"}},
		{"", api.Search{Text: "arser"}},
		{"i1", api.Search{Text: "state"}},
		{"i2", api.Search{Text: "UNICODE"}},
		{"i2", api.Search{Text: "検索"}},
		{"i2", api.Search{Text: "本語"}},
		{"", api.Search{Text: "語本"}},
		{"i5", api.Search{Text: `"parser of diagrams"`}},
		{"", api.Search{Text: `"of parser"`}},
		{"title of t2,i5", api.Search{Text: "diagram"}},
		{"", api.Search{Text: " ;; "}},
		{"", api.Search{Text: `" OR place : "t2`}},
		{"", api.Search{Text: "parser", ThreadID: "t"}},
	} {
		if got := places(look(t, s, c.r)); got != c.want {
			t.Errorf("%+v: %s, want %s", c.r, got, c.want)
		}
	}
	h := look(t, s, api.Search{Text: "parser", Limit: 2})
	if len(h.Hits) != 2 || !h.More || h.Hits[0].Thread.Title != "Fix the parser" || h.Hits[1].Kind != api.ItemAgentMessage {
		t.Fatalf("%+v", h)
	}
	// The index follows what changes.
	done := item("t1", "i4", 4, "The parser streamed")
	commit(t, s, &Write{Events: append(titled("t1", "p1", "Mend the lexer", false), done, item("t1", "i1", 9, "Please repair the lexer"),
		Event{Stream: ThreadStream("t2"), Event: api.Event{Type: api.EventItemRemoved, RemovedID: "i5"}})})
	settle(t, s)
	if got := places(look(t, s, api.Search{Text: "parser"})); got != "i4" {
		t.Fatal(got)
	}
	if got := places(look(t, s, api.Search{Text: "lexer"})); got != "title of t1,i1" {
		t.Fatal(got)
	}
	sound(t, s)
}

// sound has the index check itself.
func sound(t testing.TB, s *Store) {
	t.Helper()
	s.Close()
	db, err := openPool(s.path(), writes)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("INSERT INTO search(search) VALUES ('integrity-check')"); err != nil {
		t.Error(err)
	}
	var answer string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&answer); err != nil || answer != "ok" {
		t.Error(answer, err)
	}
}

// old makes a database of the first schema, with n messages.
func old(t testing.TB, dir string, n int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := openPool(filepath.Join(dir, databaseFile), creates)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := tx.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
	}
	data := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	exec(schemaOne)
	exec("PRAGMA user_version = 1")
	exec("INSERT INTO projects(id, path, created, data) VALUES ('p', '/p', 1, ?)", data(api.Project{ID: "p", Path: "/p"}))
	exec("INSERT INTO streams(name, head, floor) VALUES ('shell', 1, 1), ('thread:t', 1, 1)")
	exec("INSERT INTO threads(id, project, updated, data) VALUES ('t', 'p', 1, ?)", data(api.Thread{ID: "t", ProjectID: "p", Title: "from before"}))
	for i := range n {
		it := api.Item{ID: fmt.Sprint("i", i), ThreadID: "t", TurnID: "u", Ordinal: int64(i + 1), Kind: api.ItemAgentMessage, Text: fmt.Sprintf("message number%d of old", i)}
		exec("INSERT INTO items(id, thread, turn, ordinal, kind, open, data) VALUES (?, 't', 'u', ?, 'agent_message', 0, ?)", it.ID, it.Ordinal, data(it))
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// Messages from before the search are indexed behind the back of everybody, also over restarts.
func TestOldMessagesAreIndexedAfterTheStart(t *testing.T) {
	t.Parallel()
	const n = 1500
	dir := filepath.Join(t.TempDir(), globFolder)
	old(t, dir, n)
	migrated := false
	s := open(t, Options{Dir: dir, Migrating: func() { migrated = true }})
	if !migrated {
		t.Fatal("no migration")
	}
	// While that goes on, messages are changed, come and go.
	commit(t, s, &Write{Events: []Event{item("t", "i1400", 1401, "changed anew"), item("t", "new", 5000, "a newer one of old"),
		{Stream: ThreadStream("t"), Event: api.Event{Type: api.EventItemRemoved, RemovedID: "i1300"}}}})
	for range 3 {
		s.Close()
		s = open(t, Options{Dir: dir})
	}
	settle(t, s)
	h := look(t, s, api.Search{Text: "old message", Limit: 1 << 20})
	if len(h.Hits) != n-2 || h.Indexing || h.Hits[0].ItemID != "i1499" {
		t.Fatalf("%d hits, indexing %v", len(h.Hits), h.Indexing)
	}
	for query, want := range map[string]string{"number1300": "", "number1400": "", "changed": "i1400", "newer": "new", "number700": "i700", "before": "title of t"} {
		if got := places(look(t, s, api.Search{Text: query})); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	sound(t, s)
}

func TestAnotherWayOfMakingWordsIndexesAnew(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	long(t, s, 30, 5, "some words")
	s.Close()
	db, err := openPool(s.path(), writes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE meta SET value = 99 WHERE key = 'words'"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	s = open(t, Options{Dir: s.o.Dir})
	settle(t, s)
	if h := look(t, s, api.Search{Text: "words", Limit: 1000}); len(h.Hits) != 150 || h.Indexing {
		t.Fatalf("%d hits", len(h.Hits))
	}
	sound(t, s)
}

// A deleted thread leaves no word of it in any file.
func TestDeletedTextLeavesTheFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	old(t, dir, 10)
	s := open(t, Options{Dir: dir})
	secrets := []string{"secretword"}
	word := func() string {
		w := fmt.Sprintf("plugh%016x", rand.Uint64())
		secrets = append(secrets, w)
		return w
	}
	commit(t, s, &Write{Events: titled("gone", "p", "title "+word(), false)})
	for n := range 300 {
		id := fmt.Sprint("x", n)
		text := word() + strings.Repeat(" secretword and filler", n*n%400)
		commit(t, s, &Write{Live: []api.Item{{ID: id, ThreadID: "gone", Text: text[:len(text)/2]}}})
		ev := item("gone", id, int64(n+1), text)
		commit(t, s, &Write{Events: []Event{ev, item("t", "stays"+id, int64(100+n), "this stays here")}, Receipt: &Receipt{ID: id, Method: "m", Ref: "gone", Answer: json.RawMessage(`"` + word() + `"`)}})
	}
	o := s.NewOutput("gone", "x1")
	if err := o.Append(strings.Repeat(word()+" ", 20_000)); err != nil {
		t.Fatal(err)
	}
	o.Close()
	if left := holding(t, dir, secrets); len(left) < 200 {
		t.Fatalf("the test finds nothing: %v", left)
	}
	removed := api.Event{Type: api.EventThreadRemoved, At: 1, RemovedID: "gone"}
	commit(t, s, &Write{Events: []Event{{Stream: Shell, Event: removed}, {Stream: ThreadStream("gone"), Event: removed}}, Durable: true})
	if err := s.DropSpill("gone"); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	if left := holding(t, dir, secrets); len(left) > 0 {
		t.Errorf("still there: %v", left)
	}
	if got := places(look(t, s, api.Search{Text: "secretword"})); got != "" {
		t.Error(got)
	}
	if h := look(t, s, api.Search{Text: "stays", Limit: 1000}); len(h.Hits) != 300 {
		t.Errorf("%d of the other thread's messages are found", len(h.Hits))
	}
	sound(t, s)
}

// holding lists which of the words are in which files of a folder.
func holding(t testing.TB, dir string, words []string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, w := range words {
			// The index keeps of a word what it does not share with the one before it.
			if bytes.Contains(b, []byte(w)) || len(w) > 12 && bytes.Contains(b, []byte(w[8:])) {
				found = append(found, filepath.Base(path)+": "+w)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func BenchmarkSearchIn100k(b *testing.B) {
	s := open(b, Options{})
	commit(b, s, &Write{Events: []Event{project("p")}})
	vocabulary := make([]string, 5000)
	for i := range vocabulary {
		vocabulary[i] = fmt.Sprintf("%c%c%xord", rune(97+i%19), rune(97+i*7%23), i)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		id := fmt.Sprint("t", n)
		commit(b, s, &Write{Events: titled(id, "p", "thread "+id, false)})
		var events []Event
		for k := range 500 {
			var text strings.Builder
			for range 60 {
				text.WriteString(vocabulary[min(len(vocabulary)-1, int(r.ExpFloat64()*500))])
				text.WriteString(" ")
			}
			if n == 77 && k == 7 {
				text.WriteString("needle")
			}
			events = append(events, item(id, fmt.Sprintf("%s-%d", id, k), int64(k+1), text.String()))
		}
		commit(b, s, &Write{Events: events})
	}
	for name, r := range map[string]api.Search{"rare": {Text: "needle"}, "common": {Text: vocabulary[3]}, "prefix": {Text: vocabulary[40][:2]}, "two": {Text: vocabulary[3] + " " + vocabulary[900]},
		"thread": {Text: vocabulary[3], ThreadID: "t5"}, "project": {Text: vocabulary[60][:3], ProjectID: "p"}} {
		r.Limit = 50
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if h, err := s.Search(b.Context(), r); err != nil || len(h.Hits) == 0 {
					b.Fatal(h, err)
				}
			}
		})
	}
}
