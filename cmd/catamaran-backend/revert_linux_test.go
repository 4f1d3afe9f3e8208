package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
)

// TestAnUndoThatIsCutOff kills the backend while an undo writes its files, and again
// while the revert is done once more: the timeline tells that it is not finished, the
// next try brings it to its end, and nothing of anybody else is touched.
func TestAnUndoThatIsCutOff(t *testing.T) {
	t.Parallel()
	const n = 2000
	w := newWorld(t)
	put(t, w.repo, "mine.txt", "mine\n")
	d := start(t, w)
	s := d.ready()
	p := call[api.Project](d, api.MethodProjectAdd, api.ProjectAdd{Path: w.repo})
	thread := func() api.Thread {
		th := call[api.Thread](d, api.MethodThreadCreate, api.ThreadCreate{ProjectID: p.ID, AgentID: "demo"})
		s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: th.ID, Topic: api.TopicThread + th.ID})
		return th
	}
	th, other := thread(), thread()
	turn := func(th api.Thread, text string) api.Turn {
		tu := call[api.Turn](d, api.MethodTurnStart, api.TurnStart{ThreadID: th.ID, Text: text})
		d.approve(s, tu.ID)
		return tu
	}
	tu := turn(th, fmt.Sprintf("run: mkdir many; i=0; while [ $i -lt %d ]; do echo turn $i > many/$i.txt; i=$((i+1)); done", n))
	turn(other, "write other.txt: by another thread")
	put(t, w.repo, "mine.txt", "mine, changed\n")
	put(t, w.repo, "many/person.txt", "a person's\n")
	path := func(i int) string { return filepath.Join(w.repo, "many", fmt.Sprintf("%d.txt", i)) }
	// there counts the turn's files; each is whole, and so is what belongs to others.
	there := func() int {
		t.Helper()
		found := 0
		for i := range n {
			b, err := os.ReadFile(path(i))
			if os.IsNotExist(err) {
				continue
			}
			if err != nil || string(b) != fmt.Sprintf("turn %d\n", i) {
				t.Fatalf("%d: %q %v", i, b, err)
			}
			found++
		}
		for name, want := range map[string]string{"mine.txt": "mine, changed\n", "many/person.txt": "a person's\n", "other.txt": "by another thread\n"} {
			if b, err := os.ReadFile(filepath.Join(w.repo, name)); err != nil || string(b) != want {
				t.Fatalf("%s: %q %v", name, b, err)
			}
		}
		return found
	}
	if got := there(); got != n {
		t.Fatalf("%d files", got)
	}
	plan := call[api.RevertPlan](d, api.MethodRevertPreview, api.RevertPreview{TurnID: tu.ID})
	var paths []string
	for _, f := range plan.Files {
		paths = append(paths, f.Path)
	}
	revert := call[api.Reverted](d, api.MethodRevertApply, api.RevertApply{TurnID: tu.ID, Seen: plan.Seen, Paths: paths})
	if len(revert.Files) != n || there() != 0 {
		t.Fatalf("%d of %d files reverted", len(revert.Files), n)
	}
	told := func(what string, ok func(api.Revert) bool) api.Item {
		t.Helper()
		var last api.Item
		s.until(what, func() bool {
			for _, it := range s.items {
				if it.Revert != nil {
					last = it
				}
			}
			return last.Revert != nil && ok(*last.Revert)
		})
		return last
	}
	state := func(want api.RevertState, unfinished bool) func(api.Revert) bool {
		return func(r api.Revert) bool { return r.State == want && r.Unfinished == unfinished }
	}
	id := told("the revert", state(api.RevertDone, false)).Revert.RevertID
	take := func(d *desktop) api.Reverted {
		t.Helper()
		return call[api.Reverted](d, api.MethodRevertUndo, api.RevertUndo{ThreadID: th.ID, RevertID: id})
	}
	// cut kills the backend when begun says that files are being written.
	cut := func(from, to api.RevertState, all int, begun func() bool) {
		t.Helper()
		for try := 0; ; try++ {
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				var u api.Reverted
				_ = d.try("POST", "/api/call/"+api.MethodRevertUndo, api.RevertUndo{ThreadID: th.ID, RevertID: id}, &u)
			}()
			for deadline := time.Now().Add(30 * time.Second); !begun(); {
				if time.Now().After(deadline) {
					t.Fatal("no file is written")
				}
			}
			d.proc.Kill()
			<-d.proc.Done()
			<-ended
			half := there()
			d = start(t, w)
			s = d.ready()
			s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "t", Topic: api.TopicThread + th.ID})
			if half > 0 && half < n {
				it := told("that it is not finished", state(from, true))
				if it.Revert.RevertID != id || !strings.Contains(it.Text, "not finished") {
					t.Errorf("%+v %+v", it, it.Revert)
				}
				break
			}
			// All of it was done before the kill.
			if try == 20 {
				t.Fatal("the backend is never killed in the middle")
			}
			it := told("the revert as it is", func(api.Revert) bool { return true })
			if id = it.Revert.RevertID; it.Revert.State == from {
				id = take(d).RevertID
			}
			id = take(d).RevertID
			told("the revert as it was", state(from, false))
		}
		done := take(d)
		if len(done.Files) != n || len(done.Left) != 0 || there() != all {
			t.Fatalf("%d files, %d left, %d there", len(done.Files), len(done.Left), there())
		}
		id = done.RevertID
		if it := told("the end", state(to, false)); it.Revert.Total != n || it.Revert.RevertID != id || strings.Contains(it.Text, "not finished") {
			t.Errorf("%+v %+v", it, it.Revert)
		}
	}
	gone := func(i int) bool { _, err := os.Stat(path(i)); return err != nil }
	cut(api.RevertDone, api.RevertUndone, n, func() bool { return !gone(0) || !gone(1) || !gone(10) })
	cut(api.RevertUndone, api.RevertDone, 0, func() bool { return gone(0) || gone(1) || gone(10) })
	d.goodbye()
}
