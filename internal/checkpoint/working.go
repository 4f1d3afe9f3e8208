package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/git"
)

// Working returns the two trees to compare for a scope of api.DiffWorking.
func (s *Store) Working(ctx context.Context, dir, scope string) (from, to string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, Timeout, errors.New("the comparison took longer than "+Timeout.String()))
	defer cancel()
	switch scope {
	case "", "all":
		if from, err = headTree(ctx, dir); err == nil {
			to, err = s.snapshot(ctx, dir)
		}
	case "staged":
		if from, err = headTree(ctx, dir); err == nil {
			to, err = indexTree(ctx, dir)
		}
	case "unstaged":
		if from, err = indexTree(ctx, dir); api.CodeOf(err) == api.CodeGitConflict {
			// With conflicts the index is no tree: what is shown is against the last commit.
			from, err = headTree(ctx, dir)
		}
		if err == nil {
			to, err = s.snapshot(ctx, dir)
		}
	default:
		err = &api.Error{Code: api.CodeInvalid, Message: "This part of the changes is not known: " + scope, Hint: "Use all, staged or unstaged."}
	}
	if err != nil {
		return "", "", fmt.Errorf("compare the working tree: %w", git.Explain("compare", err))
	}
	return from, to, nil
}

// headTree is the tree of the commit checked out, the empty one before the first.
func headTree(ctx context.Context, dir string) (string, error) {
	out, err := run(ctx, git.Command{Dir: dir, Args: []string{"rev-parse", "--verify", "--quiet", "HEAD^{tree}"}, Max: 4096})
	if failed := new(git.Error); errors.As(err, &failed) && failed.Exit == 1 {
		out, err = run(ctx, git.Command{Dir: dir, Args: []string{"hash-object", "-w", "-t", "tree", "--stdin"}, Stdin: []byte{}, Max: 4096})
	}
	return strings.TrimSpace(string(out.Stdout)), err
}

// indexTree writes the user's index as a tree, from a copy.
func indexTree(ctx context.Context, dir string) (string, error) {
	repo, err := git.Open(ctx, dir)
	if err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp("", "catamaran-index-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	path := filepath.Join(tmp, "index")
	if err := copyIndex(filepath.Join(repo.GitDir, "index"), path); err != nil {
		return "", err
	}
	out, err := run(ctx, git.Command{Dir: dir, Args: []string{"write-tree"}, Env: []string{"GIT_INDEX_FILE=" + path}, Max: 4096})
	if said := failure(err, 128); strings.Contains(said, "unmerged") || strings.Contains(said, "error building trees") {
		return "", &api.Error{Code: api.CodeGitConflict, Message: "There are conflicts, so what is staged can't be shown alone.", Hint: "Resolve them and stage the files.", Details: said}
	}
	return strings.TrimSpace(string(out.Stdout)), err
}
