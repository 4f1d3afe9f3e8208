package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/git"
)

// Turn is a turn to revert, or one that ran beside it: its id, its thread and its checkpoints.
type Turn struct{ ID, ThreadID, Before, After string }

// Target says what to revert: turns of one thread, oldest first, and the turns of
// other threads that ran in the same folder at the same time as any of them.
type Target struct {
	Dir      string
	ThreadID string
	Turns    []Turn
	Beside   []Turn
}

// mostPlan bounds the files of a plan.
const mostPlan = 5000

// content is what a snapshot has at a path; the zero value is no file.
type content struct{ mode, id string }

func (c content) none() bool { return c.id == "" }

// step is one file of a plan.
type step struct {
	path    string
	base    content // what reverting brings back
	last    content // as the turns left it
	now     content
	state   string
	reason  string
	allowed bool
}

// States of a file of a plan, see api.RevertFile.
const (
	stateClean     = "clean"
	stateDone      = "done"
	stateUnclaimed = "unclaimed"
	stateChanged   = "changed"
	stateForeign   = "foreign"
	stateBlocked   = "blocked"
)

// Plan tells what reverting would do, as the files are now.
func (s *Store) Plan(ctx context.Context, t Target) (api.RevertPlan, error) {
	plan := api.RevertPlan{Files: []api.RevertFile{}, TurnIDs: []string{}}
	for _, turn := range t.Turns {
		plan.TurnIDs = append(plan.TurnIDs, turn.ID)
	}
	seen, err := s.Snapshot(ctx, t.Dir)
	if err != nil {
		return plan, err
	}
	if seen == "" {
		return plan, &api.Error{Code: api.CodeInvalid, Message: "This folder is not in a Git repository.", Hint: "Turns can be reverted only where checkpoints are made."}
	}
	steps, err := s.steps(ctx, t, seen)
	if err != nil {
		return plan, fmt.Errorf("plan the revert: %w", err)
	}
	if err := s.block(ctx, t.Dir, steps); err != nil {
		return plan, fmt.Errorf("plan the revert: %w", err)
	}
	plan.Seen = seen
	if len(steps) > mostPlan {
		steps, plan.Truncated = steps[:mostPlan], true
	}
	if plan.Files, err = s.describe(ctx, t.Dir, seen, steps); err != nil {
		return plan, fmt.Errorf("plan the revert: %w", err)
	}
	return plan, nil
}

// steps works out the plan for the files as tree now has them, by path.
func (s *Store) steps(ctx context.Context, t Target, now string) ([]step, error) {
	byPath := map[string]*step{}
	for _, turn := range t.Turns {
		if turn.Before == "" || turn.After == "" {
			return nil, &api.Error{Code: api.CodeNotFound, Message: "No checkpoints were made around this turn.", Hint: "Only turns in a Git repository can be reverted."}
		}
		changed, err := s.trees(ctx, t.Dir, turn.Before, turn.After)
		if err != nil {
			return nil, err
		}
		edits, err := s.edits(ctx, t.Dir, turn.ThreadID, turn.ID)
		if err != nil {
			return nil, err
		}
		for path, c := range changed {
			st := byPath[path]
			if st == nil {
				st = &step{path: path, base: c[0], state: stateClean}
				byPath[path] = st
			} else if st.last != c[0] {
				st.worsen(stateChanged, "Somebody else changed it between two of the turns.")
			}
			st.last = c[1]
			st.judge(edits, path, c)
		}
	}
	// A turn that ends meanwhile has kept its record before it is not live any more.
	running := s.live.others(t.Dir, t.ThreadID)
	beside, err := s.beside(ctx, t)
	if err != nil {
		return nil, err
	}
	have, err := s.lookup(ctx, t.Dir, now, byPath)
	if err != nil {
		return nil, err
	}
	var list []step
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		st := byPath[path]
		st.now = have[path]
		if running[path] {
			st.worsen(stateForeign, "Another thread edits it in a turn that still runs.")
		}
		if beside[path] {
			st.worsen(stateForeign, "Another thread edited it while the turn ran.")
		}
		switch {
		case st.now == st.base:
			st.state, st.reason = stateDone, "It is as it was before."
		case st.now != st.last:
			st.worsen(stateChanged, "It was changed after the turn.")
		}
		if st.base.mode == modeModule || st.now.mode == modeModule {
			st.worsen(stateBlocked, "It is a submodule; check out its commit there.")
		}
		st.allowed = st.state == stateUnclaimed || st.state == stateChanged || st.state == stateClean
		list = append(list, *st)
	}
	return list, nil
}

// gravity orders the states that are a reason not to revert.
var gravity = map[string]int{stateClean: 0, stateUnclaimed: 1, stateChanged: 2, stateForeign: 3, stateBlocked: 4}

func (st *step) worsen(state, reason string) {
	if gravity[state] > gravity[st.state] {
		st.state, st.reason = state, reason
	}
}

// judge compares what changed around a turn with what its agent reported.
func (st *step) judge(edits map[string]Edit, path string, c [2]content) {
	e, ok := edits[path]
	switch {
	case !ok || e.After == unknown:
		st.worsen(stateUnclaimed, "It changed while the turn ran, but the agent did not report it as its edit; a command it ran may have, or somebody else.")
	case e.Mixed:
		st.worsen(stateChanged, "Somebody else changed it between two edits of the agent.")
	case e.Before != unknown && e.Before != c[0].id:
		st.worsen(stateChanged, "Somebody else changed it before the agent did.")
	case e.After != c[1].id:
		st.worsen(stateChanged, "Somebody else changed it after the agent did, while the turn ran.")
	}
}

// beside are the paths that turns of other threads, over by now, edited at the same time.
func (s *Store) beside(ctx context.Context, t Target) (map[string]bool, error) {
	all := map[string]bool{}
	for _, turn := range t.Beside {
		edits, err := s.edits(ctx, t.Dir, turn.ThreadID, turn.ID)
		if err != nil {
			return nil, err
		}
		for path := range edits {
			all[path] = true
		}
	}
	return all, nil
}

// trees tells what differs between two snapshots: by path, what the one and the other have.
func (s *Store) trees(ctx context.Context, dir, from, to string) (map[string][2]content, error) {
	all := map[string][2]content{}
	if from == to {
		return all, nil
	}
	out, err := s.diffTree(ctx, dir, s.bounds.read, from, to, "-z", "--raw", "--no-abbrev", "--no-renames", from, to)
	if err != nil {
		return nil, err
	}
	if out.Truncated {
		return nil, &api.Error{Code: api.CodeTooLarge, Message: "The turn changed too many files to be reverted.", Hint: "Use git to go back, or revert a smaller part."}
	}
	files, err := parseRaw(out.Stdout)
	if err != nil {
		return nil, err
	}
	side := func(mode, id string) content {
		if mode == modeNone {
			return content{}
		}
		return content{mode, id}
	}
	for _, f := range files {
		all[f.raw] = [2]content{side(f.oldMode, f.oldID), side(f.newMode, f.newID)}
	}
	return all, nil
}

// lookup reads what a tree has at the paths of want.
func (s *Store) lookup(ctx context.Context, dir, tree string, want map[string]*step) (map[string]content, error) {
	have := map[string]content{}
	if len(want) == 0 {
		return have, nil
	}
	out, err := run(ctx, git.Command{Dir: dir, Args: []string{"ls-tree", "-r", "-z", tree}, Max: 256 << 20})
	var e *git.Error
	if errors.As(err, &e) {
		return nil, gone(e.Stderr)
	}
	if err != nil {
		return nil, err
	}
	if out.Truncated {
		return nil, &api.Error{Code: api.CodeTooLarge, Message: "The project has too many files to plan a revert."}
	}
	for line := range bytes.SplitSeq(out.Stdout, []byte{0}) {
		head, name, ok := strings.Cut(string(line), "\t") // mode type id TAB name
		f := strings.Fields(head)
		if !ok || len(f) != 3 || want[name] == nil {
			continue
		}
		have[name] = content{f[0], f[2]}
	}
	return have, nil
}

// describe makes the answer's files, with the lines that reverting each changes.
func (s *Store) describe(ctx context.Context, dir, now string, steps []step) ([]api.RevertFile, error) {
	files := make([]api.RevertFile, len(steps))
	goal, err := s.goal(ctx, dir, now, steps)
	if err != nil {
		return nil, err
	}
	numbers, _, err := s.changedPlain(ctx, dir, now, goal)
	if err != nil {
		return nil, err
	}
	for i, st := range steps {
		n := numbers[st.path]
		files[i] = api.RevertFile{Path: strings.ToValidUTF8(st.path, "\uFFFD"), Action: st.action(), State: st.state, Allowed: st.allowed,
			Reason: st.reason, Additions: n.Additions, Deletions: n.Deletions, Binary: n.Binary}
	}
	return files, nil
}

func (st *step) action() string {
	switch {
	case st.now == st.base:
		return ""
	case st.base.none():
		return "remove"
	case st.now.none():
		return "create"
	}
	return "restore"
}

// goal is the tree that reverting every step would lead to, for numbers alone.
func (s *Store) goal(ctx context.Context, dir, now string, steps []step) (string, error) {
	x, release, err := s.indexes.take(ctx, dir+"\x00goal")
	if err != nil {
		return "", err
	}
	defer release()
	defer x.drop()
	env := []string{"GIT_INDEX_FILE=" + x.path}
	prefix, err := run(ctx, git.Command{Dir: dir, Args: []string{"rev-parse", "--show-prefix"}, Max: 64 << 10})
	if err != nil {
		return "", err
	}
	pre := strings.TrimRight(string(prefix.Stdout), "\n")
	if _, err := run(ctx, git.Command{Dir: dir, Env: env, Args: []string{"read-tree", now}}); err != nil {
		return "", err
	}
	var info bytes.Buffer
	zero := strings.Repeat("0", len(now))
	// What goes comes first: a folder may stand where a file was, and the other way round.
	for _, keep := range []bool{false, true} {
		for _, st := range steps {
			if st.base.none() == keep || st.state == stateBlocked {
				continue
			}
			if keep {
				fmt.Fprintf(&info, "%s %s\t%s%s\x00", st.base.mode, st.base.id, pre, st.path)
			} else {
				fmt.Fprintf(&info, "0 %s\t%s%s\x00", zero, pre, st.path)
			}
		}
	}
	if _, err := run(ctx, git.Command{Dir: dir, Env: env, Args: []string{"update-index", "--add", "--replace", "-z", "--index-info"}, Stdin: info.Bytes()}); err != nil {
		return "", err
	}
	out, err := run(ctx, git.Command{Dir: dir, Env: env, Args: []string{"write-tree"}, Max: 4096})
	return strings.TrimSpace(string(out.Stdout)), err
}

// changedPlain is changed without looking for renames, by git's own name.
func (s *Store) changedPlain(ctx context.Context, dir, from, to string) (map[string]entry, bool, error) {
	all := map[string]entry{}
	if from == to {
		return all, false, nil
	}
	out, err := s.diffTree(ctx, dir, s.bounds.read, from, to, "-z", "--raw", "--numstat", "--no-abbrev", "--no-renames", from, to)
	if err != nil {
		return nil, false, err
	}
	files, err := parseRaw(out.Stdout)
	if err != nil && !out.Truncated {
		return nil, false, err
	}
	for _, f := range files {
		all[f.raw] = f
	}
	return all, out.Truncated, nil
}
