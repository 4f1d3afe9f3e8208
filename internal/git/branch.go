package git

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"catamaran/internal/api"
)

// branchMost bounds the branches listed.
const branchMost = 2000

// branchFormat is one line a branch; a ref's name and the fields before the
// subject hold no NUL, and the subject ends the line.
const branchFormat = "%(refname)%00%(objectname)%00%(committerdate:unix)%00%(HEAD)%00%(worktreepath)%00%(upstream:short)%00%(upstream:track,nobracket)%00%(symref)%00%(contents:subject)"

// Branches lists the local and remote branches, those committed to last first.
func Branches(ctx context.Context, dir string) (api.GitBranches, error) {
	list := api.GitBranches{Branches: []api.GitBranch{}}
	out, err := Run(ctx, Command{Dir: dir, Max: 8 << 20, Args: []string{"for-each-ref", "--sort=-committerdate",
		"--count=" + strconv.Itoa(branchMost+1), "--format=" + branchFormat, "refs/heads/", "refs/remotes/"}})
	if err != nil {
		return list, Explain("list branches", err)
	}
	parseBranches(string(out.Stdout), &list)
	list.Truncated = list.Truncated || out.Truncated
	return list, nil
}

func parseBranches(out string, list *api.GitBranches) {
	for line := range strings.Lines(out) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), "\x00", 9)
		if len(f) < 9 {
			continue
		}
		b := api.GitBranch{Head: f[1], Current: f[3] == "*", Worktree: f[4], Upstream: f[5], Subject: strings.ToValidUTF8(f[8], "\uFFFD")}
		if name, ok := strings.CutPrefix(f[0], "refs/heads/"); ok {
			b.Name = name
		} else if name, ok := strings.CutPrefix(f[0], "refs/remotes/"); ok {
			b.Name = name
			b.Remote, _, _ = strings.Cut(name, "/")
			if f[7] != "" { // refs/remotes/origin/HEAD names the default branch
				if target, ok := strings.CutPrefix(f[7], "refs/remotes/"+b.Remote+"/"); ok && (list.Default == "" || b.Remote == "origin") {
					list.Default = target
				}
				continue
			}
		} else {
			continue
		}
		if len(list.Branches) == branchMost {
			list.Truncated = true
			return
		}
		at, _ := strconv.ParseInt(f[2], 10, 64)
		b.At = at * 1000
		b.Ahead, b.Behind, b.UpstreamGone = track(f[6])
		list.Branches = append(list.Branches, b)
	}
}

// track reads "ahead 1, behind 2" or "gone".
func track(s string) (ahead, behind int, gone bool) {
	for part := range strings.SplitSeq(s, ", ") {
		word, n, _ := strings.Cut(part, " ")
		switch word {
		case "ahead":
			ahead, _ = strconv.Atoi(n)
		case "behind":
			behind, _ = strconv.Atoi(n)
		case "gone":
			gone = true
		}
	}
	return ahead, behind, gone
}

// CheckName refuses what Git would not take as a branch's name, or would take for an option.
func CheckName(ctx context.Context, dir, name string) error {
	bad := &api.Error{Code: api.CodeInvalid, Message: "This is no name for a branch: " + name, Hint: "Use letters, digits, - and /, without spaces."}
	if name == "" || strings.HasPrefix(name, "-") || name == "HEAD" || len(name) > 200 {
		return bad
	}
	out, err := Run(ctx, Command{Dir: dir, Args: []string{"check-ref-format", "--branch", name}, Max: 4096})
	var e *Error
	// "@{-1}" is taken, for another branch's name.
	if errors.As(err, &e) || err == nil && strings.TrimSpace(string(out.Stdout)) != name {
		return bad
	}
	return err
}

// Switch checks a branch out; one of a remote gets a local branch that tracks it.
// Changes that are in the way make it fail with CodeGitDirty, and nothing is changed.
func Switch(ctx context.Context, dir, branch string) error {
	if branch == "" || strings.HasPrefix(branch, "-") {
		return &api.Error{Code: api.CodeInvalid, Message: "No branch is given.", Hint: "Choose one of the branches listed."}
	}
	exists := func(ref string) bool {
		_, err := Run(ctx, Command{Dir: dir, Args: []string{"show-ref", "--verify", "--quiet", ref}, Max: 4096})
		return err == nil
	}
	args := []string{"switch", "--no-guess", "--quiet", branch}
	if !exists("refs/heads/"+branch) && exists("refs/remotes/"+branch) {
		_, local, _ := strings.Cut(branch, "/")
		if exists("refs/heads/" + local) {
			args[3] = local
		} else {
			args = []string{"switch", "--quiet", "--create", local, "--track", branch}
		}
	}
	_, err := Run(ctx, Command{Dir: dir, Args: args, Hooks: true})
	return Explain("switch", err)
}

// CreateBranch makes a branch at from ("" is HEAD) and checks it out unless stay is set.
func CreateBranch(ctx context.Context, dir, name, from string, stay bool) error {
	if err := CheckName(ctx, dir, name); err != nil {
		return err
	}
	if strings.HasPrefix(from, "-") {
		return &api.Error{Code: api.CodeInvalid, Message: "There is no branch or commit " + from + ".", Hint: "Check the spelling."}
	}
	args := []string{"switch", "--quiet", "--no-track", "--create", name}
	if stay {
		args = []string{"branch", "--no-track", name}
	}
	if from != "" {
		args = append(args, from)
	}
	_, err := Run(ctx, Command{Dir: dir, Args: args, Hooks: true})
	return Explain("create the branch", err)
}
