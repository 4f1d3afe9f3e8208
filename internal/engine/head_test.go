package engine

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/git"
	"catamaran/internal/job"
	"catamaran/internal/worktree"
)

func runGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=T", "-c", "user.email=t@example.invalid"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func checkedOut(ctx context.Context, dir string) (git.CheckedOut, error) {
	r, err := git.Open(ctx, dir)
	if errors.Is(err, git.ErrNotRepo) {
		return git.CheckedOut{}, nil
	}
	if err != nil {
		return git.CheckedOut{}, err
	}
	return r.CheckedOut(ctx)
}

// TestTheBranchIsWhatIsCheckedOut has agents, terminals and an older look at the repository.
func TestTheBranchIsWhatIsCheckedOut(t *testing.T) {
	t.Parallel()
	jobs := job.New()
	t.Cleanup(jobs.Close)
	trees := must[*worktree.Trees](t)(worktree.New(worktree.Options{Root: filepath.Join(t.TempDir(), "trees"), Jobs: jobs}))
	h := start(t, t.TempDir(), func(o *Options) { o.Git, o.Worktrees = checkedOut, trees }, nil)
	th := h.thread()
	repo := filepath.Join(h.dir, "project")
	shell := must[*Subscription](t)(h.e.Subscribe(api.TopicShell, nil))
	defer shell.Close()
	projects, threads := map[string]api.Project{}, map[string]api.Thread{}
	until := func(what string, ok func(p api.Project, own api.Thread) bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		held := func() bool {
			var own api.Thread
			for id, other := range threads {
				if id != th.ID {
					own = other
				}
			}
			return ok(projects[th.ProjectID], own)
		}
		for !held() {
			f, err := shell.Next(ctx)
			switch {
			case err != nil:
				t.Fatalf("waiting for %s: %v; %+v %+v", what, err, projects, threads)
			case f.Shell != nil:
				for _, p := range f.Shell.Projects {
					projects[p.ID] = p
				}
				for _, th := range f.Shell.Threads {
					threads[th.ID] = th
				}
			case f.Event != nil && f.Event.Project != nil:
				projects[f.Event.Project.ID] = *f.Event.Project
			case f.Event != nil && f.Event.Thread != nil:
				threads[f.Event.Thread.ID] = *f.Event.Thread
			}
		}
	}
	until("a folder outside Git", func(p api.Project, _ api.Thread) bool { return p.ID != "" && !p.Git && p.Branch == "" })
	// An agent makes a repository of it.
	h.prompt(th.ID, "git init -q -b trunk")
	until("the new repository", func(p api.Project, _ api.Thread) bool { return p.Git && p.Branch == "trunk" })
	runGit(t, repo, "commit", "-q", "--allow-empty", "-m", "one")
	h.prompt(th.ID, "git switch -q -c side")
	until("the agent's branch", func(p api.Project, _ api.Thread) bool { return p.Branch == "side" && p.DetachedAt == "" })
	h.prompt(th.ID, "git switch -q --detach")
	head := runGit(t, repo, "rev-parse", "HEAD")
	until("no branch", func(p api.Project, _ api.Thread) bool { return p.Branch == "" && p.DetachedAt == head })

	own := must[api.Thread](t)(h.e.CreateThread(t.Context(), "", api.ThreadCreate{ProjectID: th.ProjectID, AgentID: "demo", Worktree: &api.WorktreeChoice{Kind: "new", Branch: "own"}}))
	until("the thread's own branch", func(p api.Project, own api.Thread) bool { return own.Branch == "own" && p.DetachedAt == head })
	h.prompt(own.ID, "git switch -q -c other")
	until("the branch in its worktree", func(p api.Project, own api.Thread) bool { return own.Branch == "other" && p.DetachedAt == head })
	h.prompt(own.ID, "git switch -q --detach")
	until("its commit", func(_ api.Project, own api.Thread) bool { return own.Branch == "" && own.DetachedAt == head })
	runGit(t, own.Dir, "switch", "-q", "own")
	place := api.GitPlace{ProjectID: own.ProjectID, ThreadID: own.ID}
	if err := h.e.LookAtHead(t.Context(), place, checkedOut); err != nil {
		t.Fatal(err)
	}
	until("a terminal's branch", func(_ api.Project, own api.Thread) bool { return own.Branch == "own" && own.DetachedAt == "" })

	// What cannot be read, or is gone, takes nothing away: the branch is wanted to make the worktree again.
	broken := errors.New("broken")
	if err := h.e.LookAtHead(t.Context(), place, func(context.Context, string) (git.CheckedOut, error) { return git.CheckedOut{}, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := os.RemoveAll(own.Dir); err != nil {
		t.Fatal(err)
	}
	for _, p := range []api.GitPlace{place, {ThreadID: "nobody"}, {ProjectID: "nothing"}} {
		if err := h.e.LookAtHead(t.Context(), p, checkedOut); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if got := must[Marked](t)(h.e.Marks(t.Context(), own.ID)); got.Thread.Branch != "own" {
		t.Errorf("%+v", got.Thread)
	}
}

// TestHeadsOfTwoProjects holds the look at one up: another's goes on, and a newer one at the same waits.
func TestHeadsOfTwoProjects(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	one := h.thread()
	folder := filepath.Join(h.dir, "another")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	two := must[api.Project](t)(h.e.AddProject(t.Context(), "", api.ProjectAdd{Path: folder}))
	branch := func(project string) string {
		t.Helper()
		p, _, err := h.e.Places(t.Context(), project)
		if err != nil {
			t.Fatal(err)
		}
		return p.Branch
	}
	on := func(name string) func(context.Context, string) (git.CheckedOut, error) {
		return func(context.Context, string) (git.CheckedOut, error) {
			return git.CheckedOut{Repo: true, Branch: name}, nil
		}
	}
	reading, let := make(chan struct{}), make(chan struct{})
	old, newer := make(chan error, 1), make(chan error, 1)
	go func() {
		old <- h.e.LookAtHead(t.Context(), api.GitPlace{ProjectID: one.ProjectID}, func(context.Context, string) (git.CheckedOut, error) {
			close(reading)
			<-let
			return git.CheckedOut{Repo: true, Branch: "old"}, nil
		})
	}()
	<-reading
	// The same place by another name: the thread works in the project's folder.
	go func() { newer <- h.e.LookAtHead(t.Context(), api.GitPlace{ThreadID: one.ID}, on("new")) }()
	if err := h.e.LookAtHead(t.Context(), api.GitPlace{ProjectID: two.ID}, on("elsewhere")); err != nil {
		t.Fatal(err)
	}
	if got := branch(two.ID); got != "elsewhere" {
		t.Errorf("the other project is on %q", got)
	}
	select {
	case err := <-newer:
		t.Errorf("a newer look did not wait for the older: %v", err)
	default:
	}
	close(let)
	for _, end := range []chan error{old, newer} {
		if err := <-end; err != nil {
			t.Error(err)
		}
	}
	if got := branch(one.ProjectID); got != "new" {
		t.Errorf("the project is on %q", got)
	}
}
