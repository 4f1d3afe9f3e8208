package git

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"catamaran/internal/api"
)

// WorktreeTimeout bounds making and removing a working tree: its files are written.
const WorktreeTimeout = 5 * time.Minute

// Worktrees lists the working trees of the repository that dir is in, the main
// one first. One whose folder is gone is Missing.
func Worktrees(ctx context.Context, dir string) ([]api.Worktree, error) {
	out, err := Run(ctx, Command{Dir: dir, Args: []string{"worktree", "list", "--porcelain"}, Max: 4 << 20})
	if err != nil {
		return nil, Explain("list worktrees", err)
	}
	list := parseWorktrees(out.Stdout)
	for i := range list {
		if _, err := os.Stat(list[i].Path); errors.Is(err, os.ErrNotExist) {
			list[i].Missing = true
		}
	}
	return list, nil
}

// parseWorktrees reads worktree list --porcelain; -z came only with Git 2.36.
func parseWorktrees(b []byte) []api.Worktree {
	list := []api.Worktree{}
	var w *api.Worktree
	for line := range bytes.Lines(b) {
		name, value, _ := strings.Cut(strings.TrimRight(string(line), "\n"), " ")
		if name == "worktree" {
			list = append(list, api.Worktree{Path: filepath.FromSlash(value), Main: len(list) == 0})
			w = &list[len(list)-1]
			continue
		}
		if w == nil {
			continue
		}
		switch name {
		case "HEAD":
			if strings.Trim(value, "0") != "" {
				w.Head = value
			}
		case "branch":
			w.Branch = strings.TrimPrefix(value, "refs/heads/")
		case "locked":
			if w.Locked = value; value == "" {
				w.Locked = "It is locked."
			}
		case "prunable":
			w.Missing = true
		}
	}
	return list
}

// AddWorktree makes a working tree at path (absolute, not there yet). newBranch
// names a branch to make at base ("" is HEAD); else branch is checked out.
// A worktree that was registered there and whose folder is gone is replaced.
func AddWorktree(ctx context.Context, dir, path, newBranch, base, branch string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, WorktreeTimeout, errors.New("it took longer than "+WorktreeTimeout.String()))
	defer cancel()
	if strings.HasPrefix(base, "-") || strings.HasPrefix(branch, "-") {
		return &api.Error{Code: api.CodeInvalid, Message: "This is no name of a branch.", Hint: "Choose one of the branches listed."}
	}
	args := []string{"worktree", "add", "--force", "--quiet"}
	switch {
	case newBranch != "":
		if err := CheckName(ctx, dir, newBranch); err != nil {
			return err
		}
		args = append(args, "--no-track", "-b", newBranch, "--", path)
		if base != "" {
			args = append(args, base)
		}
	default:
		// --force would let two working trees share a branch.
		list, err := Worktrees(ctx, dir)
		if err != nil {
			return err
		}
		for _, w := range list {
			if w.Branch == branch && !w.Missing {
				return &api.Error{Code: api.CodeConflict, Message: "The branch " + branch + " is checked out in " + w.Path + ".", Hint: "Choose another branch, or use that worktree."}
			}
		}
		args = append(args, "--", path, branch)
	}
	if _, err := Run(ctx, Command{Dir: dir, Args: args, Hooks: true}); err != nil {
		return Explain("make the worktree", err)
	}
	return nil
}

// RepairWorktree makes a working tree again whose folder was removed outside
// the app: at the same path, with the branch it had, or without one at the commit
// it had. Where neither can be it is at the main working tree's commit, and kept is false.
func RepairWorktree(ctx context.Context, dir, path, branch, commit string) (kept bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, WorktreeTimeout, errors.New("it took longer than "+WorktreeTimeout.String()))
	defer cancel()
	detach := []string{"worktree", "add", "--force", "--quiet", "--detach", "--", path}
	if strings.HasPrefix(commit, "-") {
		commit = ""
	}
	switch {
	case branch != "":
		err = AddWorktree(ctx, dir, path, "", "", branch)
	case commit != "":
		_, err = Run(ctx, Command{Dir: dir, Args: append(detach[:len(detach):len(detach)], commit), Hooks: true})
		err = Explain("make the worktree", err)
	default:
		err = &api.Error{Code: api.CodeInvalid, Message: "It is not known what was checked out."}
	}
	if err == nil {
		return true, nil
	}
	if _, derr := Run(ctx, Command{Dir: dir, Args: detach, Hooks: true}); derr != nil {
		return false, err
	}
	return false, nil
}

// RemoveWorktree removes a working tree with its files, and forgets one whose
// folder is gone. The caller has made sure that nothing of worth is in it.
func RemoveWorktree(ctx context.Context, dir, path string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, WorktreeTimeout, errors.New("it took longer than "+WorktreeTimeout.String()))
	defer cancel()
	_, err := Run(ctx, Command{Dir: dir, Args: []string{"worktree", "remove", "--force", "--", path}})
	return Explain("remove the worktree", err)
}

// DeleteBranch deletes a local branch, merged or not.
func DeleteBranch(ctx context.Context, dir, branch string) error {
	_, err := Run(ctx, Command{Dir: dir, Args: []string{"branch", "--quiet", "-D", "--", branch}})
	return Explain("delete the branch", err)
}

// Unmerged counts the commits of branch that no other local or remote branch has, at most most.
func Unmerged(ctx context.Context, dir, branch string, most int) (int, error) {
	return countCommits(ctx, dir, most, "refs/heads/"+branch, "--not", "--exclude="+branch, "--branches", "--remotes", "--")
}

// UnmergedAt counts the commits up to commit that no local or remote branch has, at most most.
func UnmergedAt(ctx context.Context, dir, commit string, most int) (int, error) {
	return countCommits(ctx, dir, most, commit, "--not", "--branches", "--remotes", "--")
}

func countCommits(ctx context.Context, dir string, most int, args ...string) (int, error) {
	out, err := Run(ctx, Command{Dir: dir, Max: 4096, Args: append([]string{"rev-list", "--count", "--max-count=" + strconv.Itoa(most)}, args...)})
	if err != nil {
		return 0, Explain("look for unmerged commits", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out.Stdout)))
	return n, err
}

// Changed counts the changed files of a working tree, untracked ones too, at most a status' bound.
func Changed(ctx context.Context, dir string) (int, error) {
	out, err := Run(ctx, Command{Dir: dir, Max: statusBytes, Args: []string{"status", "--porcelain", "-z", "--untracked-files=all", "--no-renames"}})
	if err != nil {
		return 0, Explain("status", err)
	}
	return bytes.Count(out.Stdout, []byte{0}), nil
}
