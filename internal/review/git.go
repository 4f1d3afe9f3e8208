package review

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/engine"
	"catamaran/internal/git"
	"catamaran/internal/job"
)

// Branches lists the branches of a place's repository.
func (d *Desk) Branches(ctx context.Context, p api.GitPlace) (api.GitBranches, error) {
	_, repo, err := d.place(ctx, p)
	if err != nil {
		return api.GitBranches{}, err
	}
	return git.Branches(ctx, repo.Top)
}

// Switch checks a branch out.
func (d *Desk) Switch(ctx context.Context, r api.GitSwitch) (api.GitStatus, error) {
	return d.change(ctx, r.GitPlace, func(ctx context.Context, dir string, _ git.Repo) error { return git.Switch(ctx, dir, r.Branch) })
}

// CreateBranch makes a branch.
func (d *Desk) CreateBranch(ctx context.Context, r api.GitBranchCreate) (api.GitStatus, error) {
	return d.change(ctx, r.GitPlace, func(ctx context.Context, dir string, _ git.Repo) error {
		return git.CreateBranch(ctx, dir, r.Name, r.From, r.Stay)
	})
}

// Stage puts changes into the index.
func (d *Desk) Stage(ctx context.Context, r api.GitPaths) (api.GitStatus, error) {
	return d.change(ctx, r.GitPlace, func(ctx context.Context, dir string, _ git.Repo) error { return git.Stage(ctx, dir, r.Paths, r.All) })
}

// Unstage takes changes out of the index.
func (d *Desk) Unstage(ctx context.Context, r api.GitPaths) (api.GitStatus, error) {
	return d.change(ctx, r.GitPlace, func(ctx context.Context, dir string, _ git.Repo) error {
		return git.Unstage(ctx, dir, r.Paths, r.All)
	})
}

// Commit records what is staged, and pushes it where asked to.
func (d *Desk) Commit(ctx context.Context, id string, r api.GitCommit) (api.GitCommitted, error) {
	return engine.Once(d.o.Engine, ctx, id, api.MethodGitCommit, func() (api.GitCommitted, error) {
		var c api.GitCommitted
		// Once begun it is carried to its end, whoever goes away meanwhile.
		ctx := context.WithoutCancel(ctx)
		st, err := d.change(ctx, r.GitPlace, func(ctx context.Context, dir string, _ git.Repo) (err error) {
			if r.All {
				if err := git.Stage(ctx, dir, nil, true); err != nil {
					return err
				}
			}
			if c.Output, err = git.Commit(ctx, dir, r.Message, r.Amend); err != nil {
				return err
			}
			if c.Commit, err = git.Head(ctx, dir); err != nil {
				return err
			}
			if c.Subject, err = git.Subject(ctx, dir, c.Commit); err != nil || !r.Push {
				return err
			}
			if _, perr := git.Push(ctx, dir, "", false); perr != nil {
				c.PushError = d.explain("push", perr)
			}
			return nil
		})
		c.Status = st
		return c, err
	})
}

// transfer carries out a push, a pull or a fetch to its end.
func (d *Desk) transfer(ctx context.Context, id, method string, p api.GitPlace, fn func(ctx context.Context, dir string) (string, error)) (api.GitTransfer, error) {
	return engine.Once(d.o.Engine, ctx, id, method, func() (api.GitTransfer, error) {
		var t api.GitTransfer
		st, err := d.change(context.WithoutCancel(ctx), p, func(ctx context.Context, dir string, _ git.Repo) (err error) {
			t.Output, err = fn(ctx, dir)
			return err
		})
		t.Status = st
		return t, err
	})
}

// Push pushes the branch checked out.
func (d *Desk) Push(ctx context.Context, id string, r api.GitPush) (api.GitTransfer, error) {
	return d.transfer(ctx, id, api.MethodGitPush, r.GitPlace, func(ctx context.Context, dir string) (string, error) {
		return git.Push(ctx, dir, r.Remote, r.Force)
	})
}

// Pull brings the upstream's commits in.
func (d *Desk) Pull(ctx context.Context, id string, r api.GitPull) (api.GitTransfer, error) {
	return d.transfer(ctx, id, api.MethodGitPull, r.GitPlace, func(ctx context.Context, dir string) (string, error) { return git.Pull(ctx, dir, r.How) })
}

// Fetch fetches from all remotes.
func (d *Desk) Fetch(ctx context.Context, id string, r api.GitFetch) (api.GitTransfer, error) {
	return d.transfer(ctx, id, api.MethodGitFetch, r.GitPlace, func(ctx context.Context, dir string) (string, error) { return git.Fetch(ctx, dir, r.Prune) })
}

// PullRequest tells the pull request of the branch checked out; what is in the way of one is in it.
func (d *Desk) PullRequest(ctx context.Context, p api.GitPlace) (api.GitPullRequest, error) {
	dir, _, err := d.place(ctx, p)
	if err != nil {
		return api.GitPullRequest{}, err
	}
	pr, err := git.PullRequest(d.person(ctx), dir)
	if err != nil {
		return api.GitPullRequest{Error: d.explain("gh", err)}, nil
	}
	return pr, nil
}

// OpenPullRequest pushes the branch where it is not and opens a pull request.
func (d *Desk) OpenPullRequest(ctx context.Context, id string, r api.GitPullRequestOpen) (api.GitPullRequest, error) {
	return engine.Once(d.o.Engine, ctx, id, api.MethodGitPullRequestOpen, func() (api.GitPullRequest, error) {
		var pr api.GitPullRequest
		_, err := d.change(context.WithoutCancel(ctx), r.GitPlace, func(ctx context.Context, dir string, repo git.Repo) (err error) {
			st, err := git.Status(ctx, repo, dir)
			if err != nil {
				return err
			}
			if st.Upstream == "" || st.UpstreamGone || st.Ahead > 0 {
				if _, err := git.Push(ctx, dir, "", false); err != nil {
					return err
				}
			}
			pr, err = git.OpenPullRequest(ctx, dir, r)
			return err
		})
		return pr, err
	})
}

// messageMost bounds the changes that an agent is shown for a message, in bytes.
const messageMost = 60 << 10

// Message asks an agent for a commit message.
func (d *Desk) Message(ctx context.Context, r api.GitMessageAsk) (api.GitMessage, error) {
	dir, repo, err := d.place(ctx, r.GitPlace)
	if err != nil {
		return api.GitMessage{}, err
	}
	agentID := r.AgentID
	if agentID == "" {
		if r.ThreadID != "" {
			m, err := d.o.Engine.Marks(ctx, r.ThreadID)
			if err != nil {
				return api.GitMessage{}, err
			}
			agentID = m.Thread.AgentID
		} else {
			p, _, err := d.o.Engine.Places(ctx, r.ProjectID)
			if err != nil {
				return api.GitMessage{}, err
			}
			agentID = p.AgentID
		}
	}
	if agentID == "" {
		return api.GitMessage{}, &api.Error{Code: api.CodeInvalid, Message: "No agent is chosen.", Hint: "Choose one of the agents found."}
	}
	changes, err := changesFor(ctx, dir, repo)
	if err != nil {
		return api.GitMessage{}, err
	}
	text, err := d.o.Engine.Ask(ctx, agentID, dir, "Write a Git commit message for the changes below. Answer with the message alone: "+
		"a first line of at most 72 characters in the imperative mood, and where it is worth it a blank line and a short body that says why. "+
		"No quotes, no code fences, no other words. Use no tools and change nothing.\n\n"+changes)
	if err != nil {
		return api.GitMessage{}, err
	}
	text = plainMessage(text)
	if text == "" {
		return api.GitMessage{}, &api.Error{Code: api.CodeAgentFailed, Message: "The agent suggested no message.", Hint: "Try again, or write one.", Retryable: true}
	}
	return api.GitMessage{Message: text}, nil
}

// changesFor spells what a commit would hold: what is staged, else every change.
func changesFor(ctx context.Context, dir string, repo git.Repo) (string, error) {
	st, err := git.Status(ctx, repo, dir)
	if err != nil {
		return "", err
	}
	head := "--cached"
	if st.Staged == 0 {
		head = "HEAD"
	}
	if st.Head == "" {
		head = "--cached"
	}
	if st.Staged+st.Unstaged+st.Untracked == 0 {
		return "", &api.Error{Code: api.CodeGitNothing, Message: "There is nothing to commit.", Hint: "Change something first."}
	}
	out, err := git.Run(ctx, git.Command{Dir: repo.Top, Max: messageMost, Args: []string{"diff", "--no-ext-diff", "--no-textconv", "--stat", "-p", "-M", head, "--"}})
	if err != nil {
		return "", git.Explain("diff", err)
	}
	text := strings.ToValidUTF8(string(out.Stdout), "\uFFFD")
	if out.Truncated {
		text += "\n(the rest is left out)"
	}
	if st.Staged == 0 {
		for _, f := range st.Files {
			if f.Untracked && len(text) < messageMost {
				text += "\nnew file: " + f.Path
			}
		}
	}
	return text, nil
}

// plainMessage takes fences and quotes off an agent's answer.
func plainMessage(s string) string {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutPrefix(s, "```"); ok {
		_, rest, _ = strings.Cut(rest, "\n")
		s, _, _ = strings.Cut(rest, "```")
	}
	s = strings.TrimSpace(s)
	if !strings.Contains(s, "\n") {
		s = strings.Trim(s, "\"'`")
	}
	if len(s) > 8<<10 {
		s = s[:8<<10]
	}
	return strings.TrimSpace(strings.ToValidUTF8(s, ""))
}

// Clone clones a repository as a job and adds it as a project. parent is the folder
// to clone into, a path of this environment.
func (d *Desk) Clone(ctx context.Context, id, parent string, r api.GitClone) (api.Job, error) {
	return engine.Once(d.o.Engine, ctx, id, api.MethodGitClone, func() (api.Job, error) {
		if err := git.CheckURL(r.URL); err != nil {
			return api.Job{}, err
		}
		if err := d.check(ctx); err != nil {
			return api.Job{}, err
		}
		name := strings.TrimSpace(r.Name)
		if name == "" {
			name = git.RepoName(r.URL)
		}
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") {
			return api.Job{}, &api.Error{Code: api.CodeInvalid, Message: "The new folder's name can't be told from the address.", Hint: "Give a name."}
		}
		if st, err := os.Stat(parent); err != nil || !st.IsDir() {
			return api.Job{}, &api.Error{Code: api.CodeNotFound, Message: "There is no folder " + parent + ".", Hint: "Choose one that is there."}
		}
		dir := filepath.Join(parent, name)
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			return api.Job{}, &api.Error{Code: api.CodeConflict, Message: dir + " is there already.", Hint: "Choose another name, or add it as a project."}
		}
		// A person's environment is asked for here; a job outlives the request.
		env := d.person(context.WithoutCancel(ctx))
		return d.o.Jobs.Start(api.Job{ID: job.NewID(), Kind: "clone", Title: "Clone " + name}, func(ctx context.Context, b *job.Job) error {
			ctx, cancel := joined(env, ctx)
			defer cancel()
			err := git.Clone(ctx, git.CloneOptions{URL: r.URL, Branch: r.Branch, Depth: r.Depth, Dir: dir,
				Progress: func(p git.Progress) { b.Progress(p.Phase, p.Percent) },
				Output:   func(p []byte) { _, _ = b.Write(p) }})
			if err != nil {
				return err
			}
			p, err := d.o.Engine.AddProject(ctx, "", api.ProjectAdd{Path: dir, Name: name})
			if err != nil {
				return err
			}
			b.Became(p.ID)
			return nil
		})
	})
}

// joined has the values of one context and ends with the other.
func joined(values, end context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(values)
	stop := context.AfterFunc(end, func() { cancel(context.Cause(end)) })
	return ctx, func() { stop(); cancel(nil) }
}

// Worktrees lists the working trees of a project's repository.
func (d *Desk) Worktrees(ctx context.Context, r api.ProjectRef) (api.Worktrees, error) {
	p, threads, err := d.o.Engine.Places(ctx, r.ProjectID)
	if err != nil {
		return api.Worktrees{}, err
	}
	if _, _, err := d.place(ctx, api.GitPlace{ProjectID: p.ID}); err != nil {
		return api.Worktrees{}, err
	}
	list, err := d.o.Trees.List(ctx, p, threads)
	return api.Worktrees{Worktrees: list}, err
}

// CreateWorktree makes a worktree without a thread.
func (d *Desk) CreateWorktree(ctx context.Context, id string, r api.WorktreeCreate) (api.Worktree, error) {
	return engine.Once(d.o.Engine, ctx, id, api.MethodWorktreeCreate, func() (api.Worktree, error) {
		p, _, err := d.o.Engine.Places(ctx, r.ProjectID)
		if err != nil {
			return api.Worktree{}, err
		}
		ctx := context.WithoutCancel(ctx)
		jobID := job.NewID()
		m, err := d.o.Trees.Make(ctx, p, jobID, r.WorktreeChoice)
		if err != nil {
			return api.Worktree{}, err
		}
		w := api.Worktree{Path: m.Path, Branch: m.Branch, Own: m.New}
		if m.New && p.SetupScript != "" && !r.NoScript {
			if j, err := d.o.Trees.Setup(p, "", jobID, m); err == nil {
				w.JobID = j.ID
			} else {
				d.o.Log.Warn("start a set-up script", "err", err.Error())
			}
		}
		return w, nil
	})
}

// RemoveWorktree removes a worktree; it is refused while a thread's turn runs in it.
func (d *Desk) RemoveWorktree(ctx context.Context, id string, r api.WorktreeRemove) (api.Empty, error) {
	return engine.Once(d.o.Engine, ctx, id, api.MethodWorktreeRemove, func() (api.Empty, error) {
		p, threads, err := d.o.Engine.Places(ctx, r.ProjectID)
		if err != nil {
			return api.Empty{}, err
		}
		for _, t := range threads {
			inside := t.Dir == r.Path || strings.HasPrefix(t.Dir, r.Path+string(filepath.Separator))
			if t.Dir != "" && inside && t.State != "" && !t.State.Final() {
				return api.Empty{}, &api.Error{Code: api.CodeConflict, Message: "A turn runs in this worktree: " + t.Title, Hint: "Stop it first.", Retryable: true}
			}
		}
		return api.Empty{}, d.o.Trees.Remove(d.person(context.WithoutCancel(ctx)), p, r.Path, r.Force, r.Branch)
	})
}
