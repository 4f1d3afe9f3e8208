package checkpoint

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"catamaran/internal/api"
)

// TestRunningTurnOfAnother reverts while a turn of another thread runs in the same folder.
func TestRunningTurnOfAnother(t *testing.T) {
	t.Parallel()
	d := newDesk(t, map[string]string{"a": "1\n", "b": "1\n", "c": "1\n", "d": "1\n"})
	turn := d.turn(t, "t", func(edit func(path, text string)) {
		for _, p := range []string{"a", "b", "c", "d"} {
			edit(p, "2\n")
		}
	})
	wantPlan(t, d.plan(t, d.target(turn)), "a clean restore", "b clean restore", "c clean restore", "d clean restore")
	other := d.s.Edits(d.dir, "other", "u_900")
	if len(d.s.live.turns) != 0 {
		t.Error("a turn is known before it edits anything")
	}
	own := d.s.Edits(d.dir, "t", "u_901")
	own.Made("a") // the thread's own running turn is not another's
	// It has edited one, begins to edit another, and was declined a third; what it is told in its own names.
	other.Begin("a")
	putFile(t, d.dir, "a", "other\n")
	other.Made("a")
	other.Begin(filepath.Join(d.dir, "b"))
	other.Begin("b", "c", "../outside")
	other.Failed("b", "c")
	other.Failed("c", "d")
	p := d.plan(t, d.target(turn))
	wantPlan(t, p, "a foreign restore", "b foreign restore", "c clean restore", "d clean restore")
	for _, f := range p.Files[:2] {
		if f.Allowed || !strings.Contains(f.Reason, "still runs") {
			t.Errorf("%+v", f)
		}
	}
	if _, err := d.s.Revert(t.Context(), d.target(turn), p.Seen, []string{"a"}, "v_800", nil); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("it may be chosen: %v", err)
	}
	if r := d.revert(t, d.target(turn)); !slices.Equal(r.Files, []string{"c", "d"}) || read(d.dir, "a") != "other\n" || read(d.dir, "b") != "2\n" {
		t.Errorf("%+v", r)
	}
	// Once it is over it is a turn like others, and what is told too late changes nothing.
	other.Close()
	own.Close()
	other.Begin("b")
	other.Close()
	wantPlan(t, d.plan(t, d.target(turn)), "a changed restore", "b clean restore", "c done", "d done")
	if len(d.s.live.turns) != 0 {
		t.Errorf("%v", d.s.live.turns)
	}
}

// TestLiveBounds: projects within each other know of each other, and no turn grows without bound.
func TestLiveBounds(t *testing.T) {
	t.Parallel()
	repo := newRepo(t, map[string]string{"sub/a": "1\n"})
	s := New("")
	sub := filepath.Join(repo, "sub")
	names := func(dir string) []string { return slices.Sorted(maps.Keys(s.live.others(dir, "me"))) }
	inner, outer, away := s.Edits(sub, "inner", "u_1"), s.Edits(repo, "outer", "u_1"), s.Edits(newRepo(t, nil), "away", "u_1")
	inner.Made("a")
	outer.Made("sub/b", "top")
	away.Made("a", filepath.Join(repo, "top"))
	if got := names(repo); !slices.Equal(got, []string{"sub/a", "sub/b", "top"}) {
		t.Errorf("%q", got)
	}
	if got := names(sub); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q", got)
	}
	for i := range maxEdits + 10 {
		inner.Begin(fmt.Sprint("many/", i))
	}
	inner.Made(strings.Repeat("x", pathMost+1))
	inner.Made("a")
	if got := len(s.live.turns[inner]); got != maxEdits {
		t.Errorf("%d files are known", got)
	}
	for _, e := range []*Edits{inner, outer, away} {
		e.Close()
	}
	if got := names(repo); len(got) != 0 || len(s.live.turns) != 0 {
		t.Errorf("%q", got)
	}
}
