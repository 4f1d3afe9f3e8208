package api

// Git as the page sees it. Every request names a place: a project's folder, or
// the working tree of one of its threads. Paths are relative to that folder,
// with slashes; one that begins with "../" lies in the repository outside it.

// Methods of Git and of worktrees.
const (
	MethodGitStatus          = "git.status"           // GitPlace -> GitStatus; looks afresh
	MethodGitBranches        = "git.branches"         // GitPlace -> GitBranches
	MethodGitSwitch          = "git.switch"           // GitSwitch -> GitStatus
	MethodGitBranchCreate    = "git.branch.create"    // GitBranchCreate -> GitStatus
	MethodGitStage           = "git.stage"            // GitPaths -> GitStatus
	MethodGitUnstage         = "git.unstage"          // GitPaths -> GitStatus
	MethodGitCommit          = "git.commit"           // GitCommit -> GitCommitted
	MethodGitMessage         = "git.message"          // GitMessageAsk -> GitMessage
	MethodGitPush            = "git.push"             // GitPush -> GitTransfer
	MethodGitPull            = "git.pull"             // GitPull -> GitTransfer
	MethodGitFetch           = "git.fetch"            // GitFetch -> GitTransfer
	MethodGitClone           = "git.clone"            // GitClone -> Job
	MethodGitPullRequest     = "git.pullRequest"      // GitPlace -> GitPullRequest
	MethodGitPullRequestOpen = "git.pullRequest.open" // GitPullRequestOpen -> GitPullRequest
	MethodWorktreeList       = "worktree.list"        // ProjectRef -> Worktrees
	MethodWorktreeCreate     = "worktree.create"      // WorktreeCreate -> Worktree
	MethodWorktreeRemove     = "worktree.remove"      // WorktreeRemove -> Empty
	MethodWorktreeScript     = "worktree.script"      // WorktreeScript -> Project
	MethodWorktreeSetup      = "worktree.setup"       // ThreadRef -> Job
	MethodJobCancel          = "job.cancel"           // JobRef -> Job
)

// TopicGit prefixes "<projectId>" or "<projectId>/<threadId>": the Git status of
// a place, watched while anybody subscribes. TopicJob prefixes a job's id. Both
// give a snapshot, synchronized, and an event for every change, each with the
// whole new state and without sequence numbers. TopicHead prefixes a place like
// TopicGit, and has only what is checked out there watched, for the branches in
// projects and threads: it gives an empty snapshot, synchronized, and nothing more.
const (
	TopicGit  = "git:"
	TopicJob  = "job:"
	TopicHead = "head:"
)

// GitPlace names a working tree: the thread's own where ThreadID is given, else the project's folder.
type GitPlace struct {
	ProjectID string `json:"projectId"`
	ThreadID  string `json:"threadId,omitempty"`
}

// GitStatus is the state of a working tree.
type GitStatus struct {
	GitPlace
	// Repo is false in a folder outside Git; nothing else is set then.
	Repo bool `json:"repo"`
	// Error says why no status can be had: no git, one too old, a repository of another user.
	Error *Error `json:"error,omitempty"`
	// Top is the root of the working tree, absolute.
	Top string `json:"top,omitempty"`
	// Linked says that this is a worktree beside the repository's main one.
	Linked bool `json:"linked,omitempty"`
	// Head is the commit checked out, "" before the first one; Branch is "" when Detached.
	Head     string `json:"head,omitempty"`
	Branch   string `json:"branch,omitempty"`
	Detached bool   `json:"detached,omitempty"`
	// Upstream is the branch's upstream, e.g. origin/main; UpstreamGone: it was deleted.
	Upstream     string `json:"upstream,omitempty"`
	UpstreamGone bool   `json:"upstreamGone,omitempty"`
	Ahead        int    `json:"ahead,omitempty"`
	Behind       int    `json:"behind,omitempty"`
	// Remotes are the names of the repository's remotes.
	Remotes []string `json:"remotes,omitempty"`
	// Operation is what is under way: merge, rebase, am, cherry-pick, revert, bisect; "" for nothing.
	Operation string `json:"operation,omitempty"`
	// Step of Steps, during a rebase.
	Step    int `json:"step,omitempty"`
	Steps   int `json:"steps,omitempty"`
	Stashes int `json:"stashes,omitempty"`
	// Files are the changed ones by path; the counts are of all, Truncated says that not all are listed.
	Files      []GitFile `json:"files"`
	Staged     int       `json:"staged"`
	Unstaged   int       `json:"unstaged"`
	Untracked  int       `json:"untracked"`
	Conflicted int       `json:"conflicted"`
	Truncated  bool      `json:"truncated,omitempty"`
	// Watch is how changes are noticed: "files" as they happen; "part": only some folders are watched;
	// "poll": every few seconds, on a file system that tells of no changes; "" when nobody looks.
	Watch string `json:"watch,omitempty"`
	// Notice says why it is not "files".
	Notice string `json:"notice,omitempty"`
	At     int64  `json:"at"`
}

// GitFile is a changed path. A file may be staged and changed again after it.
type GitFile struct {
	Path string `json:"path"`
	// OldPath is set for renames in the index.
	OldPath string `json:"oldPath,omitempty"`
	// Staged and Unstaged are what happened to it in the index and in the working tree; "" for nothing.
	Staged    FileStatus `json:"staged,omitempty"`
	Unstaged  FileStatus `json:"unstaged,omitempty"`
	Untracked bool       `json:"untracked,omitempty"`
	// Conflict: both-modified, both-added, both-deleted, added-by-us, added-by-them, deleted-by-us, deleted-by-them.
	Conflict  string `json:"conflict,omitempty"`
	Submodule bool   `json:"submodule,omitempty"`
}

// GitBranches are the branches of a repository, those committed to last first.
type GitBranches struct {
	Branches []GitBranch `json:"branches"`
	// Default is the branch that pull requests go to, as far as the remote told.
	Default   string `json:"default,omitempty"`
	Truncated bool   `json:"truncated,omitempty"`
}

type GitBranch struct {
	// Name is as git.switch takes it: main, or origin/main for one of a remote.
	Name    string `json:"name"`
	Remote  string `json:"remote,omitempty"`
	Head    string `json:"head"`
	Subject string `json:"subject"`
	At      int64  `json:"at"`
	Current bool   `json:"current,omitempty"`
	// Worktree is the folder in which it is checked out, if it is.
	Worktree     string `json:"worktree,omitempty"`
	Upstream     string `json:"upstream,omitempty"`
	UpstreamGone bool   `json:"upstreamGone,omitempty"`
	Ahead        int    `json:"ahead,omitempty"`
	Behind       int    `json:"behind,omitempty"`
}

// GitSwitch checks a branch out. One of a remote gets a local branch that tracks it.
type GitSwitch struct {
	GitPlace
	Branch string `json:"branch"`
}

// GitBranchCreate makes a branch at From (a branch or commit; "" is HEAD) and checks it out.
type GitBranchCreate struct {
	GitPlace
	Name string `json:"name"`
	From string `json:"from,omitempty"`
	// Stay leaves what is checked out as it is.
	Stay bool `json:"stay,omitempty"`
}

// GitPaths names changed files; All means every one.
type GitPaths struct {
	GitPlace
	Paths []string `json:"paths,omitempty"`
	All   bool     `json:"all,omitempty"`
}

// GitCommit records what is staged.
type GitCommit struct {
	GitPlace
	Message string `json:"message"`
	// Amend replaces the last commit; an empty message keeps its own.
	Amend bool `json:"amend,omitempty"`
	// All stages every change first, untracked files too.
	All  bool `json:"all,omitempty"`
	Push bool `json:"push,omitempty"`
}

// GitCommitted is a commit that was made. A push that failed does not undo it.
type GitCommitted struct {
	Commit  string `json:"commit"`
	Subject string `json:"subject"`
	// Output is what hooks printed.
	Output    string    `json:"output,omitempty"`
	PushError *Error    `json:"pushError,omitempty"`
	Status    GitStatus `json:"status"`
}

// GitMessageAsk asks an agent for a commit message for what is staged, or for all changes where nothing is.
type GitMessageAsk struct {
	GitPlace
	// AgentID is the thread's or the project's agent where it is "".
	AgentID string `json:"agentId,omitempty"`
}

type GitMessage struct {
	Message string `json:"message"`
}

// GitPush pushes the branch; its first push sets the upstream.
type GitPush struct {
	GitPlace
	// Remote is used when the branch has no upstream; "" is the only one, or origin.
	Remote string `json:"remote,omitempty"`
	// Force overwrites the remote branch, only if it still is as it was fetched last.
	Force bool `json:"force,omitempty"`
}

// GitPull brings the upstream's commits in.
type GitPull struct {
	GitPlace
	// How: "ff" (the default) refuses when both sides have commits, "merge", "rebase".
	How string `json:"how,omitempty"`
}

type GitFetch struct {
	GitPlace
	// Prune forgets remote branches that are gone.
	Prune bool `json:"prune,omitempty"`
}

// GitTransfer is what a push, a pull or a fetch came to.
type GitTransfer struct {
	// Output is what git and the remote said.
	Output string    `json:"output,omitempty"`
	Status GitStatus `json:"status"`
}

// GitClone clones a repository into a new folder and adds it as a project.
type GitClone struct {
	URL string `json:"url"`
	// Parent is the folder to clone into, as folder.list takes it; Name the new folder's, "" as the address has it.
	Parent string `json:"parent"`
	Name   string `json:"name,omitempty"`
	Branch string `json:"branch,omitempty"`
	// Depth fetches only that many commits; 0 is all.
	Depth int `json:"depth,omitempty"`
}

// GitPullRequest is the pull request of a branch. Without one Number is 0 and
// Error, where set, says what is in the way of opening one.
type GitPullRequest struct {
	Number int    `json:"number,omitempty"`
	URL    string `json:"url,omitempty"`
	Title  string `json:"title,omitempty"`
	// State: open, closed, merged.
	State string `json:"state,omitempty"`
	Draft bool   `json:"draft,omitempty"`
	Base  string `json:"base,omitempty"`
	// Error: gh is not installed, not signed in, the branch is not pushed ...
	Error *Error `json:"error,omitempty"`
}

// GitPullRequestOpen pushes the branch where needed and opens a pull request with gh.
type GitPullRequestOpen struct {
	GitPlace
	// Title and Body are taken from the commits where both are empty.
	Title string `json:"title,omitempty"`
	Body  string `json:"body,omitempty"`
	Base  string `json:"base,omitempty"`
	Draft bool   `json:"draft,omitempty"`
}

// WorktreeChoice is the working tree a new thread gets.
type WorktreeChoice struct {
	// Kind: "new" makes a worktree with a new branch, "branch" one with an existing
	// branch, "existing" uses a worktree that is there.
	Kind string `json:"kind"`
	// Branch is the new branch's name ("" is made up), or the existing branch.
	Branch string `json:"branch,omitempty"`
	// Base is where a new branch begins; "" is what the project has checked out.
	Base string `json:"base,omitempty"`
	// Path is the existing worktree, as worktree.list tells it.
	Path string `json:"path,omitempty"`
	// NoScript leaves the project's set-up script out.
	NoScript bool `json:"noScript,omitempty"`
}

// Worktrees are the working trees of a repository, the main one first.
type Worktrees struct {
	Worktrees []Worktree `json:"worktrees"`
}

// Worktree is a working tree of a repository.
type Worktree struct {
	Path   string `json:"path"`
	Branch string `json:"branch,omitempty"` // "" when detached
	Head   string `json:"head,omitempty"`
	Main   bool   `json:"main,omitempty"`
	// Own says that the app made it.
	Own bool `json:"own,omitempty"`
	// Locked says why it may not be removed; Missing that its folder is gone.
	Locked  string `json:"locked,omitempty"`
	Missing bool   `json:"missing,omitempty"`
	// ThreadIDs are the threads that work in it.
	ThreadIDs []string `json:"threadIds,omitempty"`
	// Changed files, untracked ones too, and Unmerged commits that no other branch
	// has, are what removing it would leave behind or lose.
	Changed  int `json:"changed,omitempty"`
	Unmerged int `json:"unmerged,omitempty"`
	// JobID is the job of the set-up script, while it is known.
	JobID string `json:"jobId,omitempty"`
}

// WorktreeCreate makes a worktree by itself, without a thread.
type WorktreeCreate struct {
	ProjectID string `json:"projectId"`
	WorktreeChoice
}

// WorktreeRemove removes a worktree's folder. It is refused with CodeConflict, saying what
// would be lost, while files are changed or commits are in no other branch; Force removes it all the same.
type WorktreeRemove struct {
	ProjectID string `json:"projectId"`
	Path      string `json:"path"`
	Force     bool   `json:"force,omitempty"`
	// Branch deletes the worktree's branch too.
	Branch bool `json:"branch,omitempty"`
}

// WorktreeScript sets the command that is run in every new worktree of a project; "" for none.
type WorktreeScript struct {
	ProjectID string `json:"projectId"`
	Script    string `json:"script"`
}

// Job is a piece of work that takes a while: a clone, a set-up script. It is known
// until an hour after its end, and not over a restart of the backend.
type Job struct {
	ID string `json:"id"`
	// Kind: clone, setup.
	Kind  string `json:"kind"`
	Title string `json:"title"`
	// State: running, done, failed, cancelled.
	State string `json:"state"`
	// Phase and Percent are the progress of a clone; Percent is 0 to 100.
	Phase   string `json:"phase,omitempty"`
	Percent int    `json:"percent,omitempty"`
	// Output is the end of what was printed; OutputBytes the size of all of it.
	Output      string `json:"output,omitempty"`
	OutputBytes int64  `json:"outputBytes,omitempty"`
	// ProjectID is what a clone became; ThreadID whose worktree is set up.
	ProjectID string `json:"projectId,omitempty"`
	ThreadID  string `json:"threadId,omitempty"`
	Error     *Error `json:"error,omitempty"`
	StartedAt int64  `json:"startedAt"`
	EndedAt   int64  `json:"endedAt,omitempty"`
}

type JobRef struct {
	JobID string `json:"jobId"`
}
