package storetest_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/api"
	"catamaran/internal/store"
	"catamaran/internal/store/storetest"
)

// What is wrong with a database is found; one that is well passes.
func TestVerifyFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ do, want string }{
		"nothing":                    {"SELECT 1", ""},
		"another text":               {`UPDATE items SET data = CAST(replace(CAST(data AS TEXT), 'Hello', 'HELLO') AS BLOB) WHERE id = 'i1'`, "the log of thread:t says"},
		"a lost item":                {"DELETE FROM items WHERE id = 'i1'", "and not there"},
		"an item without event":      {`INSERT INTO items(id, thread, turn, ordinal, kind, open, data) VALUES ('x', 't', 'u', 9, 'notice', 0, CAST('{"id":"x","threadId":"t","kind":"notice","ordinal":9}' AS BLOB))`, "no log tells of"},
		"a removed one that is back": {`UPDATE events SET type = 'item.removed', data = NULL WHERE ref = 'i1'`, "was removed"},
		"a head behind its log":      {"UPDATE streams SET head = 1 WHERE name = 'thread:t'", "behind their log"},
		"a column of its own mind":   {"UPDATE items SET ordinal = 77 WHERE id = 'i1'", "columns and JSON differ"},
		"a message not indexed":      {"UPDATE items SET n = NULL WHERE id = 'i1'", "not in the index"},
		"streaming for ever":         {"INSERT INTO live VALUES ('i1', 't', CAST('{}' AS BLOB))", "still stream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, err := store.Open(t.Context(), store.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			head := api.Event{Type: api.EventThreadUpserted, Thread: &api.Thread{ID: "t", ProjectID: "p", Title: "title"}}
			w := &store.Write{Events: []store.Event{
				{Stream: store.Shell, Event: api.Event{Type: api.EventProjectUpserted, Project: &api.Project{ID: "p", Path: "/p"}}},
				{Stream: store.Shell, Event: head}, {Stream: store.ThreadStream("t"), Event: head},
				{Stream: store.ThreadStream("t"), Event: api.Event{Type: api.EventTurnUpserted, Turn: &api.Turn{ID: "u", ThreadID: "t", State: api.TurnCompleted}}},
				{Stream: store.ThreadStream("t"), Event: api.Event{Type: api.EventItemUpserted, Item: &api.Item{ID: "i1", ThreadID: "t", TurnID: "u", Ordinal: 1, Kind: api.ItemAgentMessage, Text: "Hello there"}}},
			}}
			if err := s.Commit(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			s.Close()
			db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(dir, "catamaran.db")))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(c.do); err != nil {
				t.Fatal(err)
			}
			db.Close()
			err = storetest.Verify(t.Context(), dir)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}
