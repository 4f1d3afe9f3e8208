// Package worktree gives threads working trees of their own: makes them, runs the
// project's set-up script in new ones, makes one again whose folder was removed
// outside the app, and removes them when nothing of worth is in them, or when a
// person insists. The engine and package review call it; which thread works where
// is stored by the engine.
//
// Invariants: a worktree is made below the app's own folder, or is one that the
// repository already lists; nothing is removed that holds uncommitted changes or
// commits which no other branch has, unless forced; a script has a deadline, and
// its whole process tree ends with it.
package worktree

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/git"
	"catamaran/internal/job"
	"catamaran/internal/proc"
)

const (
	// ScriptTimeout bounds a set-up script.
	ScriptTimeout = 15 * time.Minute
	// scriptStop is what a script gets between being asked to end and being killed.
	scriptStop = 2 * time.Second
	// unmergedMost bounds the commits counted.
	unmergedMost = 1000
	// scriptMost bounds a script, in bytes.
	scriptMost = 32 << 10
	// toldMost bounds the failures remembered as told.
	toldMost = 1000
)

// Options of Trees.
type Options struct {
	// Root is where worktrees are made, absolute.
	Root string
	Jobs *job.Jobs
	// Env is the environment that scripts run in; nil is this process's.
	Env func(ctx context.Context) ([]string, error)
	Log *slog.Logger
}

// Trees makes and removes worktrees. It is safe for concurrent use.
type Trees struct {
	o Options

	mu sync.Mutex
	// told are the set-ups whose failure was told, by job and start.
	told map[string]int64
}

// New validates the options and starts nothing.
func New(o Options) (*Trees, error) {
	if !filepath.IsAbs(o.Root) || o.Jobs == nil {
		return nil, errors.New("worktree: an option is missing")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Trees{o: o, told: map[string]int64{}}, nil
}

// Made is a worktree for a thread.
type Made struct {
	// Dir is where the thread works: the worktree, or the project's folder within it.
	Dir string
	// Branch is what is checked out, "" when detached.
	Branch string
	// Path is the worktree's root; New tells that it was made just now.
	Path string
	New  bool
}

// Make makes or finds the worktree of choice c for a thread of project p. Errors are *api.Error.
func (t *Trees) Make(ctx context.Context, p api.Project, threadID string, c api.WorktreeChoice) (Made, error) {
	repo, err := git.Open(ctx, p.Path)
	if errors.Is(err, git.ErrNotRepo) {
		return Made{}, &api.Error{Code: api.CodeInvalid, Message: "The project is not in a Git repository, so it has no worktrees.", Hint: "Work in the project's folder, or create a repository with git init."}
	}
	if err != nil {
		return Made{}, git.Explain("find the repository", err)
	}
	below, err := filepath.Rel(repo.Top, p.Path)
	if err != nil {
		return Made{}, fmt.Errorf("find the project in its repository: %w", err)
	}
	if c.Kind == "existing" {
		return t.existing(ctx, repo, below, c.Path)
	}
	if head, err := git.Head(ctx, repo.Top); err != nil {
		return Made{}, err
	} else if head == "" {
		return Made{}, &api.Error{Code: api.CodeInvalid, Message: "The repository has no commit yet, so a worktree would be empty.", Hint: "Make a first commit."}
	}
	m := Made{Branch: c.Branch, New: true}
	newBranch := ""
	switch c.Kind {
	case "new":
		if m.Branch == "" {
			m.Branch = "catamaran/" + shortID(threadID)
		}
		newBranch = m.Branch
	case "branch":
		if m.Branch == "" {
			return Made{}, &api.Error{Code: api.CodeInvalid, Message: "No branch is given.", Hint: "Choose one of the branches listed."}
		}
	default:
		return Made{}, &api.Error{Code: api.CodeInvalid, Message: "This kind of worktree is not known: " + c.Kind, Hint: "Use new, branch or existing."}
	}
	folder := filepath.Join(t.o.Root, slug(p.Name)+"-"+shortID(p.ID))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return Made{}, fmt.Errorf("make the folder of worktrees: %w", err)
	}
	if m.Path, err = free(folder, slug(m.Branch)); err != nil {
		return Made{}, err
	}
	if err := git.AddWorktree(ctx, repo.Top, m.Path, newBranch, c.Base, m.Branch); err != nil {
		return Made{}, err
	}
	m.Dir = filepath.Join(m.Path, below)
	if st, err := os.Stat(m.Dir); err != nil || !st.IsDir() {
		// The branch does not have the project's folder.
		if err := os.MkdirAll(m.Dir, 0o755); err != nil {
			return m, errors.Join(fmt.Errorf("make the project's folder: %w", err), t.Discard(ctx, p, m))
		}
	}
	return m, nil
}

// existing finds a worktree that the repository lists.
func (t *Trees) existing(ctx context.Context, repo git.Repo, below, path string) (Made, error) {
	list, err := git.Worktrees(ctx, repo.Top)
	if err != nil {
		return Made{}, err
	}
	for _, w := range list {
		if w.Path != path {
			continue
		}
		if w.Missing {
			if _, err := git.RepairWorktree(ctx, repo.Top, w.Path, w.Branch, w.Head); err != nil {
				return Made{}, err
			}
		}
		return Made{Dir: filepath.Join(w.Path, below), Branch: w.Branch, Path: w.Path}, nil
	}
	return Made{}, &api.Error{Code: api.CodeNotFound, Message: "The repository has no worktree at " + path + ".", Hint: "Choose one of those listed."}
}

// Discard takes back a worktree that Make made just now.
func (t *Trees) Discard(ctx context.Context, p api.Project, m Made) error {
	if !m.New {
		return nil
	}
	err := git.RemoveWorktree(ctx, p.Path, m.Path)
	if strings.HasPrefix(m.Branch, "catamaran/") {
		err = errors.Join(err, git.DeleteBranch(ctx, p.Path, m.Branch))
	}
	return err
}

// SetupID is the id of the job that sets up a thread's new worktree.
func SetupID(threadID string) string { return "setup_" + threadID }

// CheckScript refuses a script that is none.
func CheckScript(script string) error {
	if len(script) > scriptMost || strings.ContainsRune(script, 0) {
		return &api.Error{Code: api.CodeInvalid, Message: "The set-up script is too long, or not text.", Hint: "Put it into a file of the repository and call that."}
	}
	return nil
}

// Setup starts the project's set-up script in a worktree, as a job.
func (t *Trees) Setup(p api.Project, threadID, id string, m Made) (api.Job, error) {
	return t.o.Jobs.Start(api.Job{ID: id, Kind: "setup", Title: "Set up " + m.Branch, ThreadID: threadID}, func(ctx context.Context, b *job.Job) error {
		ctx, cancel := context.WithTimeoutCause(ctx, ScriptTimeout, errors.New("the script took longer than "+ScriptTimeout.String()))
		defer cancel()
		return t.script(ctx, p, m, b)
	})
}

// Again starts the set-up script once more in the worktree that a thread has.
// Errors are *api.Error: CodeNotFound where its folder is not there.
func (t *Trees) Again(ctx context.Context, p api.Project, th api.Thread) (api.Job, error) {
	if st, err := os.Stat(th.Dir); err != nil || !st.IsDir() {
		return api.Job{}, &api.Error{Code: api.CodeNotFound, Message: "The worktree's folder is not there any more: " + th.Dir, Hint: "It is made again with the thread's next message."}
	}
	path, err := t.rootOf(ctx, p, th.Dir)
	if err != nil {
		return api.Job{}, err
	}
	return t.Setup(p, th.ID, jobOf(th), Made{Dir: th.Dir, Branch: th.Branch, Path: path})
}

func (t *Trees) script(ctx context.Context, p api.Project, m Made, out io.Writer) error {
	env := os.Environ()
	if t.o.Env != nil {
		var err error
		if env, err = t.o.Env(ctx); err != nil {
			return err
		}
	}
	env = append(env, "CATAMARAN_PROJECT="+p.Path, "CATAMARAN_WORKTREE="+m.Path, "CATAMARAN_BRANCH="+m.Branch)
	name, args := shell(p.SetupScript)
	child, err := proc.Start(proc.Spec{Name: "set-up script", Path: name, Args: args, Dir: m.Dir, Env: env, Guard: true, Stderr: out})
	if err != nil {
		return err
	}
	child.Stdin().Close()
	stop := context.AfterFunc(ctx, func() {
		late, cancel := context.WithTimeout(context.Background(), 2*scriptStop)
		defer cancel()
		if err := child.Stop(late, proc.Ladder{Terminate: scriptStop}); err != nil {
			t.o.Log.Error("end a set-up script", "err", err.Error())
		}
	})
	defer stop()
	if _, err := io.Copy(out, child.Stdout()); err != nil {
		child.Kill()
	}
	<-child.Done()
	switch code := child.ExitCode(); {
	case ctx.Err() != nil:
		return &api.Error{Code: api.CodeTimeout, Message: "The set-up script took longer than " + ScriptTimeout.String() + " and was ended.", Hint: "Its output tells how far it came."}
	case code != 0:
		return &api.Error{Code: api.CodeInvalid, Message: fmt.Sprintf("The set-up script failed with exit code %d.", code), Hint: "Its output tells why. Mend it there, or correct the script under Git, Worktrees, and run it again."}
	}
	return nil
}

// Enter makes sure that a thread can work in its worktree: waits for its set-up, and
// makes it again where its folder was removed outside the app, with the set-up that it
// had; began is told the id of that job. notice is what people should be told, a failed
// set-up once.
func (t *Trees) Enter(ctx context.Context, p api.Project, th api.Thread, began func(jobID string)) (notice string, err error) {
	if notice, err = t.setUp(ctx, jobOf(th)); err != nil {
		return "", err
	}
	if _, err := os.Stat(th.Dir); !errors.Is(err, os.ErrNotExist) {
		return notice, nil
	}
	path, err := t.rootOf(ctx, p, th.Dir)
	if err != nil {
		return "", err
	}
	kept, err := git.RepairWorktree(ctx, p.Path, path, th.Branch, th.DetachedAt)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(th.Dir, 0o755); err != nil {
		return "", err
	}
	from := "from its branch"
	switch {
	case !kept:
		from = "at the project's commit, for what it had is gone or checked out elsewhere"
	case th.Branch == "":
		from = "at its commit"
	}
	notice = "The thread's worktree was not there any more. It was made again " + from + "; what was not committed is gone."
	if th.SetupJobID == "" || p.SetupScript == "" {
		return notice, nil
	}
	id := SetupID(th.ID) + "_" + strings.ToLower(rand.Text()[:6])
	if _, err := t.Setup(p, th.ID, id, Made{Dir: th.Dir, Branch: th.Branch, Path: path}); err != nil {
		return "", err
	}
	began(id)
	failed, err := t.setUp(ctx, id)
	switch {
	case err != nil:
		return "", err
	case failed != "":
		return notice + " " + failed, nil
	}
	return notice + " Its set-up script was run again.", nil
}

// setUp waits for a job of Setup; failed is what to tell of one that did not succeed,
// and was not told yet.
func (t *Trees) setUp(ctx context.Context, id string) (failed string, err error) {
	st, err := t.o.Jobs.Wait(ctx, id)
	if err != nil || st == nil || st.State == "done" || st.Error == nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told[id] == st.StartedAt {
		return "", nil
	}
	if len(t.told) >= toldMost {
		clear(t.told)
	}
	t.told[id] = st.StartedAt
	return "The worktree's set-up did not succeed. " + st.Error.Message, nil
}

// jobOf is the id of the job of a thread's set-up, whether it was run or not.
func jobOf(th api.Thread) string {
	if th.SetupJobID != "" {
		return th.SetupJobID
	}
	return SetupID(th.ID)
}

// rootOf is the root of the worktree of which dir is the project's folder.
func (t *Trees) rootOf(ctx context.Context, p api.Project, dir string) (string, error) {
	repo, err := git.Open(ctx, p.Path)
	if err != nil {
		return "", git.Explain("find the repository", err)
	}
	below, err := filepath.Rel(repo.Top, p.Path)
	if err != nil {
		return "", err
	}
	if below == "." {
		return dir, nil
	}
	if root, ok := strings.CutSuffix(dir, string(filepath.Separator)+below); ok {
		return root, nil
	}
	return dir, nil
}

// List lists the worktrees of a project's repository, with what is at stake in
// those that the app made or threads use. threads are the project's.
func (t *Trees) List(ctx context.Context, p api.Project, threads []api.Thread) ([]api.Worktree, error) {
	list, err := git.Worktrees(ctx, p.Path)
	if err != nil {
		return nil, err
	}
	for i := range list {
		w := &list[i]
		w.Own = strings.HasPrefix(w.Path, t.o.Root+string(filepath.Separator))
		for _, th := range threads {
			if th.Dir != "" && (th.Dir == w.Path || strings.HasPrefix(th.Dir, w.Path+string(filepath.Separator))) {
				w.ThreadIDs = append(w.ThreadIDs, th.ID)
				if th.SetupJobID != "" {
					w.JobID = th.SetupJobID
				}
			}
		}
		if w.Main {
			continue
		}
		if err := t.stake(ctx, p, w); err != nil {
			t.o.Log.Debug("look at a worktree", "path", w.Path, "err", err.Error())
		}
	}
	return list, nil
}

func (t *Trees) stake(ctx context.Context, p api.Project, w *api.Worktree) error {
	var err error
	switch {
	case w.Branch != "":
		w.Unmerged, err = git.Unmerged(ctx, p.Path, w.Branch, unmergedMost)
	case w.Head != "":
		w.Unmerged, err = git.UnmergedAt(ctx, p.Path, w.Head, unmergedMost)
	}
	if err != nil {
		return err
	}
	if !w.Missing {
		w.Changed, err = git.Changed(ctx, w.Path)
	}
	return err
}

// Remove removes a worktree's folder, and with branch its branch. Without force it
// is refused where files are changed, or where commits would be lost with the branch.
func (t *Trees) Remove(ctx context.Context, p api.Project, path string, force, branch bool) error {
	list, err := git.Worktrees(ctx, p.Path)
	if err != nil {
		return err
	}
	for _, w := range list {
		if w.Path != path {
			continue
		}
		switch {
		case w.Main:
			return &api.Error{Code: api.CodeInvalid, Message: "This is the repository's main working tree; it can't be removed.", Hint: "Remove the project instead: its files stay."}
		case w.Locked != "":
			return &api.Error{Code: api.CodeConflict, Message: "The worktree is locked: " + w.Locked, Hint: "Unlock it in a terminal: git worktree unlock " + path}
		}
		if err := t.stake(ctx, p, &w); err != nil {
			return err
		}
		if !force && (w.Changed > 0 || w.Unmerged > 0 && (branch || w.Branch == "")) {
			var lost []string
			if w.Changed > 0 {
				lost = append(lost, count(w.Changed, "uncommitted file"))
			}
			switch {
			case w.Unmerged > 0 && w.Branch == "":
				lost = append(lost, count(w.Unmerged, "commit")+" that no branch has")
			case w.Unmerged > 0 && branch:
				lost = append(lost, count(w.Unmerged, "commit")+" that no other branch has")
			}
			return &api.Error{Code: api.CodeConflict, Message: "Removing the worktree would lose " + strings.Join(lost, " and ") + ".", Hint: "Commit, push or merge them first, or remove it all the same."}
		}
		if err := git.RemoveWorktree(ctx, p.Path, path); err != nil {
			return err
		}
		if branch && w.Branch != "" {
			return git.DeleteBranch(ctx, p.Path, w.Branch)
		}
		return nil
	}
	return &api.Error{Code: api.CodeNotFound, Message: "The repository has no worktree at " + path + ".", Hint: "It may have been removed already."}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// slug makes a folder's name of a branch's or a project's.
func slug(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.' && b.Len() > 0:
			b.WriteRune(r)
		default:
			b.WriteByte('-')
		}
		if b.Len() >= 40 {
			break
		}
	}
	if s := strings.Trim(b.String(), "-."); s != "" {
		return s
	}
	return "worktree"
}

// shortID is the end of an id, which is random.
func shortID(id string) string {
	if len(id) > 8 {
		id = id[len(id)-8:]
	}
	return id
}

// free is a folder below parent that is not there yet.
func free(parent, name string) (string, error) {
	for range 20 {
		path := filepath.Join(parent, name)
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			return path, nil
		} else if err != nil {
			return "", err
		}
		name = strings.TrimRight(name, "-") + "-" + strings.ToLower(rand.Text()[:4])
	}
	return "", &api.Error{Code: api.CodeConflict, Message: "No name is free for the worktree's folder.", Hint: "Remove old worktrees."}
}
