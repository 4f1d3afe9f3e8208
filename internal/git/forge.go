package git

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/proc"
)

// forgeTimeout bounds a call of gh.
const forgeTimeout = time.Minute

// gh runs GitHub's command-line program without prompts.
func gh(ctx context.Context, dir string, stdin []byte, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, forgeTimeout, errors.New("gh took longer than "+forgeTimeout.String()))
	defer cancel()
	env := append(cleanEnv(environ(ctx)), "GH_PROMPT_DISABLED=1", "GH_NO_UPDATE_NOTIFIER=1", "NO_COLOR=1", "CLICOLOR=0")
	path, _ := proc.EnvValue(env, "PATH")
	program, err := proc.LookPath("gh", path)
	if err != nil {
		return "", &api.Error{Code: api.CodeUnavailable, Message: "gh, GitHub's command-line program, was not found.",
			Hint: "Install it (see cli.github.com) and run gh auth login; until then open pull requests on the website."}
	}
	res, err := proc.Run(ctx, proc.Spec{Name: "gh", Path: program, Args: args, Dir: dir, Env: env, NewSession: true}, bytes.NewReader(stdin), 1<<20)
	if err != nil {
		return "", Explain("gh", err)
	}
	if res.ExitCode != 0 {
		return "", explainForge(strings.TrimSpace(res.Stderr + "\n" + proc.Text(res.Stdout)))
	}
	return proc.Text(res.Stdout), nil
}

var (
	errNoPullRequest = errors.New("there is no pull request")
	noPull           = re(`no pull requests? found`)
	signIn           = re(`gh auth login|authentication|HTTP 401|GH_TOKEN`)
	noHost           = re(`none of the git remotes configured|no git remotes found|not a git repository`)
)

func explainForge(said string) error {
	switch {
	case noPull.MatchString(said):
		return errNoPullRequest
	case signIn.MatchString(said):
		return &api.Error{Code: api.CodeGitAuth, Message: "gh is not signed in here.", Hint: "Run gh auth login in a terminal of this environment.", Details: said}
	case noHost.MatchString(said):
		return &api.Error{Code: api.CodeGitForge, Message: "This repository has no remote that gh knows.", Hint: "Add a remote on GitHub, or open the pull request where the repository is hosted.", Details: said}
	}
	first, _, _ := strings.Cut(said, "\n")
	return &api.Error{Code: api.CodeGitForge, Message: "gh failed: " + first, Hint: "The details hold all that it said.", Details: said}
}

// PullRequest tells the pull request of the branch checked out in dir. A branch
// without one is Number 0.
func PullRequest(ctx context.Context, dir string) (api.GitPullRequest, error) {
	out, err := gh(ctx, dir, nil, "pr", "view", "--json", "number,url,title,state,isDraft,baseRefName")
	if errors.Is(err, errNoPullRequest) {
		return api.GitPullRequest{}, nil
	}
	if err != nil {
		return api.GitPullRequest{}, err
	}
	var v struct {
		Number                         int
		URL, Title, State, BaseRefName string
		IsDraft                        bool
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		return api.GitPullRequest{}, &api.Error{Code: api.CodeGitForge, Message: "gh answered something that is not understood.", Hint: "Update gh.", Details: out}
	}
	return api.GitPullRequest{Number: v.Number, URL: v.URL, Title: v.Title, State: strings.ToLower(v.State), Draft: v.IsDraft, Base: v.BaseRefName}, nil
}

var pullURL = regexp.MustCompile(`https?://\S+/pull/(\d+)`)

// OpenPullRequest opens a pull request for the branch checked out in dir, which must
// be pushed. Its body goes to gh over stdin.
func OpenPullRequest(ctx context.Context, dir string, r api.GitPullRequestOpen) (api.GitPullRequest, error) {
	branch, err := current(ctx, dir)
	if err != nil {
		return api.GitPullRequest{}, err
	}
	args := []string{"pr", "create", "--head", branch}
	var stdin []byte
	if r.Title == "" && r.Body == "" {
		args = append(args, "--fill")
	} else {
		args = append(args, "--title", r.Title, "--body-file", "-")
		stdin = []byte(r.Body)
	}
	if r.Base != "" {
		args = append(args, "--base", r.Base)
	}
	if r.Draft {
		args = append(args, "--draft")
	}
	out, err := gh(ctx, dir, stdin, args...)
	if err != nil {
		if errors.Is(err, errNoPullRequest) {
			err = &api.Error{Code: api.CodeGitForge, Message: "gh opened no pull request."}
		}
		return api.GitPullRequest{}, err
	}
	pr, err := PullRequest(ctx, dir)
	if err == nil && pr.Number > 0 {
		return pr, nil
	}
	return api.GitPullRequest{URL: pullURL.FindString(out), Title: r.Title, State: "open", Draft: r.Draft, Base: r.Base}, nil
}
