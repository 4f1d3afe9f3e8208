package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catamaran/internal/api"
)

// desk is a project with threads that take turns in it.
type desk struct {
	t     testing.TB
	s     *Store
	dir   string
	turns map[string]Turn
	n     int
}

func newDesk(t *testing.T, files map[string]string) *desk {
	return &desk{t: t, s: New(t.TempDir()), dir: newRepo(t, files), turns: map[string]Turn{}}
}

// turn runs a turn: work is given what writes as the agent does, "" removing a file.
func (d *desk) turn(t *testing.T, thread string, work func(edit func(path, text string))) Turn {
	t.Helper()
	d.n++
	turn := Turn{ID: fmt.Sprintf("u_%03d", d.n), ThreadID: thread}
	snap := func(label string) string {
		ref, err := d.s.Take(t.Context(), d.dir, thread, turn.ID+"-"+label)
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	turn.Before = snap("before")
	e := d.s.Edits(d.dir, thread, turn.ID)
	work(func(path, text string) {
		e.Begin(path)
		if err := e.Before(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		putFile(t, d.dir, path, text)
		e.Made(filepath.Join(d.dir, path))
		if err := e.After(t.Context(), filepath.Join(d.dir, path)); err != nil {
			t.Fatal(err)
		}
	})
	if err := e.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.Close()
	turn.After = snap("after")
	return turn
}

func putFile(t *testing.T, dir, path, text string) {
	t.Helper()
	if text == "" {
		os.Remove(filepath.Join(dir, path))
		return
	}
	write(t, dir, path, text)
}

func read(dir, path string) string {
	b, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		return ""
	}
	return string(b)
}

func (d *desk) target(turns ...Turn) Target {
	return Target{Dir: d.dir, ThreadID: turns[0].ThreadID, Turns: turns}
}

func (d *desk) plan(t *testing.T, target Target) api.RevertPlan {
	t.Helper()
	p, err := d.s.Plan(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// spell lists a plan as "path state action".
func spell(p api.RevertPlan) []string {
	out := []string{}
	for _, f := range p.Files {
		out = append(out, strings.TrimSpace(f.Path+" "+f.State+" "+f.Action))
	}
	return out
}

func wantPlan(t *testing.T, p api.RevertPlan, want ...string) {
	t.Helper()
	if got := spell(p); !slices.Equal(got, want) {
		t.Errorf("plan %q, want %q", got, want)
	}
}

func (d *desk) revert(t *testing.T, target Target, paths ...string) api.Reverted {
	t.Helper()
	d.n++
	r, err := d.s.Revert(t.Context(), target, d.plan(t, target).Seen, paths, fmt.Sprintf("v_%03d", d.n), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRevert(t *testing.T) {
	t.Parallel()
	d := newDesk(t, map[string]string{"a": "1\n", "gone": "g\n", "sub/b": "b\n", "run.sh": "#!/bin/sh\n", "keep": "k\n"})
	if err := os.Chmod(filepath.Join(d.dir, "a"), 0o640); err != nil {
		t.Fatal(err)
	}
	write(t, d.dir, "untracked", "mine\n")
	turn := d.turn(t, "t", func(edit func(path, text string)) {
		edit("a", "2\n")
		edit("a", "3\n")
		edit("gone", "")
		edit("new/deep/file", "n\n")
		edit("sub/b", "bb\n")
	})
	// Another file, changed by a person, is none of its business.
	write(t, d.dir, "keep", "person\n")
	p := d.plan(t, d.target(turn))
	wantPlan(t, p, "a clean restore", "gone clean create", "new/deep/file clean remove", "sub/b clean restore")
	if f := p.Files[0]; f.Additions != 1 || f.Deletions != 1 {
		t.Errorf("%+v", f)
	}
	r := d.revert(t, d.target(turn))
	if want := []string{"a", "gone", "new/deep/file", "sub/b"}; !slices.Equal(r.Files, want) || len(r.Left) != 0 {
		t.Errorf("%+v", r)
	}
	for path, want := range map[string]string{"a": "1\n", "gone": "g\n", "new/deep/file": "", "sub/b": "b\n", "keep": "person\n", "untracked": "mine\n"} {
		if got := read(d.dir, path); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	if _, err := os.Stat(filepath.Join(d.dir, "new")); err == nil {
		t.Error("an empty folder stays")
	}
	if st, err := os.Stat(filepath.Join(d.dir, "a")); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	wantPlan(t, d.plan(t, d.target(turn)), "a done", "gone done", "new/deep/file done", "sub/b done")
	if left, _ := filepath.Glob(filepath.Join(d.dir, ".git", "catamaran-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	// Undone, but for what a person changed meanwhile; and that undone again.
	write(t, d.dir, "sub/b", "person\n")
	u, err := d.s.Undo(t.Context(), d.dir, "t", r.RevertID, "v_900", nil)
	if err != nil || !slices.Equal(u.Files, []string{"a", "gone", "new/deep/file"}) || len(u.Left) != 1 || u.Left[0].Path != "sub/b" {
		t.Fatalf("%+v %v", u, err)
	}
	if read(d.dir, "a") != "3\n" || read(d.dir, "gone") != "" || read(d.dir, "new/deep/file") != "n\n" || read(d.dir, "sub/b") != "person\n" {
		t.Error("the undo wrote something else")
	}
	if u, err = d.s.Undo(t.Context(), d.dir, "t", u.RevertID, "v_901", nil); err != nil || len(u.Files) != 3 || read(d.dir, "a") != "1\n" {
		t.Errorf("%+v %v", u, err)
	}
	if _, err := d.s.Undo(t.Context(), d.dir, "t", "v_unknown", "v_902", nil); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("%v", err)
	}
}

// TestUndoGoesOn finds a part of the files back, as an undo leaves them that was cut
// off: the rest follows, and all of it can be reverted again.
func TestUndoGoesOn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, map[string]string{"a": "1\n", "b": "1\n", "c": "1\n"})
	turn := d.turn(t, "t", func(edit func(path, text string)) {
		edit("a", "2\n")
		edit("b", "2\n")
		edit("c", "2\n")
	})
	r := d.revert(t, d.target(turn))
	stopped := errors.New("stopped")
	if u, err := d.s.Undo(t.Context(), d.dir, "t", r.RevertID, "v_900", func(paths []string) error {
		if !slices.Equal(paths, []string{"a", "b", "c"}) {
			t.Errorf("%q", paths)
		}
		return stopped
	}); !errors.Is(err, stopped) || u.RevertID != "" || read(d.dir, "a") != "1\n" {
		t.Errorf("%+v %v", u, err)
	}
	// What somebody else has brought back is theirs: it is not noted.
	write(t, d.dir, "a", "2\n")
	write(t, d.dir, "c", "person\n")
	ctx, cut := context.WithCancel(t.Context())
	if u, err := d.s.Undo(ctx, d.dir, "t", r.RevertID, "v_950", func(paths []string) error {
		if !slices.Equal(paths, []string{"b"}) {
			t.Errorf("%q", paths)
		}
		cut()
		return nil
	}); !errors.Is(err, context.Canceled) || u.RevertID == "" || read(d.dir, "b") != "1\n" {
		t.Errorf("%+v %v", u, err)
	}
	// What a killed backend has left goes too, but not what another is at work in.
	old, fresh := filepath.Join(d.dir, ".git", stagedName+"old"), filepath.Join(d.dir, ".git", stagedName+"fresh")
	for _, folder := range []string{old, fresh} {
		if err := os.MkdirAll(filepath.Join(folder, "f"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-2*stagedOld)); err != nil {
		t.Fatal(err)
	}
	u, err := d.s.Undo(t.Context(), d.dir, "t", r.RevertID, "v_901", nil)
	if err != nil || !slices.Equal(u.Files, []string{"a", "b"}) || len(u.Left) != 1 || u.Left[0].Path != "c" || read(d.dir, "b") != "2\n" || read(d.dir, "c") != "person\n" {
		t.Fatalf("%+v %v", u, err)
	}
	if left, _ := filepath.Glob(filepath.Join(d.dir, ".git", stagedName+"*")); !slices.Equal(left, []string{fresh}) {
		t.Errorf("%q", left)
	}
	// All that was brought back is reverted again, what was back already too.
	again, err := d.s.Undo(t.Context(), d.dir, "t", u.RevertID, "v_902", nil)
	if err != nil || !slices.Equal(again.Files, []string{"a", "b"}) || read(d.dir, "a") != "1\n" || read(d.dir, "b") != "1\n" || read(d.dir, "c") != "person\n" {
		t.Errorf("%+v %v", again, err)
	}
}

func TestRevertConflicts(t *testing.T) {
	t.Parallel()
	d := newDesk(t, map[string]string{"later": "1\n", "amid": "1\n", "first": "1\n", "end": "1\n", "command": "1\n", "mine": "1\n"})
	turn := d.turn(t, "t", func(edit func(path, text string)) {
		edit("later", "2\n")
		edit("amid", "2\n")
		write(t, d.dir, "amid", "person\n")
		edit("amid", "3\n")
		write(t, d.dir, "first", "person\n")
		edit("first", "2\n")
		edit("end", "2\n")
		write(t, d.dir, "end", "person\n")
		write(t, d.dir, "command", "2\n")
		edit("mine", "2\n")
	})
	write(t, d.dir, "later", "person\n")
	target := d.target(turn)
	wantPlan(t, d.plan(t, target), "amid changed restore", "command unclaimed restore", "end changed restore", "first changed restore", "later changed restore", "mine clean restore")
	if r := d.revert(t, target); !slices.Equal(r.Files, []string{"mine"}) {
		t.Errorf("%+v", r)
	}
	// A person may choose the others after having seen them.
	r := d.revert(t, target, "command", "later")
	if !slices.Equal(r.Files, []string{"command", "later"}) || read(d.dir, "later") != "1\n" {
		t.Errorf("%+v", r)
	}
	if _, err := d.s.Undo(t.Context(), d.dir, "t", r.RevertID, "v_800", nil); err != nil || read(d.dir, "later") != "person\n" {
		t.Errorf("%v %q", err, read(d.dir, "later"))
	}
	if _, err := d.s.Revert(t.Context(), target, d.plan(t, target).Seen, []string{"nowhere"}, "v_801", nil); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("%v", err)
	}
	// What changes after the preview stops it before anything is done.
	seen := d.plan(t, target).Seen
	write(t, d.dir, "later", "person again\n")
	if _, err := d.s.Revert(t.Context(), target, seen, []string{"command", "later"}, "v_802", nil); api.CodeOf(err) != api.CodeConflict || read(d.dir, "command") != "2\n" {
		t.Errorf("%v %q", err, read(d.dir, "command"))
	}
	// Who is told before anything is written may stop it.
	var told []string
	refused := errors.New("not now")
	r, err := d.s.Revert(t.Context(), target, d.plan(t, target).Seen, []string{"command", "later"}, "v_804", func(paths []string) error { told = paths; return refused })
	if !errors.Is(err, refused) || r.RevertID != "" || !slices.Equal(told, []string{"command", "later"}) || read(d.dir, "command") != "2\n" {
		t.Errorf("%v %+v, told %q", err, r, told)
	}
	// Another thread that worked on it at the same time is never touched.
	other := d.turn(t, "other", func(edit func(path, text string)) { edit("mine", "other\n") })
	target.Beside = []Turn{other}
	wantPlan(t, d.plan(t, target), "amid changed restore", "command unclaimed restore", "end changed restore", "first changed restore", "later changed restore", "mine foreign restore")
	if _, err := d.s.Revert(t.Context(), target, d.plan(t, target).Seen, []string{"mine"}, "v_803", nil); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("%v", err)
	}
}

func TestRevertSeveralTurns(t *testing.T) {
	t.Parallel()
	d := newDesk(t, map[string]string{"a": "1\n", "b": "1\n"})
	one := d.turn(t, "t", func(edit func(path, text string)) { edit("a", "2\n"); edit("b", "2\n"); edit("c", "c\n") })
	write(t, d.dir, "b", "person\n")
	two := d.turn(t, "t", func(edit func(path, text string)) { edit("a", "3\n"); edit("b", "3\n"); edit("c", "") })
	wantPlan(t, d.plan(t, d.target(one)), "a changed restore", "b changed restore", "c done")
	wantPlan(t, d.plan(t, d.target(two)), "a clean restore", "b clean restore", "c clean create")
	wantPlan(t, d.plan(t, d.target(one, two)), "a clean restore", "b changed restore", "c done")
	if r := d.revert(t, d.target(one, two)); !slices.Equal(r.Files, []string{"a"}) || read(d.dir, "a") != "1\n" || read(d.dir, "b") != "3\n" {
		t.Errorf("%+v", r)
	}
}

func TestRevertWontWrite(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	write(t, outside, "f", "outside\n")
	d := newDesk(t, map[string]string{"dir/f": "1\n", "was": "1\n", "gone": "1\n", ".gitignore": "*.log\n", "tracked.log": "t\n"})
	runGit(t, d.dir, "add", "-f", "tracked.log")
	turn := d.turn(t, "t", func(edit func(path, text string)) {
		edit("dir/f", "2\n")
		edit("was", "")
		edit("gone", "")
		edit("big", "b\n")
	})
	// The folder is a link out of the project now.
	if err := os.RemoveAll(filepath.Join(d.dir, "dir")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(d.dir, "dir")); err != nil {
		t.Skip("this system makes no links: ", err)
	}
	// In the place of a file that was removed stands a folder.
	write(t, d.dir, "was/inner.log", "x")
	target := d.target(turn)
	p := d.plan(t, target)
	wantPlan(t, p, "big clean remove", "dir/f changed create", "gone clean create", "was clean create")
	r, err := d.s.Revert(t.Context(), target, p.Seen, []string{"big", "dir/f", "gone", "was"}, "v_700", nil)
	if err != nil || !slices.Equal(r.Files, []string{"big", "gone"}) || len(r.Left) != 2 {
		t.Errorf("%+v %v", r, err)
	}
	if read(outside, "f") != "outside\n" || read(d.dir, "was/inner.log") != "x" {
		t.Error("something outside or ignored was touched")
	}
}

func TestRevertKinds(t *testing.T) {
	t.Parallel()
	d := newDesk(t, map[string]string{".gitattributes": "/crlf.txt text eol=crlf\n", "link": "was a file\n", "sub/run.sh": "#!/bin/sh\n", "x": "file\n", "bin": "a\x00b"})
	write(t, d.dir, "crlf.txt", "a\r\nb\r\n")
	d.s.maxFile = 50
	turn := d.turn(t, "t", func(edit func(path, text string)) {
		edit("crlf.txt", "a\r\nc\r\n")
		edit("x", "")
		edit("x/y", "folder now\n")
		edit("bin", "a\x00c")
		edit("large", strings.Repeat("x", 60))
	})
	chmod := d.turn(t, "t", func(edit func(path, text string)) {
		if err := os.Chmod(filepath.Join(d.dir, "sub/run.sh"), 0o755); err != nil {
			t.Fatal(err)
		}
	})
	wantPlan(t, d.plan(t, d.target(turn)), "bin clean restore", "crlf.txt clean restore", "large blocked remove", "x clean create", "x/y clean remove")
	d.revert(t, d.target(turn))
	if read(d.dir, "crlf.txt") != "a\r\nb\r\n" || read(d.dir, "x") != "file\n" || read(d.dir, "bin") != "a\x00b" || read(d.dir, "large") == "" {
		t.Errorf("%q %q %q", read(d.dir, "crlf.txt"), read(d.dir, "x"), read(d.dir, "bin"))
	}
	d.revert(t, d.target(chmod), "sub/run.sh")
	if st, err := os.Stat(filepath.Join(d.dir, "sub/run.sh")); err != nil || st.Mode()&0o111 != 0 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if err := os.Remove(filepath.Join(d.dir, "link")); err != nil {
		t.Fatal(err)
	}
	before := d.n
	swap := d.turn(t, "t", func(func(path, text string)) {
		if err := os.Symlink("bin", filepath.Join(d.dir, "link")); err != nil {
			t.Skip("this system makes no links: ", err)
		}
	})
	if d.n != before+1 {
		t.Fatal("no turn")
	}
	if r := d.revert(t, d.target(swap), "link"); len(r.Files) != 1 {
		t.Errorf("%+v", r)
	}
	if _, err := os.Lstat(filepath.Join(d.dir, "link")); err == nil {
		t.Error("the link stays")
	}
	if r, err := d.s.Undo(t.Context(), d.dir, "t", fmt.Sprintf("v_%03d", d.n), "v_600", nil); err != nil || len(r.Files) != 1 {
		t.Errorf("%+v %v", r, err)
	}
	if to, err := os.Readlink(filepath.Join(d.dir, "link")); err != nil || to != "bin" {
		t.Errorf("%q %v", to, err)
	}
}

// TestRevertInWorktree has the repository's directory outside the project, and the
// project in a folder below its top.
func TestRevertInWorktree(t *testing.T) {
	t.Parallel()
	main := newRepo(t, map[string]string{"app/a": "1\n", "other": "o\n"})
	work := filepath.Join(t.TempDir(), "work")
	runGit(t, main, "worktree", "add", "-q", work)
	d := &desk{t: t, s: New(t.TempDir()), dir: filepath.Join(work, "app"), turns: map[string]Turn{}}
	turn := d.turn(t, "t", func(edit func(path, text string)) { edit("a", "2\n"); edit("n/new", "n\n") })
	wantPlan(t, d.plan(t, d.target(turn)), "a clean restore", "n/new clean remove")
	r := d.revert(t, d.target(turn))
	if len(r.Files) != 2 || read(d.dir, "a") != "1\n" || read(d.dir, "n/new") != "" {
		t.Errorf("%+v", r)
	}
	if left, _ := filepath.Glob(filepath.Join(d.dir, ".catamaran-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// write of one file in the model of TestNothingOfOthersIsReverted.
type written struct{ who, text string }

// TestNothingOfOthersIsReverted lets two threads and a person write in one folder at
// random, also while turns run, and reverts and undoes at random: whatever a revert
// changes, back to where it leads, only the reverted turns wrote, and what a running
// turn of another thread edits is never offered. Left out is what contents cannot tell;
// docs/git.md names it.
func TestNothingOfOthersIsReverted(t *testing.T) {
	t.Parallel()
	dir := newRepo(t, map[string]string{"keep": "k\n"})
	s := New(t.TempDir())
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		paths := []string{"a", "b", "d/c"}
		history := map[string][]written{}
		for _, p := range paths {
			text := ""
			if p != "d/c" {
				text = fmt.Sprintf("start of %d\n", round)
			}
			putFile(t, dir, p, text)
			history[p] = []written{{"start", text}}
		}
		n := 0
		write := func(who, p, text string) {
			h := history[p]
			if h[len(h)-1].text == text {
				return
			}
			putFile(t, dir, p, text)
			// A person who puts back what was there before has changed nothing.
			if who == "person" && len(h) > 1 && h[len(h)-1].who == "person" && h[len(h)-2].text == text {
				history[p] = h[:len(h)-1]
				return
			}
			history[p] = append(h, written{who, text})
		}
		text := func() string {
			n++
			if rapid.IntRange(0, 4).Draw(rt, "remove") == 0 {
				return ""
			}
			return fmt.Sprintf("%d of %d\n", n, round)
		}
		type running struct {
			Turn
			e      *Edits
			at     map[string]bool // files it is known to edit while it runs
			beside map[string]bool
		}
		threads := []string{fmt.Sprintf("t%d", round), fmt.Sprintf("o%d", round)}
		active := map[string]*running{}
		defer func() {
			for _, r := range active {
				r.e.Close()
			}
		}()
		done := map[string][]*running{}
		type reverted struct {
			api.Reverted
			who string
			was map[string]string // what the files held before it, and after it
			now map[string]string
		}
		var reverts []reverted
		check := func(err error) {
			if err != nil {
				rt.Fatal(err)
			}
		}
		for range rapid.IntRange(6, 30).Draw(rt, "steps") {
			who := threads[rapid.IntRange(0, 1).Draw(rt, "thread")]
			p := rapid.SampledFrom([]string{"a", "a", "a", "b", "d/c"}).Draw(rt, "path")
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0, 1:
				write("person", p, text())
			case 2, 3: // begins a turn, or edits in it
				r := active[who]
				if r == nil {
					n++
					r = &running{Turn: Turn{ID: fmt.Sprintf("u_%d_%03d", round, n), ThreadID: who}, at: map[string]bool{}, beside: map[string]bool{}}
					var err error
					r.Before, err = s.Take(t.Context(), dir, who, r.ID+"-before")
					check(err)
					r.e = s.Edits(dir, who, r.ID)
					for _, other := range active {
						r.beside[other.ID], other.beside[r.ID] = true, true
					}
					active[who] = r
				}
				// An edit that changed nothing cannot be told from one whose note came too late,
				// which is taken at its word.
				if it := text(); it != read(dir, p) {
					r.e.Begin(p)
					check(r.e.Before(t.Context(), p))
					write(r.ID, p, it)
					r.e.Made(p)
					check(r.e.After(t.Context(), p))
					r.at[p] = true
				}
			case 4: // a command of the agent, which it does not report
				if r := active[who]; r != nil {
					write(r.ID, p, text())
				}
			case 8: // an edit whose end the agent does not tell any more
				if r := active[who]; r != nil {
					r.e.Begin(filepath.Join(dir, filepath.FromSlash(p)))
					check(r.e.Before(t.Context(), p))
					write(r.ID, p, text())
					r.at[p] = true
				}
			case 9: // one that was declined
				if r := active[who]; r != nil {
					r.e.Begin(p)
					check(r.e.Before(t.Context(), p))
					r.e.Failed(p)
				}
			case 5:
				if r := active[who]; r != nil {
					check(r.e.Save(t.Context()))
					r.e.Close()
					var err error
					r.After, err = s.Take(t.Context(), dir, who, r.ID+"-after")
					check(err)
					done[who] = append(done[who], r)
					delete(active, who)
				}
			case 6:
				if active[who] != nil || len(done[who]) == 0 {
					continue
				}
				from := rapid.IntRange(0, len(done[who])-1).Draw(rt, "turn")
				to := from + 1
				if rapid.Bool().Draw(rt, "later") {
					to = len(done[who])
				}
				target := Target{Dir: dir, ThreadID: who}
				mine := map[string]bool{}
				for _, r := range done[who][from:to] {
					target.Turns = append(target.Turns, r.Turn)
					mine[r.ID] = true
					for _, other := range threads {
						for _, o := range done[other] {
							if r.beside[o.ID] {
								target.Beside = append(target.Beside, o.Turn)
							}
						}
					}
				}
				plan, err := s.Plan(t.Context(), target)
				check(err)
				for _, f := range plan.Files {
					at := false
					for other, r := range active {
						at = at || other != who && r.at[f.Path]
					}
					if at && (f.Allowed || f.State != stateForeign && f.State != stateDone) || !at && strings.Contains(f.Reason, "still runs") {
						rt.Fatalf("a running turn is at %s: %v; plan %q", f.Path, at, spell(plan))
					}
				}
				was := map[string]string{}
				for _, p := range paths {
					was[p] = read(dir, p)
				}
				n++
				id := fmt.Sprintf("v_%d_%03d", round, n)
				r, err := s.Revert(t.Context(), target, plan.Seen, nil, id, nil)
				check(err)
				for _, p := range paths {
					now := read(dir, p)
					if now == was[p] {
						if slices.Contains(r.Files, p) {
							rt.Fatalf("%s is said to be reverted", p)
						}
						continue
					}
					// What it holds it may have held before: contents cannot tell which time is meant.
					h := history[p]
					led := false
					for j := range h {
						for i := j; i >= 0 && h[j].text == was[p] && !led; i-- {
							if led = h[i].text == now; !mine[h[i].who] {
								break
							}
						}
					}
					if !led || !slices.Contains(r.Files, p) {
						rt.Fatalf("reverting %v changed %s from %q to %q\n%+v\nplan %q", target.Turns, p, was[p], now, h, spell(plan))
					}
					history[p] = append(h, written{id, now})
				}
				if len(r.Files) > 0 {
					now := map[string]string{}
					for _, p := range paths {
						now[p] = read(dir, p)
					}
					reverts = append(reverts, reverted{r, who, was, now})
				}
			case 7:
				if len(reverts) == 0 {
					continue
				}
				v := reverts[rapid.IntRange(0, len(reverts)-1).Draw(rt, "revert")]
				n++
				id := fmt.Sprintf("w_%d_%03d", round, n)
				was := map[string]string{}
				for _, p := range paths {
					was[p] = read(dir, p)
				}
				_, err := s.Undo(t.Context(), dir, v.who, v.RevertID, id, nil)
				check(err)
				for _, p := range paths {
					now := read(dir, p)
					if now == was[p] {
						continue
					}
					// It goes by what the file holds: who wrote since, and came back to what the revert left, has changed nothing.
					if was[p] != v.now[p] || now != v.was[p] || !slices.Contains(v.Files, p) {
						rt.Fatalf("the undo of %s changed %s from %q to %q\n%+v", v.RevertID, p, was[p], now, history[p])
					}
					// As if it had not been reverted: the turn's text may be reverted again.
					h := history[p]
					j := len(h) - 1
					for j > 0 && h[j].who != v.RevertID {
						j--
					}
					if j == 0 { // another revert came to the same
						for j = len(h); h[j-1].text != now; j-- {
						}
					}
					history[p] = h[:j]
				}
			}
		}
	})
}
