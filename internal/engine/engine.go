// Package engine owns the backend's life: projects, threads, turns and the
// agents working on them. One goroutine per active thread owns its state;
// commands go through pure decisions (package thread), are stored as events
// (package store), and reach subscribers in order. It serves no HTTP; package
// server calls it.
//
// Invariants: a thread's goroutine never waits for an agent, a checkpoint or a
// subscriber; whatever may block runs in its own goroutine with a deadline and
// comes back as a message that is dropped when it is about an attempt that is over.
package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/api"
	"catamaran/internal/attachment"
	"catamaran/internal/checkpoint"
	"catamaran/internal/git"
	"catamaran/internal/store"
	"catamaran/internal/thread"
	"catamaran/internal/worktree"
)

// Options of an engine.
type Options struct {
	// DataDir holds the database and spill files.
	DataDir string
	Log     *slog.Logger
	// Agents finds and opens agents.
	Agents Agents
	// Checkpoints snapshots a project before and after a turn; nil means none.
	Checkpoints Checkpoints
	// Worktrees gives threads working trees of their own; nil refuses them.
	Worktrees Worktrees
	// Git tells what is checked out in a folder; nil means that none is a repository. An
	// error means that it is not known.
	Git func(ctx context.Context, dir string) (git.CheckedOut, error)
	// Phase is told of every phase change: with failed the reason, with ready what people
	// should be told all the same (Notice), or nil.
	Phase func(api.Phase, *api.Error)
	// Deleted is told, in the background, what was deleted for good: a thread, or a project
	// with threadID ""; nil is nobody.
	Deleted func(ctx context.Context, projectID, threadID string)
	// Now is the clock of what is stored; nil means the system's.
	Now func() time.Time
}

// Agents is what the engine needs of the registry.
type Agents interface {
	List(ctx context.Context, rescan bool) ([]api.Agent, error)
	// Resolve returns the driver, configuration and environment for an agent id; *api.Error CodeAgentNotFound with the install command as Hint.
	Resolve(ctx context.Context, agentID string) (agent.Driver, agent.Config, []string, error)
}

// AgentSettings is what an Agents may also do: keep what people set for agents.
type AgentSettings interface {
	Instances() ([]api.AgentInstance, error)
	SaveInstance(in api.AgentInstance) (api.AgentInstance, error)
	RemoveInstance(id string) error
}

// Checkpoints is what the engine needs of package checkpoint.
type Checkpoints interface {
	// Take snapshots dir and returns a reference for Diff; "" and nil where dir is not in a Git repository.
	Take(ctx context.Context, dir, threadID, label string) (ref string, err error)
	Summary(ctx context.Context, dir, from, to string) (api.ChangeSummary, error)
	// Forget drops a thread's snapshots, Prune its oldest turns' beyond keep.
	Forget(ctx context.Context, dir, threadID string) error
	Prune(ctx context.Context, dir, threadID string, keep int) error
	// Edits records what the agent reports to edit in a turn; nil where nothing is.
	Edits(dir, threadID, turnID string) *checkpoint.Edits
}

// Worktrees is what the engine needs of package worktree.
type Worktrees interface {
	// Make makes or finds the working tree of a new thread; Discard takes one back that was made.
	Make(ctx context.Context, p api.Project, threadID string, c api.WorktreeChoice) (worktree.Made, error)
	Discard(ctx context.Context, p api.Project, m worktree.Made) error
	// Setup starts the project's set-up script in it, as the job of that id.
	Setup(p api.Project, threadID, id string, m worktree.Made) (api.Job, error)
	// Again starts it once more in the working tree that a thread has.
	Again(ctx context.Context, p api.Project, t api.Thread) (api.Job, error)
	// Enter waits until a thread can work in its working tree; notice is to be told, and
	// began is told the job of another set-up.
	Enter(ctx context.Context, p api.Project, t api.Thread, began func(jobID string)) (notice string, err error)
}

// timing is every wait of the engine; tests shorten it.
type timing struct {
	flush      time.Duration // coalescing of deltas (A3.1: 30-60 ms)
	save       time.Duration // how often the text of streamed items is kept
	interrupt  time.Duration // after asking the agent to stop
	close      time.Duration // bound on ending an agent process by its own ladder
	open       time.Duration // bound on starting an agent
	grace      time.Duration // for the prompt's own error after its process ended
	checkpoint time.Duration
	idle       time.Duration // of an agent process without a turn (A2.8)
	shutdown   time.Duration // for all agents together
	call       time.Duration // for Git, agents and diffs asked by a command
}

var defaultTiming = timing{
	flush: 40 * time.Millisecond, save: time.Second, interrupt: 5 * time.Second, close: 8 * time.Second,
	open: 90 * time.Second, grace: 2 * time.Second, checkpoint: 30 * time.Second, idle: 30 * time.Minute,
	shutdown: 4 * time.Second, call: 30 * time.Second,
}

// Engine is safe for concurrent use.
type Engine struct {
	o   Options
	log *slog.Logger
	t   timing
	hub *hub
	// files are what was uploaded.
	files *attachment.Files
	// options are what agents said of themselves.
	options optionsCache

	// shellMu serialises what changes projects and the set of threads.
	shellMu sync.Mutex

	mu       sync.Mutex
	phase    api.Phase
	reason   *api.Error
	notice   *api.Error
	store    *store.Store
	actors   map[string]*actor
	inflight map[string]chan struct{} // what claim has given out
	removing map[string]bool          // projects being removed: their threads take no commands
	ran      bool
	// life ends when actors must end.
	life     context.Context
	end      context.CancelFunc
	actorsWG sync.WaitGroup
	chores   sync.WaitGroup // goroutines with a deadline that outlive their thread's goroutine
}

// New validates the options and starts nothing.
func New(o Options) (*Engine, error) {
	if !filepath.IsAbs(o.DataDir) {
		return nil, fmt.Errorf("engine: the data folder %q is not an absolute path", o.DataDir)
	}
	if o.Agents == nil {
		return nil, errors.New("engine: no agents given")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	e := &Engine{o: o, log: o.Log, t: defaultTiming, hub: newHub(), phase: api.PhaseStarting,
		actors: map[string]*actor{}, inflight: map[string]chan struct{}{}, removing: map[string]bool{}}
	e.files = attachment.New(filepath.Join(o.DataDir, "attachments"), o.Now)
	e.life, e.end = context.WithCancel(context.Background())
	return e, nil
}

// Run opens and migrates the store, reconciles turns left running, and serves until ctx ends;
// it returns after every agent has been closed. It may be called once.
//
// Turns that a killed backend left running or waiting become interrupted. So do
// queued ones: nothing runs that nobody asks for any more; their prompts stay
// visible and can be sent again.
func (e *Engine) Run(ctx context.Context) error {
	e.mu.Lock()
	if e.ran {
		e.mu.Unlock()
		return errors.New("engine: Run was called before")
	}
	e.ran = true
	e.mu.Unlock()
	e.setPhase(api.PhaseStarting, nil)
	st, err := e.openStore(ctx, false)
	if store.Damaged(err) {
		st, err = e.openStore(ctx, true)
	}
	if err != nil {
		reason := api.AsError(err)
		if reason == nil {
			reason = e.internal("open the database", err)
		}
		e.setPhase(api.PhaseFailed, reason)
		return fmt.Errorf("engine: %w", err)
	}
	e.mu.Lock()
	e.store, e.notice = st, st.Notice()
	e.mu.Unlock()
	e.setPhase(api.PhaseReady, st.Notice())
	<-ctx.Done()
	return e.shutdown(st)
}

// openStore opens the database and reconciles it; damaged sets aside what a first
// attempt found unreadable.
func (e *Engine) openStore(ctx context.Context, damaged bool) (*store.Store, error) {
	st, err := store.Open(ctx, store.Options{Dir: e.o.DataDir, Log: e.log, Now: e.o.Now, SetAside: damaged,
		Migrating: func() { e.setPhase(api.PhaseMigrating, nil) }, Published: e.hub.publish})
	if err != nil {
		return nil, err
	}
	if err := e.reconcile(ctx, st); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return st, nil
}

func (e *Engine) shutdown(st *store.Store) error {
	e.mu.Lock()
	e.phase, e.reason = api.PhaseFailed, &api.Error{Code: api.CodeUnavailable, Message: "The backend is ending.", Retryable: true}
	e.end()
	e.mu.Unlock()
	e.actorsWG.Wait()
	// Commands of projects hold shellMu while they use the store.
	e.shellMu.Lock()
	defer e.shellMu.Unlock()
	e.hub.closeAll()
	e.awaitChores()
	if err := st.Close(); err != nil {
		return fmt.Errorf("engine: close the database: %w", err)
	}
	return nil
}

// awaitChores waits for what runs in the background, but not for a driver that ignores its context.
func (e *Engine) awaitChores() {
	done := make(chan struct{})
	go func() {
		e.chores.Wait()
		close(done)
	}()
	late := time.NewTimer(e.t.shutdown + time.Second)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		e.log.Error("something does not end at shutdown")
	}
}

// Notice is what people should be told after the start: nil, or that a damaged
// database was set aside (CodeDatabaseCorrupt). It is known once the phase is ready.
func (e *Engine) Notice() *api.Error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.notice
}

func (e *Engine) setPhase(p api.Phase, reason *api.Error) {
	e.mu.Lock()
	e.phase, e.reason = p, reason
	e.mu.Unlock()
	if e.o.Phase != nil {
		e.o.Phase(p, reason)
	}
}

// ready returns the store, or why there is none.
func (e *Engine) ready() (*store.Store, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.phase == api.PhaseReady:
		return e.store, nil
	case e.reason != nil:
		return nil, e.reason
	}
	return nil, &api.Error{Code: api.CodeNotReady, Message: "The backend is starting.", Retryable: true, Hint: "Try again in a moment."}
}

// reconcile ends what the last backend left open.
func (e *Engine) reconcile(ctx context.Context, st *store.Store) error {
	ids, err := st.Unfinished(ctx)
	if err != nil {
		return err
	}
	// Many threads share a write: each of its own would wait for the disk.
	const together = 64
	for group := range slices.Chunk(ids, together) {
		var events []store.Event
		for _, id := range group {
			more, err := e.halted(ctx, st, id)
			if err != nil {
				return err
			}
			events = append(events, more...)
		}
		if err := st.Commit(ctx, &store.Write{Events: events, Durable: true}); err != nil {
			return fmt.Errorf("reconcile threads: %w", err)
		}
	}
	if err := st.SweepSpill(ctx); err != nil {
		e.log.Warn("sweep spill files", "error", err)
	}
	if ids, err := st.ThreadIDs(ctx); err != nil {
		e.log.Warn("sweep attachments", "error", err)
	} else if err := e.files.Sweep(ids); err != nil {
		e.log.Warn("sweep attachments", "error", err)
	}
	return nil
}

// halted ends what is open in a thread.
func (e *Engine) halted(ctx context.Context, st *store.Store, id string) ([]store.Event, error) {
	w, err := st.Work(ctx, id)
	if err != nil {
		return nil, err
	}
	live := w.Live
	kept := map[string]bool{}
	for _, it := range live {
		kept[it.ID] = true
	}
	for _, it := range w.Items {
		if it.Live && !kept[it.ID] {
			live = append(live, it)
		}
	}
	d, aerr := thread.Decide(loaded(w), e.now(), newID("restart"), thread.Halt{Live: live,
		Running: "The backend ended while this turn was running.", Queued: "It was queued when the backend ended."})
	if aerr != nil {
		return nil, aerr
	}
	return stored(id, d.Events), nil
}

func loaded(w store.Work) thread.State {
	return thread.Load(w.Thread, w.Turns, w.Items, w.LastTurn, w.LastItem)
}

// stored puts a thread's events into its stream; its head also goes to the shell's.
func stored(threadID string, events []api.Event) []store.Event {
	all := make([]store.Event, 0, len(events)+1)
	for _, ev := range events {
		all = append(all, store.Event{Stream: store.ThreadStream(threadID), Event: ev})
		if ev.Type == api.EventThreadUpserted || ev.Type == api.EventThreadRemoved {
			all = append(all, store.Event{Stream: store.Shell, Event: ev})
		}
	}
	return all
}

// chore runs fn, which must end by a deadline, in the background; the engine waits for it at its end.
func (e *Engine) chore(fn func()) {
	e.chores.Add(1)
	go func() {
		defer e.chores.Done()
		fn()
	}()
}

func (e *Engine) now() int64 { return e.o.Now().UnixMilli() }

// newID makes an id that sorts roughly by time, which keeps database pages together.
func newID(prefix string) string {
	var b [14]byte
	ms := uint64(time.Now().UnixMilli())
	for i := range 6 {
		b[i] = byte(ms >> (8 * (5 - i)))
	}
	rand.Read(b[6:])
	return prefix + "_" + hex.EncodeToString(b[:])
}

// internal logs err under a reference and returns what the client gets.
func (e *Engine) internal(what string, err error) *api.Error {
	ref := newID("ref")
	e.log.Error(what, "error", err, "ref", ref)
	return &api.Error{Code: api.CodeInternal, Message: "Something went wrong: could not " + what + ".",
		Hint: "Try again; the log has the details.", Retryable: true, Ref: ref}
}

// clientError makes an *api.Error of any error.
func (e *Engine) clientError(what string, err error) error {
	if err == nil {
		return nil
	}
	if a := api.AsError(err); a != nil {
		return a
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &api.Error{Code: api.CodeNotFound, Message: "It is not there (any more)."}
	case errors.Is(err, store.ErrClosed):
		return &api.Error{Code: api.CodeUnavailable, Message: "The backend is ending.", Retryable: true}
	case errors.Is(err, context.DeadlineExceeded):
		return &api.Error{Code: api.CodeTimeout, Message: "It took too long to " + what + ".", Retryable: true, Hint: "Try again."}
	case errors.Is(err, context.Canceled):
		return &api.Error{Code: api.CodeCancelled, Message: "The request was cancelled."}
	}
	return e.internal(what, err)
}
