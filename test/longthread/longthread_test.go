package longthread

import (
	"testing"

	"catamaran/internal/api"
	"catamaran/internal/home"
	"catamaran/internal/store"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Write(t.Context(), dir, t.TempDir(), 2400); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Dir: home.Backend(dir)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := s.History(t.Context(), api.ThreadHistory{ThreadID: ThreadID, Around: AnswerID(600), Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if !p.Earlier || !p.Later || len(p.Items) == 0 {
		t.Errorf("the middle of the thread is %d items, earlier %v, later %v", len(p.Items), p.Earlier, p.Later)
	}
	if p, err = s.History(t.Context(), api.ThreadHistory{ThreadID: ThreadID, Around: AnswerID(1200), Limit: 10}); err != nil || p.Later {
		t.Errorf("the last answer: later %v, %v", p.Later, err)
	}
}

// BenchmarkWrite tells how long a thread of 100,000 messages takes to write.
func BenchmarkWrite(b *testing.B) {
	for b.Loop() {
		if err := Write(b.Context(), b.TempDir(), b.TempDir(), 100_000); err != nil {
			b.Fatal(err)
		}
	}
}
