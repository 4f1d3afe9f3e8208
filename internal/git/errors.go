package git

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"strings"

	"catamaran/internal/api"
)

// reason is one way git fails, known by what it says in English.
type reason struct {
	code          api.Code
	words         *regexp.Regexp
	message, hint string
	retry         bool
	remote        bool // only where a remote is spoken to: hooks say such things too
}

func re(s string) *regexp.Regexp { return regexp.MustCompile(`(?i)` + s) }

// reasons are tried in order: what is told first is nearer to the cause.
var reasons = []reason{
	{code: api.CodeGitUntrusted, words: re(`detected dubious ownership`),
		message: "Git refuses this repository: its folder belongs to another user.",
		hint:    "If you trust it, run in a terminal: git config --global --add safe.directory FOLDER (the details name the folder)."},
	{code: api.CodeGitHostKey, remote: true, words: re(`host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|no matching host key|host key is not cached`),
		message: "The server's host key is not known here, or it has changed.",
		hint:    "Connect once in a terminal (ssh HOST), compare the fingerprint with the one your host publishes, then try again."},
	{code: api.CodeGitSigning, words: re(`gpg failed to sign|failed to sign the|error: ssh-keygen|No secret key|signing failed|Couldn't load public key|user\.signingkey`),
		message: "The commit could not be signed.",
		hint:    "Unlock the key in a terminal (for example by signing something there), or turn signing off: git config commit.gpgsign false."},
	{code: api.CodeGitAuth, remote: true, words: re(`could not read (username|password)|terminal prompts disabled|authentication failed|permission denied \(|invalid username or (password|token)|HTTP Basic: Access denied|The requested URL returned error: 40[13]|fatal: unable to get password|Support for password authentication was removed|publickey|passphrase`),
		message: "The remote did not accept your credentials, or none are stored here.",
		hint:    "Sign in once in a terminal of this environment: git fetch there asks and a credential helper keeps it; for SSH, ssh-add your key. Then try again."},
	{code: api.CodeGitNetwork, remote: true, words: re(`could not resolve host|connection (refused|timed out|reset)|network is unreachable|failed to connect to|couldn't connect|no route to host|unable to access '|the remote end hung up|early EOF|TLS|SSL certificate|RPC failed`), retry: true,
		message: "The remote could not be reached.",
		hint:    "Check the network and the remote's address (git remote -v), then try again."},
	{code: api.CodeNotFound, remote: true, words: re(`repository .*not found|does not appear to be a git repository|remote: not found|returned error: 404`),
		message: "There is no repository at the remote's address, or you may not see it.",
		hint:    "Check the address, and that your account has access."},
	{code: api.CodeGitAuth, remote: true, words: re(`could not read from remote repository`),
		message: "The remote could not be read.",
		hint:    "Check its address (git remote -v), and that your key or account has access to it.",
	},
	{code: api.CodeGitIdentity, words: re(`please tell me who you are|empty ident name|unable to auto-detect email|no email was given|identity unknown|no name was given`),
		message: "Git does not know your name and e-mail address.",
		hint:    `Run in a terminal: git config --global user.name "Your Name" and git config --global user.email you@example.com`},
	{code: api.CodeGitRejected, remote: true, words: re(`non-fast-forward|fetch first|tip of your current branch is behind|stale info|\[rejected\]`),
		message: "The remote branch has commits that are not here.",
		hint:    "Pull first, then push again."},
	{code: api.CodeGitRejected, remote: true, words: re(`not possible to fast-forward|divergent branches|need to specify how to reconcile`),
		message: "Both sides have commits of their own.",
		hint:    "Pull with merge or with rebase."},
	{code: api.CodeGitHook, remote: true, words: re(`pre-receive hook declined|remote rejected|protected branch|GH\d{3}:`),
		message: "The remote refused the push.",
		hint:    "The details hold what it said; a protected branch needs a pull request."},
	{code: api.CodeGitDirty, words: re(`would be overwritten by|commit your changes or stash them|cannot (pull|rebase).*(unstaged|uncommitted|index contains)|please commit or stash`),
		message: "Uncommitted changes are in the way.",
		hint:    "Commit them, or put them away (git stash), then try again. Nothing was changed."},
	{code: api.CodeGitConflict, words: re(`CONFLICT \(|automatic merge failed|could not apply|after resolving the conflicts|resolve all conflicts|fix conflicts`),
		message: "There are conflicts.",
		hint:    "Resolve the files marked as conflicted, stage them and commit; or give up in a terminal with git merge --abort or git rebase --abort."},
	{code: api.CodeGitConflict, words: re(`unmerged files|you have not concluded your (merge|cherry-pick)|unmerged paths|needs merge|cannot do a partial commit during a|currently (merging|rebasing|cherry-picking|bisecting)|rebase in progress|is in progress`),
		message: "An operation is under way, or files have conflicts.",
		hint:    "Resolve the conflicts and commit, or end the operation in a terminal (git status there says how)."},
	{code: api.CodeGitNothing, words: re(`nothing to commit|nothing added to commit|no changes added to commit`),
		message: "There is nothing to commit.",
		hint:    "Stage the changes that belong into the commit."},
	{code: api.CodeGitDetached, words: re(`not currently on a branch|HEAD is detached|not on any branch`),
		message: "No branch is checked out (detached HEAD).",
		hint:    "Create a branch for these commits, then try again."},
	{code: api.CodeGitUpstream, remote: true, words: re(`no upstream branch|no tracking information|no such remote|no configured push destination|does not have an upstream|couldn't find remote ref|no remote repository specified`),
		message: "This branch has no upstream.",
		hint:    "Push it once: that sets one."},
	{code: api.CodeConflict, words: re(`already (checked out|used by worktree) at|is already checked out|already used by worktree`),
		message: "The branch is checked out in another working tree.",
		hint:    "Choose another branch, or work in that working tree."},
	{code: api.CodeConflict, words: re(`a branch named .* already exists|already exists and is not an empty directory|reference already exists|cannot lock ref .* exists`),
		message: "The name is taken.",
		hint:    "Choose another name."},
	{code: api.CodeInvalid, words: re(`is not a valid branch name|not a valid (object name|ref)|invalid reference|unknown revision|bad revision|pathspec .* did not match`),
		message: "There is no branch, commit or file of this name.",
		hint:    "Check the spelling."},
	{code: api.CodeConflict, words: re(`index\.lock|unable to create '.*\.lock'|cannot lock ref|another git process seems to be running`), retry: true,
		message: "Another Git process is at work in this repository.",
		hint:    "Wait for it to end; if none runs, remove the lock file that the details name."},
	{code: api.CodeUnavailable, words: re(`no space left on device|disk quota exceeded`),
		message: "The disk is full.",
		hint:    "Make room, then try again."},
}

// remotes are the operations that speak to a remote.
var remotes = map[string]bool{"push": true, "pull": true, "fetch": true, "clone": true}

// Explain makes an *api.Error of what a Git command failed with: what ("commit",
// "push") names it in the message. Other errors than an *Error, a deadline and a
// missing folder come back as they are.
func Explain(what string, err error) error {
	if err == nil || api.AsError(err) != nil {
		return err
	}
	var e *Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, context.DeadlineExceeded):
		return &api.Error{Code: api.CodeTimeout, Message: "Git took too long: " + what + ".", Retryable: true,
			Hint: "It may wait for a password, a key or a slow remote; try it in a terminal to see."}
	case errors.Is(err, ErrNotRepo):
		return &api.Error{Code: api.CodeInvalid, Message: "This folder is not in a Git repository.", Hint: "Create one with git init, or clone one."}
	case errors.Is(err, fs.ErrNotExist):
		return &api.Error{Code: api.CodeNotFound, Message: "The folder is not there (any more).", Hint: "Bring it back, or choose another."}
	default:
		return err
	}
	said := strings.TrimSpace(e.Stderr + "\n" + e.Stdout)
	for _, r := range reasons {
		if (!r.remote || remotes[what]) && r.words.MatchString(said) {
			return &api.Error{Code: r.code, Message: r.message, Hint: r.hint, Retryable: r.retry, Details: said}
		}
	}
	// Git itself says nothing of a hook that refused: it is what is left.
	if what == "commit" && e.Exit == 1 || what == "push" && strings.Contains(said, "failed to push some refs") {
		return &api.Error{Code: api.CodeGitHook, Message: "A hook refused the " + what + ".", Hint: "Its output is in the details. Repair what it names, then try again.", Details: said}
	}
	first, _, _ := strings.Cut(strings.TrimSpace(e.Stderr), "\n")
	if len(first) > 300 {
		first = first[:300]
	}
	message := "Git failed: " + what + "."
	if first != "" {
		message = "Git failed (" + what + "): " + strings.TrimPrefix(strings.TrimPrefix(first, "fatal: "), "error: ")
	}
	return &api.Error{Code: api.CodeInternal, Message: message, Hint: "The details hold all that it said.", Details: said}
}
