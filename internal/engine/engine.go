// Package engine owns the backend's life: projects, threads, turns and the
// agents working on them. One goroutine per active thread owns its state;
// commands go through pure decisions (package thread), are stored as events
// (package store), and reach subscribers in order. It serves no HTTP; package
// server calls it.
package engine

import (
	"context"
	"errors"
	"log/slog"

	"catamaran/internal/agent"
	"catamaran/internal/api"
)

var errSkeleton = errors.New("engine: not built yet")

// Options of an engine.
type Options struct {
	// DataDir holds the database and spill files.
	DataDir string
	Log     *slog.Logger
	// Agents finds and opens agents.
	Agents Agents
	// Checkpoints snapshots a project before and after a turn; nil means none.
	Checkpoints Checkpoints
	// Phase is told of every phase change.
	Phase func(api.Phase, *api.Error)
}

// Agents is what the engine needs of the registry.
type Agents interface {
	List(ctx context.Context, rescan bool) ([]api.Agent, error)
	// Resolve returns the driver, configuration and environment for an agent id; *api.Error CodeAgentNotFound with the install command as Hint.
	Resolve(ctx context.Context, agentID string) (agent.Driver, agent.Config, []string, error)
}

// Checkpoints is what the engine needs of package checkpoint.
type Checkpoints interface {
	// Take snapshots dir and returns a reference for Diff; "" and nil where dir is not in a Git repository.
	Take(ctx context.Context, dir, threadID, label string) (ref string, err error)
	Summary(ctx context.Context, dir, from, to string) (api.ChangeSummary, error)
	Diff(ctx context.Context, dir, from, to string) ([]api.FileDiff, bool, error)
	// Forget drops a thread's snapshots.
	Forget(ctx context.Context, dir, threadID string) error
}

// Engine is safe for concurrent use.
type Engine struct{}

// New validates the options and starts nothing.
func New(o Options) (*Engine, error) { return nil, errSkeleton }

// Run opens and migrates the store, reconciles turns left running, and serves until ctx ends;
// it returns after every agent has been closed.
func (e *Engine) Run(ctx context.Context) error { return errSkeleton }

// Commands. commandID may be ""; with one, a repeated id gets the first answer
// again. All return *api.Error; CodeNotReady before the phase is ready.
func (e *Engine) AddProject(ctx context.Context, commandID string, r api.ProjectAdd) (api.Project, error) {
	return api.Project{}, errSkeleton
}
func (e *Engine) RenameProject(ctx context.Context, commandID string, r api.ProjectRename) (api.Project, error) {
	return api.Project{}, errSkeleton
}
func (e *Engine) RemoveProject(ctx context.Context, commandID string, r api.ProjectRef) (api.Empty, error) {
	return api.Empty{}, errSkeleton
}
func (e *Engine) CreateThread(ctx context.Context, commandID string, r api.ThreadCreate) (api.Thread, error) {
	return api.Thread{}, errSkeleton
}
func (e *Engine) RenameThread(ctx context.Context, commandID string, r api.ThreadRename) (api.Thread, error) {
	return api.Thread{}, errSkeleton
}
func (e *Engine) ArchiveThread(ctx context.Context, commandID string, r api.ThreadArchive) (api.Thread, error) {
	return api.Thread{}, errSkeleton
}
func (e *Engine) UpdateThread(ctx context.Context, commandID string, r api.ThreadUpdate) (api.Thread, error) {
	return api.Thread{}, errSkeleton
}
func (e *Engine) DeleteThread(ctx context.Context, commandID string, r api.ThreadRef) (api.Empty, error) {
	return api.Empty{}, errSkeleton
}
func (e *Engine) StartTurn(ctx context.Context, commandID string, r api.TurnStart) (api.Turn, error) {
	return api.Turn{}, errSkeleton
}
func (e *Engine) UnqueueTurn(ctx context.Context, commandID string, r api.TurnRef) (api.Empty, error) {
	return api.Empty{}, errSkeleton
}
func (e *Engine) StopTurn(ctx context.Context, commandID string, r api.ThreadRef) (api.Thread, error) {
	return api.Thread{}, errSkeleton
}
func (e *Engine) AnswerApproval(ctx context.Context, commandID string, r api.ApprovalAnswer) (api.Item, error) {
	return api.Item{}, errSkeleton
}
func (e *Engine) TurnDiff(ctx context.Context, r api.TurnRef) (api.TurnDiff, error) {
	return api.TurnDiff{}, errSkeleton
}
func (e *Engine) ListAgents(ctx context.Context, r api.AgentList) (api.Agents, error) {
	return api.Agents{}, errSkeleton
}

// Subscribe attaches to a topic ("shell" or "thread:<id>"): live first, then the
// frames that bring the client from after (nil: nothing) to now, then
// "synchronized", then live ones. Frames carry no subscription id; the caller adds it.
func (e *Engine) Subscribe(topic string, after *int64) (*Subscription, error) {
	return nil, errSkeleton
}

// Subscription is a bounded queue of frames. A reader too slow gets one "resync" frame and nothing after it.
type Subscription struct{}

// Next waits for the next frame; io.EOF after Close or after a resync, ctx's error otherwise.
func (s *Subscription) Next(ctx context.Context) (api.ServerFrame, error) {
	return api.ServerFrame{}, errSkeleton
}
func (s *Subscription) Close() {}
