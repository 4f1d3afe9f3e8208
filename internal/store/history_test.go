package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"catamaran/internal/api"
)

func turn(thread, id string, ordinal int64, state api.TurnState) Event {
	return Event{Stream: ThreadStream(thread), Event: api.Event{Type: api.EventTurnUpserted, At: 1,
		Turn: &api.Turn{ID: id, ThreadID: thread, Ordinal: ordinal, State: state}}}
}

// long makes a thread of turns with so many items each; the last one runs.
func long(t testing.TB, s *Store, turns, each int, text string) {
	t.Helper()
	seed(t, s)
	ordinal := int64(0)
	for n := range turns {
		id, state := fmt.Sprintf("u%d", n+1), api.TurnCompleted
		if n == turns-1 {
			state = api.TurnRunning
		}
		events := []Event{turn("t", id, int64(n+1), state)}
		for k := range each {
			ordinal++
			e := item("t", fmt.Sprintf("i%d", ordinal), ordinal, text)
			e.Item.TurnID = id
			if k == 0 {
				e.Item.Kind = api.ItemUserMessage
			}
			events = append(events, e)
		}
		commit(t, s, &Write{Events: events})
	}
}

func snapshotOf(t testing.TB, s *Store) api.ThreadSnapshot {
	t.Helper()
	v, err := s.View(t.Context(), ThreadStream("t"), nil, nil)
	if err != nil || v.Thread == nil {
		t.Fatalf("%+v, %v", v, err)
	}
	return *v.Thread
}

// span checks that items are the ordinals from first to last, without a gap.
func span(t testing.TB, items []api.Item, first, last int64) {
	t.Helper()
	if int64(len(items)) != last-first+1 {
		t.Fatalf("%d items, want %d to %d", len(items), first, last)
	}
	for i, it := range items {
		if it.Ordinal != first+int64(i) {
			t.Fatalf("item %d has ordinal %d, want %d", i, it.Ordinal, first+int64(i))
		}
	}
}

func TestASnapshotIsBounded(t *testing.T) {
	t.Parallel()
	t.Run("whole turns", func(t *testing.T) {
		t.Parallel()
		s := open(t, Options{})
		long(t, s, 30, 15, "x")
		sn := snapshotOf(t, s)
		span(t, sn.Items, 450-13*15+1, 450)
		if len(sn.Turns) != 13 || !sn.Earlier || len(sn.Open) != 0 {
			t.Fatalf("%d turns, earlier %v, %d open", len(sn.Turns), sn.Earlier, len(sn.Open))
		}
	})
	t.Run("one long turn", func(t *testing.T) {
		t.Parallel()
		s := open(t, Options{})
		long(t, s, 2, 1500, "x")
		commit(t, s, &Write{Events: []Event{{Stream: ThreadStream("t"), Event: api.Event{Type: api.EventItemUpserted, At: 1,
			Item: &api.Item{ID: "i1600", ThreadID: "t", TurnID: "u2", Ordinal: 1600, Kind: api.ItemToolCall, Live: true, Tool: &api.ToolCall{}}}}}})
		sn := snapshotOf(t, s)
		span(t, sn.Items, 3000-PartItems+1, 3000)
		if !sn.Earlier || len(sn.Turns) != 1 || len(sn.Open) != 2 || sn.Open[0].ID != "i1501" || sn.Open[1].ID != "i1600" {
			t.Fatalf("turns %+v, open %+v", sn.Turns, sn.Open)
		}
	})
	t.Run("big items", func(t *testing.T) {
		t.Parallel()
		s := open(t, Options{})
		long(t, s, 20, 1, strings.Repeat("x", 200<<10))
		sn := snapshotOf(t, s)
		span(t, sn.Items, 16, 20)
	})
	t.Run("one too big item", func(t *testing.T) {
		t.Parallel()
		s := open(t, Options{})
		long(t, s, 2, 1, strings.Repeat("x", 2<<20))
		span(t, snapshotOf(t, s).Items, 2, 2)
	})
	t.Run("small", func(t *testing.T) {
		t.Parallel()
		s := open(t, Options{})
		long(t, s, 3, 2, "x")
		sn := snapshotOf(t, s)
		span(t, sn.Items, 1, 6)
		if sn.Earlier || len(sn.Turns) != 3 || sn.Open != nil {
			t.Fatalf("%+v", sn)
		}
	})
}

func TestHistoryInParts(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	long(t, s, 100, 7, "x")
	get := func(r api.ThreadHistory) api.ThreadPart {
		t.Helper()
		r.ThreadID = "t"
		p, err := s.History(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		turns := map[string]bool{}
		for _, u := range p.Turns {
			turns[u.ID] = true
		}
		for _, it := range p.Items {
			if !turns[it.TurnID] {
				t.Fatalf("the turn of item %s is missing", it.ID)
			}
		}
		return p
	}
	// From the snapshot back to the beginning, everything comes once.
	at, seen := snapshotOf(t, s).Items[0].Ordinal, int64(0)
	for more := true; more; {
		p := get(api.ThreadHistory{Before: at, Limit: 33})
		if !p.Later {
			t.Fatal("nothing later")
		}
		span(t, p.Items, p.Items[0].Ordinal, at-1)
		seen += int64(len(p.Items))
		at, more = p.Items[0].Ordinal, p.Earlier
	}
	if at != 1 || seen != 700-snapshotItems(t, s) {
		t.Fatalf("ended at %d after %d items", at, seen)
	}
	p := get(api.ThreadHistory{Around: "i350", Limit: 50})
	span(t, p.Items, 325, 374)
	if !p.Earlier || !p.Later {
		t.Fatalf("%v %v", p.Earlier, p.Later)
	}
	p = get(api.ThreadHistory{Around: "i1", Limit: 10})
	span(t, p.Items, 1, 10)
	if p.Earlier {
		t.Fatal("something before the first item")
	}
	p = get(api.ThreadHistory{After: 690, Limit: 100})
	span(t, p.Items, 691, 700)
	if !p.Earlier || p.Later {
		t.Fatalf("%v %v", p.Earlier, p.Later)
	}
	if p = get(api.ThreadHistory{After: 700, Limit: 1}); len(p.Items) != 0 || p.Later || !p.Earlier {
		t.Fatalf("%+v", p)
	}
	for _, r := range []api.ThreadHistory{{ThreadID: "nowhere", Before: 5, Limit: 1}, {ThreadID: "t", Around: "nothing", Limit: 1}} {
		if _, err := s.History(t.Context(), r); err != ErrNotFound {
			t.Fatalf("%+v: %v", r, err)
		}
	}
}

func snapshotItems(t testing.TB, s *Store) int64 { return int64(len(snapshotOf(t, s).Items)) }

func TestOutputIsReadInParts(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	o := s.NewOutput("t", "i")
	var whole strings.Builder
	for n := range 30_000 {
		line := fmt.Sprintf("line %d häß 🌊\n", n)
		whole.WriteString(line)
		if err := o.Append(line); err != nil {
			t.Fatal(err)
		}
	}
	o.Close()
	for _, limit := range []int64{1, 7, 1000, 1 << 20} {
		var got strings.Builder
		at := int64(0)
		if limit < 1000 {
			at = int64(whole.Len()) - 500
			for !utf8.RuneStart(whole.String()[at]) {
				at++
			}
			got.WriteString(whole.String()[:at])
		}
		for {
			p, err := s.ReadOutput("t", "i", at, limit)
			if err != nil {
				t.Fatal(err)
			}
			if p.Total != int64(whole.Len()) || p.Offset != at || p.Next <= at && at < p.Total || !utf8.ValidString(p.Text) || int64(len(p.Text)) != p.Next-p.Offset {
				t.Fatalf("at %d: %+v", at, p)
			}
			got.WriteString(p.Text)
			if at = p.Next; at == p.Total {
				break
			}
		}
		if got.String() != whole.String() {
			t.Fatalf("in parts of %d the text is another", limit)
		}
	}
	if p, err := s.ReadOutput("t", "i", 1<<40, 10); err != nil || p.Text != "" || p.Next != p.Total {
		t.Fatalf("behind the end: %+v, %v", p, err)
	}
	// An offset inside a character begins with the next one.
	mid := int64(strings.Index(whole.String(), "🌊")) + 2
	if p, err := s.ReadOutput("t", "i", mid, 10); err != nil || p.Offset != mid+2 || !strings.HasPrefix(p.Text, "\nline") {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, id := range []string{"nothing", "../../catamaran.db", ".."} {
		if p, err := s.ReadOutput("t", id, 0, 10); err == nil && p.Text != "" {
			t.Fatalf("%q is read: %q", id, p.Text)
		}
	}
	if err := os.Remove(filepath.Join(s.o.Dir, spillDir, "t", "i")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReadOutput("t", "i", 0, 10); err != ErrNotFound {
		t.Fatal(err)
	}
}

func BenchmarkOpenThreadOf100k(b *testing.B) {
	s := open(b, Options{})
	long(b, s, 1000, 100, strings.Repeat("some words of a message ", 20))
	for b.Loop() {
		if v, err := s.View(context.Background(), ThreadStream("t"), nil, nil); err != nil || len(v.Thread.Items) == 0 {
			b.Fatal(err)
		}
	}
}
