package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
)

func (w world) git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=T", "-c", "user.email=t@example.invalid", "-c", "protocol.file.allow=always"}, args...)...)
	cmd.Dir, cmd.Env = dir, w.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func put(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// status reads frames until a Git status is as ok wants it.
func (s *socket) status(what string, ok func(api.GitStatus) bool) api.GitStatus {
	s.t.Helper()
	var last *api.GitStatus
	deadline := time.Now().Add(2 * time.Minute)
	for time.Now().Before(deadline) {
		if f := s.next(); f.Git != nil {
			last = f.Git
			if ok(*last) {
				return *last
			}
		}
	}
	s.t.Fatalf("waited too long for %s; the last status is %+v", what, last)
	return api.GitStatus{}
}

// TestGitOfAProject goes from a change seen as it happens to a commit that is pushed.
func TestGitOfAProject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	put(t, w.home, ".gitconfig", "[user]\n\tname = T\n\temail = t@example.invalid\n")
	put(t, w.repo, "a.txt", "one\n")
	w.git(t, w.repo, "add", "-A")
	w.git(t, w.repo, "commit", "-q", "-m", "two")
	remote := filepath.Join(w.home, "remote.git")
	w.git(t, w.home, "clone", "-q", "--bare", w.repo, remote)
	w.git(t, w.repo, "remote", "add", "origin", remote)
	d := start(t, w)
	s := d.ready()
	p := call[api.Project](d, api.MethodProjectAdd, api.ProjectAdd{Path: w.repo})
	at := api.GitPlace{ProjectID: p.ID}
	s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "g", Topic: api.TopicGit + p.ID})
	st := s.status("the first status", func(st api.GitStatus) bool { return true })
	if !st.Repo || st.Branch != "main" || len(st.Files) != 0 || st.Watch == "" || !slices.Equal(st.Remotes, []string{"origin"}) {
		t.Fatalf("%+v", st)
	}
	put(t, w.repo, "a.txt", "changed\n")
	put(t, w.repo, "new/folder/b.txt", "b\n")
	s.status("changes made outside", func(st api.GitStatus) bool { return st.Unstaged == 1 && st.Untracked == 1 })
	if runtime.GOOS == "linux" {
		// A file in the new folder is noticed too.
		put(t, w.repo, "new/folder/c.txt", "c\n")
		s.status("a file in a new folder", func(st api.GitStatus) bool { return st.Untracked == 2 })
	}
	if m := call[api.GitMessage](d, api.MethodGitMessage, api.GitMessageAsk{GitPlace: at, AgentID: "demo"}); !strings.HasPrefix(m.Message, "Change a.txt and ") {
		t.Errorf("%+v", m)
	}
	if st := call[api.GitStatus](d, api.MethodGitStage, api.GitPaths{GitPlace: at, Paths: []string{"a.txt"}}); st.Staged != 1 || st.Unstaged != 0 {
		t.Errorf("%+v", st)
	}
	s.status("what was staged", func(st api.GitStatus) bool { return st.Staged == 1 })
	for scope, want := range map[string]int{"staged": 1, "unstaged": 2, "": 3} {
		if diff := call[api.Diff](d, api.MethodDiffWorking, api.DiffWorking{GitPlace: at, Scope: scope}); diff.Total != want {
			t.Errorf("%s: %+v", scope, diff)
		}
	}
	call[api.GitStatus](d, api.MethodGitBranchCreate, api.GitBranchCreate{GitPlace: at, Name: "feature"})
	c := call[api.GitCommitted](d, api.MethodGitCommit, api.GitCommit{GitPlace: at, Message: "all of it", All: true, Push: true})
	if c.Subject != "all of it" || c.PushError != nil || len(c.Status.Files) != 0 || c.Status.Upstream != "origin/feature" {
		t.Errorf("%+v %+v", c, c.PushError)
	}
	if got := w.git(t, remote, "rev-parse", "feature"); got != c.Commit {
		t.Errorf("the remote has %s, want %s", got, c.Commit)
	}
	s.status("the commit", func(st api.GitStatus) bool {
		return st.Branch == "feature" && st.Head == c.Commit && len(st.Files) == 0
	})
	if b := call[api.GitBranches](d, api.MethodGitBranches, at); len(b.Branches) < 3 {
		t.Errorf("%+v", b)
	}
	call[api.GitStatus](d, api.MethodGitSwitch, api.GitSwitch{GitPlace: at, Branch: "main"})
	var none api.GitCommitted
	if err := d.try("POST", "/api/call/"+api.MethodGitCommit, api.GitCommit{GitPlace: at, Message: "again"}, &none); api.CodeOf(err) != api.CodeGitNothing {
		t.Errorf("%v", err)
	}
	s.send(api.ClientFrame{Type: api.FrameUnsubscribe, ID: "g"})

	// A clone is a job, and becomes a project.
	j := call[api.Job](d, api.MethodGitClone, api.GitClone{URL: remote, Parent: "~", Name: "cloned"})
	s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "j", Topic: api.TopicJob + j.ID})
	for j.State == "running" {
		if f := s.next(); f.Job != nil {
			j = *f.Job
		}
	}
	if j.State != "done" || j.ProjectID == "" {
		t.Fatalf("%+v %+v", j, j.Error)
	}
	if st := call[api.GitStatus](d, api.MethodGitStatus, api.GitPlace{ProjectID: j.ProjectID}); st.Top != filepath.Join(w.home, "cloned") || st.Head == "" {
		t.Errorf("%+v", st)
	}
	plain := filepath.Join(w.home, "plain")
	if err := os.Mkdir(plain, 0o755); err != nil {
		t.Fatal(err)
	}
	outside := call[api.Project](d, api.MethodProjectAdd, api.ProjectAdd{Path: plain})
	if st := call[api.GitStatus](d, api.MethodGitStatus, api.GitPlace{ProjectID: outside.ID}); st.Repo || st.Error != nil {
		t.Errorf("outside Git: %+v", st)
	}
	d.goodbye()
}

// TestRevertATurn reverts what the agent wrote, and nothing else.
func TestRevertATurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	put(t, w.repo, "mine.txt", "mine\n")
	d := start(t, w)
	s := d.ready()
	p := call[api.Project](d, api.MethodProjectAdd, api.ProjectAdd{Path: w.repo})
	th := call[api.Thread](d, api.MethodThreadCreate, api.ThreadCreate{ProjectID: p.ID, AgentID: "demo"})
	s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "t", Topic: api.TopicThread + th.ID})
	turn := func(text string) api.Turn {
		tu := call[api.Turn](d, api.MethodTurnStart, api.TurnStart{ThreadID: th.ID, Text: text})
		d.approve(s, tu.ID)
		return tu
	}
	one := turn("write notes.txt: the first")
	two := turn("write notes.txt: the second")
	command := turn("run: echo by a command > made.txt")
	put(t, w.repo, "mine.txt", "mine, changed\n")

	whole := call[api.Diff](d, api.MethodDiffThread, api.DiffThread{ThreadID: th.ID})
	if len(whole.Files) != 2 || whole.Files[1].Path != "notes.txt" || whole.Files[1].Hunks[0].Lines[0] != "+the second" {
		t.Errorf("%+v", whole)
	}
	if b := call[api.Diff](d, api.MethodDiffBetween, api.DiffBetween{From: api.DiffPoint{TurnID: one.ID, After: true}, To: api.DiffPoint{TurnID: two.ID, After: true}}); len(b.Files) != 1 || b.Additions != 1 || b.Deletions != 1 {
		t.Errorf("%+v", b)
	}
	plan := call[api.RevertPlan](d, api.MethodRevertPreview, api.RevertPreview{TurnID: one.ID})
	if len(plan.Files) != 1 || plan.Files[0].State != "changed" {
		t.Errorf("a turn with a later one: %+v", plan)
	}
	plan = call[api.RevertPlan](d, api.MethodRevertPreview, api.RevertPreview{TurnID: one.ID, Later: true})
	states := map[string]string{}
	for _, f := range plan.Files {
		states[f.Path] = f.State + " " + f.Action
	}
	if len(states) != 2 || states["notes.txt"] != "clean remove" || states["made.txt"] != "unclaimed remove" || len(plan.TurnIDs) != 3 {
		t.Fatalf("%v %+v", states, plan)
	}
	r := call[api.Reverted](d, api.MethodRevertApply, api.RevertApply{TurnID: one.ID, Later: true, Seen: plan.Seen})
	if !slices.Equal(r.Files, []string{"notes.txt"}) || r.RevertID == "" {
		t.Fatalf("%+v", r)
	}
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(w.repo, name))
		return err == nil
	}
	if exists("notes.txt") || !exists("made.txt") {
		t.Error("the revert did something else")
	}
	u := call[api.Reverted](d, api.MethodRevertUndo, api.RevertUndo{ThreadID: th.ID, RevertID: r.RevertID})
	if b, err := os.ReadFile(filepath.Join(w.repo, "notes.txt")); err != nil || string(b) != "the second\n" || len(u.Files) != 1 {
		t.Errorf("%q %v %+v", b, err, u)
	}
	if b, _ := os.ReadFile(filepath.Join(w.repo, "mine.txt")); string(b) != "mine, changed\n" {
		t.Errorf("%q", b)
	}
	// The timeline tells it at its end, and what it is now, in one item.
	var told api.Item
	find := func(s *socket, want api.RevertState) {
		t.Helper()
		s.until("the revert as "+string(want), func() bool {
			for _, it := range s.items {
				if it.Kind == api.ItemRevert && it.Revert != nil && it.Revert.State == want {
					told = it
					return true
				}
			}
			return false
		})
	}
	find(s, api.RevertUndone)
	if v := *told.Revert; told.TurnID != command.ID || v.TurnID != one.ID || v.Turn != 1 || !v.Later || v.RevertID != u.RevertID || !slices.Equal(v.Files, []string{"notes.txt"}) || v.Total != 1 || told.Text != "Reverted 1 file of turn 1 and the turns after it; undone." {
		t.Errorf("%+v %+v", told, v)
	}
	for id, it := range s.items {
		if it.Ordinal > told.Ordinal || it.Kind == api.ItemRevert && id != told.ID {
			t.Errorf("beside or after the revert: %+v", it)
		}
	}
	// It outlives the backend: what it holds can be done again and taken back.
	d.goodbye()
	d = start(t, w)
	s = d.ready()
	s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "t", Topic: api.TopicThread + th.ID})
	find(s, api.RevertUndone)
	again := call[api.Reverted](d, api.MethodRevertUndo, api.RevertUndo{ThreadID: th.ID, RevertID: told.Revert.RevertID})
	find(s, api.RevertDone)
	if told.Revert.RevertID != again.RevertID || exists("notes.txt") {
		t.Errorf("%+v %+v", told.Revert, again)
	}
	// Where nothing can be undone, it stands.
	put(t, w.repo, "notes.txt", "by a person\n")
	if u := call[api.Reverted](d, api.MethodRevertUndo, api.RevertUndo{ThreadID: th.ID, RevertID: again.RevertID}); u.RevertID != "" || len(u.Left) != 1 {
		t.Errorf("%+v", u)
	}
	find(s, api.RevertDone)
	if told.Revert.RevertID != again.RevertID {
		t.Errorf("%+v", told.Revert)
	}
	d.goodbye()
}

// TestAThreadInItsOwnWorktree has a set-up script, turns in the worktree, and its removal.
func TestAThreadInItsOwnWorktree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := start(t, w)
	s := d.ready()
	p := call[api.Project](d, api.MethodProjectAdd, api.ProjectAdd{Path: w.repo})
	script := "echo setting up; while [ ! -e \"$CATAMARAN_PROJECT/go\" ]; do sleep 0.05; done; echo ready > ready.txt"
	if runtime.GOOS == "windows" {
		script = "'ready' | Out-File ready.txt"
	}
	p = call[api.Project](d, api.MethodWorktreeScript, api.WorktreeScript{ProjectID: p.ID, Script: script})
	if p.SetupScript != script {
		t.Errorf("%+v", p)
	}
	th := call[api.Thread](d, api.MethodThreadCreate, api.ThreadCreate{ProjectID: p.ID, AgentID: "demo", Worktree: &api.WorktreeChoice{Kind: "new", Branch: "side"}})
	if th.Dir == "" || th.Dir == w.repo || th.Branch != "side" || th.SetupJobID == "" || !strings.HasPrefix(th.Dir, w.state) {
		t.Fatalf("%+v", th)
	}
	s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "t", Topic: api.TopicThread + th.ID})
	s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "j", Topic: api.TopicJob + th.SetupJobID})
	// The turn waits for the script.
	tu := call[api.Turn](d, api.MethodTurnStart, api.TurnStart{ThreadID: th.ID, Text: "write notes.txt: from the side"})
	var j api.Job
	for !strings.Contains(j.Output, "setting up") && j.State != "done" {
		if f := s.next(); f.Job != nil {
			j = *f.Job
		}
	}
	if s.pending() != nil {
		t.Error("the agent began before the set-up was done")
	}
	put(t, w.repo, "go", "")
	d.approve(s, tu.ID)
	if b, err := os.ReadFile(filepath.Join(th.Dir, "notes.txt")); err != nil || string(b) != "from the side\n" {
		t.Errorf("%q %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(w.repo, "notes.txt")); err == nil {
		t.Error("the turn worked in the project's folder")
	}
	if ch := s.turns[tu.ID].Changes; ch == nil || len(ch.Files) != 1 || ch.Files[0].Path != "notes.txt" {
		t.Errorf("%+v", ch)
	}
	if st := call[api.GitStatus](d, api.MethodGitStatus, api.GitPlace{ProjectID: p.ID, ThreadID: th.ID}); st.Branch != "side" || !st.Linked || st.Untracked != 2 {
		t.Errorf("%+v", st)
	}
	list := call[api.Worktrees](d, api.MethodWorktreeList, api.ProjectRef{ProjectID: p.ID})
	if len(list.Worktrees) != 2 || !list.Worktrees[1].Own || list.Worktrees[1].Changed != 2 || !slices.Equal(list.Worktrees[1].ThreadIDs, []string{th.ID}) {
		t.Fatalf("%+v", list)
	}
	var none api.Empty
	path := list.Worktrees[1].Path
	if err := d.try("POST", "/api/call/"+api.MethodWorktreeRemove, api.WorktreeRemove{ProjectID: p.ID, Path: path}, &none); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("%v", err)
	}
	call[api.Empty](d, api.MethodWorktreeRemove, api.WorktreeRemove{ProjectID: p.ID, Path: path, Force: true})
	if _, err := os.Stat(th.Dir); err == nil {
		t.Error("the worktree stays")
	}
	// The thread goes on all the same: its worktree is made again.
	tu = call[api.Turn](d, api.MethodTurnStart, api.TurnStart{ThreadID: th.ID, Text: "write notes.txt: again"})
	d.approve(s, tu.ID)
	if b, err := os.ReadFile(filepath.Join(th.Dir, "notes.txt")); err != nil || string(b) != "again\n" || s.turns[tu.ID].State != api.TurnCompleted {
		t.Errorf("%q %v %+v", b, err, s.turns[tu.ID])
	}
	// Its agent was started again, in the folder that is there now.
	tu = call[api.Turn](d, api.MethodTurnStart, api.TurnStart{ThreadID: th.ID, Text: "run: ls -a"})
	d.approve(s, tu.ID)
	if !slices.ContainsFunc(values(s.items), func(it api.Item) bool {
		return it.TurnID == tu.ID && it.Tool != nil && strings.Contains(it.Tool.Output, "notes.txt")
	}) {
		t.Error("the agent does not find its folder")
	}
	if !slices.ContainsFunc(values(s.items), func(it api.Item) bool {
		return it.Kind == api.ItemNotice && strings.Contains(it.Text, "made again from its branch") && strings.Contains(it.Text, "set-up script was run again")
	}) {
		t.Errorf("nothing tells that it was made again and set up: %+v", s.items)
	}
	if _, err := os.Stat(filepath.Join(th.Dir, "ready.txt")); err != nil {
		t.Error("the worktree was not set up again: ", err)
	}
	before := th.SetupJobID
	if th = call[api.Thread](d, api.MethodThreadPin, api.ThreadPin{ThreadID: th.ID}); th.SetupJobID == before || th.Branch != "side" {
		t.Errorf("%+v", th)
	}
	// The script is mended and run again in the worktree that is there.
	p = call[api.Project](d, api.MethodWorktreeScript, api.WorktreeScript{ProjectID: p.ID, Script: "exit 3"})
	again := func(want string) api.Job {
		t.Helper()
		j := call[api.Job](d, api.MethodWorktreeSetup, api.ThreadRef{ThreadID: th.ID})
		if j.ID != th.SetupJobID || j.ThreadID != th.ID {
			t.Errorf("%+v", j)
		}
		s := d.socket()
		s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "j", Topic: api.TopicJob + j.ID})
		for j.State == "running" {
			if f := s.next(); f.Job != nil {
				j = *f.Job
			}
		}
		if j.State != want {
			t.Errorf("%s, want %s: %+v", j.State, want, j)
		}
		return j
	}
	if j := again("failed"); j.Error == nil || !strings.Contains(j.Error.Message, "exit code 3") || j.Error.Hint == "" {
		t.Errorf("%+v", j.Error)
	}
	call[api.Project](d, api.MethodWorktreeScript, api.WorktreeScript{ProjectID: p.ID, Script: script})
	again("done")
	if _, err := os.Stat(filepath.Join(th.Dir, "ready.txt")); err != nil {
		t.Error(err)
	}
	plain := call[api.Thread](d, api.MethodThreadCreate, api.ThreadCreate{ProjectID: p.ID, AgentID: "demo"})
	var noJob api.Job
	if err := d.try("POST", "/api/call/"+api.MethodWorktreeSetup, api.ThreadRef{ThreadID: plain.ID}, &noJob); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("%v", err)
	}
	var no api.Thread
	if err := d.try("POST", "/api/call/"+api.MethodThreadCreate, api.ThreadCreate{ProjectID: p.ID, AgentID: "demo", Worktree: &api.WorktreeChoice{Kind: "branch", Branch: "nowhere"}}, &no); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("%v", err)
	}
	d.goodbye()
}

// TestGitRunsOnlyWhileSomebodyLooks has a git in PATH that writes down each of its calls.
func TestGitRunsOnlyWhileSomebodyLooks(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the recording git is a shell script")
	}
	w := newWorld(t)
	real, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	calls := filepath.Join(w.home, "calls")
	put(t, filepath.Join(w.home, "bin"), "git", "#!/bin/sh\necho \"$*\" >> '"+calls+"'\nexec '"+real+"' \"$@\"\n")
	if err := os.Chmod(filepath.Join(w.home, "bin", "git"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.env = append(w.env, "PATH="+filepath.Join(w.home, "bin")+":"+os.Getenv("PATH"))
	count := func() int {
		b, _ := os.ReadFile(calls)
		return strings.Count(string(b), "\n")
	}
	d := start(t, w)
	s := d.ready()
	p := call[api.Project](d, api.MethodProjectAdd, api.ProjectAdd{Path: w.repo})
	s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "g", Topic: api.TopicGit + p.ID})
	s.status("the first status", func(api.GitStatus) bool { return true })
	put(t, w.repo, "a", "a")
	s.status("a change", func(st api.GitStatus) bool { return st.Untracked == 1 })
	quiet := func(what string) {
		t.Helper()
		// What is under way ends; then nothing may come for a while.
		last := count()
		for still := 0; still < 10; {
			time.Sleep(100 * time.Millisecond)
			if n := count(); n != last {
				last, still = n, 0
			} else {
				still++
			}
		}
		before := count()
		time.Sleep(time.Second)
		if n := count(); n != before {
			b, _ := os.ReadFile(calls)
			t.Errorf("%s: git ran %d times\n%s", what, n-before, b)
		}
	}
	quiet("while nothing changes")
	s.send(api.ClientFrame{Type: api.FrameUnsubscribe, ID: "g"})
	call[api.Empty](d, api.MethodPing, api.Empty{})
	before := count()
	put(t, w.repo, "b", "b")
	quiet("while nobody looks")
	if n := count(); n != before {
		t.Errorf("git ran %d times while nobody looks", n-before)
	}

	// What is checked out is seen without git: after the repository is found its file is read.
	s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "shell", Topic: api.TopicShell})
	s.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "h", Topic: api.TopicHead + p.ID})
	var seen api.Project
	branch := func(what string, ok func(p api.Project) bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !ok(seen); {
			if time.Now().After(deadline) {
				t.Fatalf("waited too long for %s: %+v", what, seen)
			}
			f := s.next()
			if f.Shell != nil {
				seen = f.Shell.Projects[0]
			} else if f.Event != nil && f.Event.Project != nil {
				seen = *f.Event.Project
			}
		}
	}
	outside := func(args ...string) {
		t.Helper()
		cmd := exec.Command(real, args...)
		cmd.Dir, cmd.Env = w.repo, w.env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	branch("the branch", func(p api.Project) bool { return p.Branch == "main" })
	quiet("with an eye on the branch")
	before = count()
	outside("switch", "-q", "-c", "side")
	branch("a branch made outside", func(p api.Project) bool { return p.Branch == "side" })
	outside("switch", "-q", "--detach")
	branch("no branch", func(p api.Project) bool { return p.Branch == "" && len(p.DetachedAt) == 40 })
	quiet("after branches were switched")
	if n := count(); n != before {
		t.Errorf("git ran %d times for the branch", n-before)
	}
	// A repository that goes away and comes back is followed.
	if err := os.Rename(filepath.Join(w.repo, ".git"), filepath.Join(w.home, "kept.git")); err != nil {
		t.Fatal(err)
	}
	branch("no repository", func(p api.Project) bool { return !p.Git && p.DetachedAt == "" })
	if err := os.Rename(filepath.Join(w.home, "kept.git"), filepath.Join(w.repo, ".git")); err != nil {
		t.Fatal(err)
	}
	branch("the repository again", func(p api.Project) bool { return p.Git && len(p.DetachedAt) == 40 })
	outside("switch", "-q", "side")
	branch("its branch", func(p api.Project) bool { return p.Branch == "side" })
	if err := os.Rename(w.repo, w.repo+"-away"); err != nil {
		t.Fatal(err)
	}
	quiet("while the folder is away")
	if err := os.Rename(w.repo+"-away", w.repo); err != nil {
		t.Fatal(err)
	}
	outside("switch", "-q", "main")
	branch("a branch in the folder that came back", func(p api.Project) bool { return p.Branch == "main" })
	s.send(api.ClientFrame{Type: api.FrameUnsubscribe, ID: "h"})
	call[api.Empty](d, api.MethodPing, api.Empty{})
	before = count()
	outside("switch", "-q", "side")
	quiet("while nobody looks at the branch")
	if n := count(); n != before {
		t.Errorf("git ran %d times while nobody looks at the branch", n-before)
	}
	// Whoever looks next sees it, and the app's own switch at once.
	call[api.GitStatus](d, api.MethodGitStatus, api.GitPlace{ProjectID: p.ID})
	branch("what was switched meanwhile", func(p api.Project) bool { return p.Branch == "side" })
	call[api.GitStatus](d, api.MethodGitSwitch, api.GitSwitch{GitPlace: api.GitPlace{ProjectID: p.ID}, Branch: "main"})
	branch("the app's switch", func(p api.Project) bool { return p.Branch == "main" })
	d.goodbye()
}
