package worktree

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"catamaran/internal/api"
	"catamaran/internal/git"
	"catamaran/internal/job"
	"catamaran/internal/proc"
)

func TestMain(m *testing.M) {
	proc.GuardMain()
	goleak.VerifyTestMain(m)
}

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := git.Run(t.Context(), git.Command{Dir: dir, Args: args, Env: []string{"GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_AUTHOR_NAME=T", "GIT_AUTHOR_EMAIL=t@example.invalid", "GIT_COMMITTER_NAME=T", "GIT_COMMITTER_EMAIL=t@example.invalid"}})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out.Stdout))
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func setUp(t *testing.T) (*Trees, *job.Jobs, api.Project) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	repo := filepath.Join(dir, "repo")
	write(t, repo, "app/a", "a\n")
	run(t, repo, "init", "-q", "-b", "main")
	run(t, repo, "add", "-A")
	run(t, repo, "commit", "-q", "-m", "one")
	jobs := job.New()
	t.Cleanup(jobs.Close)
	trees, err := New(Options{Root: filepath.Join(dir, "worktrees"), Jobs: jobs})
	if err != nil {
		t.Fatal(err)
	}
	return trees, jobs, api.Project{ID: "p_12345678", Name: "My app!", Path: filepath.Join(repo, "app"), Git: true}
}

func wantCode(t *testing.T, err error, code api.Code) {
	t.Helper()
	if e := api.AsError(err); e == nil || e.Code != code || e.Hint == "" {
		t.Fatalf("%v (%+v), want %s with a hint", err, e, code)
	}
}

func TestMakeAndRemove(t *testing.T) {
	t.Parallel()
	trees, _, p := setUp(t)
	ctx := t.Context()
	m, err := trees.Make(ctx, p, "t_abcdefgh", api.WorktreeChoice{Kind: "new"})
	if err != nil || m.Branch != "catamaran/abcdefgh" || !m.New || filepath.Base(m.Dir) != "app" {
		t.Fatalf("%+v %v", m, err)
	}
	if b, err := os.ReadFile(filepath.Join(m.Dir, "a")); err != nil || string(b) != "a\n" {
		t.Errorf("%q %v", b, err)
	}
	// A second one of the same branch's name gets another folder, and is refused while the branch is used.
	_, err = trees.Make(ctx, p, "t_x", api.WorktreeChoice{Kind: "branch", Branch: m.Branch})
	wantCode(t, err, api.CodeConflict)
	run(t, p.Path, "branch", "side")
	side, err := trees.Make(ctx, p, "t_y", api.WorktreeChoice{Kind: "branch", Branch: "side"})
	if err != nil || side.Branch != "side" {
		t.Fatalf("%+v %v", side, err)
	}
	again, err := trees.Make(ctx, p, "t_z", api.WorktreeChoice{Kind: "existing", Path: side.Path})
	if err != nil || again.Dir != side.Dir || again.New {
		t.Fatalf("%+v %v", again, err)
	}
	for _, bad := range []api.WorktreeChoice{{Kind: "what"}, {Kind: "branch"}, {Kind: "new", Branch: "a..b"}, {Kind: "new", Branch: "x", Base: "nowhere"}} {
		_, err := trees.Make(ctx, p, "t_q", bad)
		wantCode(t, err, api.CodeInvalid)
	}
	_, err = trees.Make(ctx, p, "t_q", api.WorktreeChoice{Kind: "existing", Path: t.TempDir()})
	wantCode(t, err, api.CodeNotFound)
	_, err = trees.Make(ctx, api.Project{Path: t.TempDir()}, "t_q", api.WorktreeChoice{Kind: "new"})
	wantCode(t, err, api.CodeInvalid)

	write(t, m.Dir, "new", "n\n")
	list, err := trees.List(ctx, p, []api.Thread{{ID: "t_1", Dir: m.Dir, SetupJobID: "j"}, {ID: "t_2", Dir: side.Dir}, {ID: "t_3"}})
	if err != nil || len(list) != 3 || !list[0].Main || list[0].Own {
		t.Fatalf("%+v %v", list, err)
	}
	byPath := map[string]api.Worktree{}
	for _, w := range list {
		byPath[w.Path] = w
	}
	if w := byPath[m.Path]; !w.Own || w.Changed != 1 || w.Unmerged != 0 || len(w.ThreadIDs) != 1 || w.JobID != "j" {
		t.Errorf("%+v", w)
	}
	err = trees.Remove(ctx, p, m.Path, false, false)
	wantCode(t, err, api.CodeConflict)
	if e := api.AsError(err); !strings.Contains(e.Message, "1 uncommitted file") {
		t.Error(e.Message)
	}
	run(t, m.Path, "add", "-A")
	run(t, m.Path, "commit", "-q", "-m", "two")
	err = trees.Remove(ctx, p, m.Path, false, true)
	wantCode(t, err, api.CodeConflict)
	if e := api.AsError(err); !strings.Contains(e.Message, "1 commit that no other branch has") {
		t.Error(e.Message)
	}
	// Without the branch nothing is lost.
	if err := trees.Remove(ctx, p, m.Path, false, false); err != nil {
		t.Fatal(err)
	}
	if got := run(t, p.Path, "branch", "--list", m.Branch); got == "" {
		t.Error("the branch is gone")
	}
	write(t, side.Dir, "x", "x")
	if err := trees.Remove(ctx, p, side.Path, true, true); err != nil {
		t.Fatal(err)
	}
	if got := run(t, p.Path, "branch", "--list", "side"); got != "" {
		t.Error("the branch stays")
	}
	// Without a branch the commits go with the folder.
	loose, err := trees.Make(ctx, p, "t_l", api.WorktreeChoice{Kind: "new", Branch: "loose"})
	if err != nil {
		t.Fatal(err)
	}
	run(t, loose.Path, "switch", "-q", "--detach")
	run(t, loose.Path, "commit", "-q", "--allow-empty", "-m", "nowhere else")
	err = trees.Remove(ctx, p, loose.Path, false, false)
	wantCode(t, err, api.CodeConflict)
	if e := api.AsError(err); !strings.Contains(e.Message, "1 commit that no branch has") {
		t.Error(e.Message)
	}
	run(t, loose.Path, "branch", "kept")
	if err := trees.Remove(ctx, p, loose.Path, false, false); err != nil {
		t.Fatal(err)
	}
	wantCode(t, trees.Remove(ctx, p, filepath.Dir(p.Path), true, true), api.CodeInvalid)
	wantCode(t, trees.Remove(ctx, p, side.Path, true, true), api.CodeNotFound)
}

func TestSetup(t *testing.T) {
	t.Parallel()
	trees, jobs, p := setUp(t)
	m, err := trees.Make(t.Context(), p, "t_1", api.WorktreeChoice{Kind: "new"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ script, state, output string }{
		"works": {"echo in $(basename \"$PWD\") of $CATAMARAN_BRANCH; echo warning >&2; touch made", "done", "in app of catamaran/t_1"},
		"fails": {"echo no; exit 3", "failed", "no"},
	} {
		p.SetupScript = tc.script
		if _, err := trees.Setup(p, "t_1", SetupID("t_1"), m); err != nil {
			t.Fatal(err)
		}
		st, err := jobs.Wait(t.Context(), SetupID("t_1"))
		if err != nil || st.State != tc.state || !strings.Contains(st.Output, tc.output) {
			t.Errorf("%s: %+v %v", name, st, err)
		}
		notice, err := trees.Enter(t.Context(), p, api.Thread{ID: "t_1", Dir: m.Dir, Branch: m.Branch}, none)
		if err != nil || (notice != "") != (tc.state == "failed") {
			t.Errorf("%s: %q %v", name, notice, err)
		}
	}
	if _, err := os.Stat(filepath.Join(m.Dir, "made")); err != nil {
		t.Error(err)
	}
	// A script that hangs with a child is ended with its whole tree.
	p.SetupScript = "sh -c 'echo $$ > pid; exec sleep 600' & wait"
	if _, err := trees.Setup(p, "t_1", SetupID("t_1"), m); err != nil {
		t.Fatal(err)
	}
	var pid string
	for deadline := time.Now().Add(time.Minute); pid == ""; {
		b, _ := os.ReadFile(filepath.Join(m.Dir, "pid"))
		if pid = strings.TrimSpace(string(b)); time.Now().After(deadline) {
			t.Fatal("the script did not start")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := trees.Enter(ctx, p, api.Thread{ID: "t_1", Dir: m.Dir}, none); err == nil {
		t.Error("a thread may work while its set-up runs")
	}
	if st, err := jobs.Cancel(t.Context(), SetupID("t_1")); err != nil || st.State != "cancelled" {
		t.Errorf("%+v %v", st, err)
	}
	if b, err := os.ReadFile("/proc/" + pid + "/cmdline"); err == nil && strings.Contains(string(b), "sleep") {
		t.Error("its child still runs")
	}
	wantCode(t, CheckScript(strings.Repeat("x", scriptMost+1)), api.CodeInvalid)
}

func TestRemovedOutside(t *testing.T) {
	t.Parallel()
	trees, _, p := setUp(t)
	m, err := trees.Make(t.Context(), p, "t_1", api.WorktreeChoice{Kind: "new"})
	if err != nil {
		t.Fatal(err)
	}
	write(t, m.Dir, "kept", "k\n")
	run(t, m.Path, "add", "-A")
	run(t, m.Path, "commit", "-q", "-m", "two")
	for _, how := range []func(){
		func() { os.RemoveAll(m.Path) },
		func() { run(t, p.Path, "worktree", "remove", "--force", m.Path) },
	} {
		how()
		notice, err := trees.Enter(t.Context(), p, api.Thread{ID: "t_1", Dir: m.Dir, Branch: m.Branch}, none)
		if err != nil || !strings.Contains(notice, "again from its branch") || strings.Contains(notice, "set-up") {
			t.Fatalf("%q %v", notice, err)
		}
		if b, err := os.ReadFile(filepath.Join(m.Dir, "kept")); err != nil || string(b) != "k\n" {
			t.Errorf("%q %v", b, err)
		}
		if got := run(t, m.Path, "branch", "--show-current"); got != m.Branch {
			t.Errorf("on %q", got)
		}
	}
	// With its branch gone it is made again all the same, at the project's commit.
	os.RemoveAll(m.Path)
	run(t, p.Path, "worktree", "prune")
	run(t, p.Path, "branch", "-q", "-D", m.Branch)
	if notice, err := trees.Enter(t.Context(), p, api.Thread{ID: "t_1", Dir: m.Dir, Branch: m.Branch}, none); err != nil || !strings.Contains(notice, "the project's commit") {
		t.Fatalf("%q %v", notice, err)
	}
	// Without a branch it is made again at its commit.
	run(t, m.Path, "commit", "-q", "--allow-empty", "-m", "three")
	commit := run(t, m.Path, "rev-parse", "HEAD")
	os.RemoveAll(m.Path)
	if notice, err := trees.Enter(t.Context(), p, api.Thread{ID: "t_1", Dir: m.Dir, DetachedAt: commit}, none); err != nil || !strings.Contains(notice, "at its commit") {
		t.Fatalf("%q %v", notice, err)
	}
	if got := run(t, m.Path, "rev-parse", "HEAD"); got != commit {
		t.Errorf("at %s, want %s", got, commit)
	}
}

// none is told of set-ups that must not be run again.
func none(id string) { panic("the set-up was run again: " + id) }

// TestSetUpOnceMore removes a worktree that was set up: the script is run in the new
// one before the thread may work, and what it came to is told, a failure only once.
func TestSetUpOnceMore(t *testing.T) {
	t.Parallel()
	trees, jobs, p := setUp(t)
	m, err := trees.Make(t.Context(), p, "t_1", api.WorktreeChoice{Kind: "new"})
	if err != nil {
		t.Fatal(err)
	}
	th := api.Thread{ID: "t_1", Dir: m.Dir, Branch: m.Branch, SetupJobID: SetupID("t_1")}
	enter := func(want ...string) {
		t.Helper()
		notice, err := trees.Enter(t.Context(), p, th, func(id string) {
			if id == th.SetupJobID {
				t.Errorf("the job %s is an old one's: who looks at that is not told", id)
			}
			th.SetupJobID = id
		})
		if err != nil || (notice == "") != (len(want) == 0) {
			t.Fatalf("%q %v, want %q", notice, err, want)
		}
		for _, w := range want {
			if !strings.Contains(notice, w) {
				t.Errorf("%q does not tell %q", notice, w)
			}
		}
	}
	p.SetupScript = "echo no; exit 3"
	if _, err := trees.Setup(p, th.ID, th.SetupJobID, m); err != nil {
		t.Fatal(err)
	}
	enter("did not succeed", "exit code 3")
	enter()
	// A second try fails again, which is news.
	if _, err := trees.Again(t.Context(), p, th); err != nil {
		t.Fatal(err)
	}
	enter("did not succeed")
	enter()

	os.RemoveAll(m.Path)
	p.SetupScript = "echo $CATAMARAN_BRANCH > made"
	enter("made again from its branch", "set-up script was run again")
	if b, err := os.ReadFile(filepath.Join(m.Dir, "made")); err != nil || strings.TrimSpace(string(b)) != m.Branch {
		t.Errorf("%q %v", b, err)
	}
	if st, err := jobs.Wait(t.Context(), th.SetupJobID); err != nil || st == nil || st.State != "done" || st.ThreadID != th.ID {
		t.Errorf("%+v %v", st, err)
	}
	enter()

	os.RemoveAll(m.Path)
	p.SetupScript = "exit 4"
	enter("made again from its branch", "did not succeed", "exit code 4")
	enter()
}
