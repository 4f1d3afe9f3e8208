package server

import (
	"context"
	"reflect"

	"catamaran/internal/api"
	"catamaran/internal/engine"
	"catamaran/internal/git"
	"catamaran/internal/review"
)

// reviewTable are the methods of Git, differences, reverts and worktrees.
var reviewTable = []route{
	desk(api.MethodGitStatus, "The Git status of a place, looked at now; its subscribers see it too.", (*review.Desk).Status),
	desk(api.MethodGitBranches, "Local and remote branches, those committed to last first.", (*review.Desk).Branches),
	desk(api.MethodGitSwitch, "Checks a branch out; refused where changes are in the way.", (*review.Desk).Switch),
	desk(api.MethodGitBranchCreate, "Makes a branch and checks it out.", (*review.Desk).CreateBranch),
	desk(api.MethodGitStage, "Puts changes into the index.", (*review.Desk).Stage),
	desk(api.MethodGitUnstage, "Takes changes out of the index; the files stay as they are.", (*review.Desk).Unstage),
	slow(deskCommand(api.MethodGitCommit, "Commits what is staged; a push that fails afterwards is told, and the commit stays.", (*review.Desk).Commit)),
	desk(api.MethodGitMessage, "A commit message that an agent suggests.", (*review.Desk).Message),
	slow(deskCommand(api.MethodGitPush, "Pushes the branch; its first push sets the upstream.", (*review.Desk).Push)),
	slow(deskCommand(api.MethodGitPull, "Brings the upstream's commits in.", (*review.Desk).Pull)),
	slow(deskCommand(api.MethodGitFetch, "Fetches from all remotes.", (*review.Desk).Fetch)),
	change(api.MethodGitClone, "Clones a repository as a job, and adds it as a project. Inside WSL the folder may be a Windows one.", (*Server).clone),
	desk(api.MethodGitPullRequest, "The pull request of the branch, as gh knows it.", (*review.Desk).PullRequest),
	slow(deskCommand(api.MethodGitPullRequestOpen, "Pushes the branch and opens a pull request with gh.", (*review.Desk).OpenPullRequest)),
	desk(api.MethodDiffTurn, "What a turn changed, file by file, with a page of hunks.", (*review.Desk).DiffTurn),
	desk(api.MethodDiffThread, "What a thread's turns changed together.", (*review.Desk).DiffThread),
	desk(api.MethodDiffWorking, "How the working tree or the index differs.", (*review.Desk).DiffWorking),
	desk(api.MethodDiffBetween, "How two checkpoints of a project differ.", (*review.Desk).DiffBetween),
	desk(api.MethodRevertPreview, "What reverting a turn would do, file by file.", (*review.Desk).PreviewRevert),
	slow(deskCommand(api.MethodRevertApply, "Reverts a turn as its preview said, after a checkpoint of everything.", (*review.Desk).ApplyRevert)),
	slow(deskCommand(api.MethodRevertUndo, "Takes a revert back.", (*review.Desk).UndoRevert)),
	desk(api.MethodWorktreeList, "The working trees of a project's repository, with what removing each would lose.", (*review.Desk).Worktrees),
	slow(deskCommand(api.MethodWorktreeCreate, "Makes a worktree without a thread; a new thread gets its own with thread.create.", (*review.Desk).CreateWorktree)),
	slow(deskCommand(api.MethodWorktreeRemove, "Removes a worktree; refused while something would be lost, unless forced.", (*review.Desk).RemoveWorktree)),
	command(api.MethodWorktreeScript, "Sets the command that is run in every new worktree of a project.", (*engine.Engine).SetScript),
	command(api.MethodWorktreeSetup, "Runs the project's set-up script in a thread's worktree once more, as a job; one that runs is answered.", (*engine.Engine).SetUpAgain),
	desk(api.MethodJobCancel, "Ends a job.", (*review.Desk).CancelJob),
}

// desk is a method of the review desk that takes no command id: it changes nothing,
// or nothing more when it is repeated.
func desk[Req, Res any](method, doc string, f func(*review.Desk, context.Context, Req) (Res, error)) route {
	return deskCommand(method, doc, func(d *review.Desk, ctx context.Context, _ string, req Req) (Res, error) { return f(d, ctx, req) })
}

// deskCommand is a method of the review desk that takes a command id.
func deskCommand[Req, Res any](method, doc string, f func(*review.Desk, context.Context, string, Req) (Res, error)) route {
	return route{
		method: method, doc: doc, request: reflect.TypeFor[Req](), response: reflect.TypeFor[Res](),
		call: func(ctx context.Context, s *Server, commandID string, params []byte) (any, error) {
			var req Req
			if err := decode(params, &req); err != nil {
				return nil, err
			}
			if s.o.Review == nil {
				return nil, noReview()
			}
			return f(s.o.Review, ctx, commandID, req)
		},
	}
}

func noReview() error {
	return &api.Error{Code: api.CodeUnavailable, Message: "This backend does no Git work."}
}

// slow allows a call as long as a transfer may take.
func slow(rt route) route {
	rt.bound = git.TransferTimeout + callTimeout
	return rt
}

func (s *Server) clone(ctx context.Context, commandID string, r api.GitClone) (api.Job, error) {
	if s.o.Review == nil {
		return api.Job{}, noReview()
	}
	parent, err := s.native(ctx, r.Parent)
	if err == nil {
		parent, err = resolveFolder(parent, s.o.Descriptor.Home)
	}
	if err != nil {
		return api.Job{}, err
	}
	return s.o.Review.Clone(ctx, commandID, parent, r)
}
