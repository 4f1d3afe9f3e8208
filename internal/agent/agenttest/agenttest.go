// Package agenttest is the conformance suite of agent drivers: the same stories
// told to scripted agents, to the demo agent and, with the build tag realagents,
// to real programs with a scripted model. Only tests import it.
package agenttest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/api"
)

// Target is an agent that behaves.
type Target struct {
	Driver agent.Driver
	Config agent.Config
	// Env returns the environment for an agent working in dir; state is a folder
	// that lives as long as one story, for the agent's own files.
	Env func(t *testing.T, dir, state string) []string
	// Work is a prompt that makes the agent run a command that leaves Made behind,
	// (where that is not ""), and write Wrote with WroteText.
	Work                   string
	Made, Wrote, WroteText string
	// Output is part of the command's output, "" where the agent does not tell it.
	Output string
	// Stream is a prompt that makes it write for a long time.
	Stream string
	// The rest is for what an agent may not have; "" leaves the story out.
	//
	// Ask is a prompt that makes it ask a question, Told a part of what it says when the
	// first option of each part was chosen.
	Ask, Told string
	// See is a prompt that comes with one picture, Seen a part of what it says to it.
	See, Seen string
	// Which is a prompt that makes it tell its model, Model one that can be chosen, Named
	// what it calls that where it is another name.
	Which, Model, Named string
	// Effort can be chosen.
	Effort string
	// Slow is a prompt that takes a few seconds, Steered what it says once it got
	// Steering meanwhile.
	Slow, Steering, Steered string
	// PlanFor is a prompt that makes it plan where it is told to, Plan a part of the plan.
	// PlanAsked: it asks whether to carry the plan out.
	PlanFor, Plan string
	PlanAsked     bool
	// Offers is what Driver.Options must tell at least: nil leaves it out.
	Offers func(o api.AgentOptions) string

	// Report is the agent's name in docs/agents.md, for real ones.
	Report string
	record *recording

	// Restart, when set, is called between two processes of one session.
	Restart func(t *testing.T, dir, state string)
	// Timeout bounds one story.
	Timeout time.Duration
}

// Recorder is a sink that keeps events and lets a test wait for them.
type Recorder struct {
	mu      sync.Mutex
	events  []agent.Event
	changed chan struct{}
	// OnApproval and OnQuestion, when set, are called for every one.
	OnApproval, OnQuestion func(agent.Event)
}

// NewRecorder returns an empty recorder.
func NewRecorder() *Recorder { return &Recorder{changed: make(chan struct{})} }

// Sink is the agent.OpenOptions.Sink.
func (r *Recorder) Sink(e agent.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	close(r.changed)
	r.changed = make(chan struct{})
	f, g := r.OnApproval, r.OnQuestion
	r.mu.Unlock()
	if f != nil && e.Kind == agent.KindApproval {
		f(e)
	}
	if g != nil && e.Kind == agent.KindQuestion {
		g(e)
	}
}

// Events returns what came so far.
func (r *Recorder) Events() []agent.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]agent.Event(nil), r.events...)
}

// Wait waits for the first event ok accepts.
func (r *Recorder) Wait(ctx context.Context, t *testing.T, what string, ok func(agent.Event) bool) agent.Event {
	t.Helper()
	for i := 0; ; {
		r.mu.Lock()
		events, changed := r.events, r.changed
		r.mu.Unlock()
		for ; i < len(events); i++ {
			if ok(events[i]) {
				return events[i]
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("no %s among %d events", what, i)
		}
	}
}

// Text is all the text of one kind.
func (r *Recorder) Text(kind string) string {
	var b strings.Builder
	for _, e := range r.Events() {
		if e.Kind == kind {
			b.WriteString(e.Append)
		}
	}
	return b.String()
}

// Tools folds the tool calls as the engine does.
func (r *Recorder) Tools() map[string]api.ToolCall {
	tools := map[string]api.ToolCall{}
	for _, e := range r.Events() {
		if e.Kind != agent.KindTool {
			continue
		}
		c := tools[e.ID]
		u := e.Tool
		if u == nil {
			u = &agent.ToolUpdate{}
		}
		set(&c.Kind, u.Kind)
		set(&c.Title, u.Title)
		set(&c.Status, u.Status)
		set(&c.Command, u.Command)
		if u.Output != nil {
			c.Output = *u.Output
		}
		c.Output += e.Append
		if u.ExitCode != nil {
			c.ExitCode = u.ExitCode
		}
		if len(u.Edits) > 0 {
			c.Edits = u.Edits
		}
		tools[e.ID] = c
	}
	return tools
}

func set[T ~string](to *T, v T) {
	if v != "" {
		*to = v
	}
}

// Story is one opened session of a target.
type Story struct {
	*Recorder
	T       *testing.T
	Ctx     context.Context
	Dir     string
	State   string
	Target  Target
	Session agent.Session
	// Settings of the session and its prompts.
	Settings agent.Settings
}

// Open opens a session in a new directory; it is closed when the test ends.
func Open(t *testing.T, target Target, mode api.PermissionMode) *Story {
	t.Helper()
	return openIn(t, target, mode, &Story{})
}

func (target Target) timeout() time.Duration {
	if target.Timeout == 0 {
		return 30 * time.Second
	}
	return target.Timeout
}

func openIn(t *testing.T, target Target, mode api.PermissionMode, s *Story) *Story {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), target.timeout())
	t.Cleanup(cancel)
	s.T, s.Ctx, s.Dir, s.State, s.Target = t, ctx, dir, t.TempDir(), target
	s.Reopen(mode, "")
	return s
}

// Reopen starts another agent process in the same place, with a fresh recorder.
func (s *Story) Reopen(mode api.PermissionMode, resume string) {
	s.T.Helper()
	s.Recorder = NewRecorder()
	session, err := s.Target.Driver.Open(s.Ctx, agent.OpenOptions{
		Agent: s.Target.Config, Dir: s.Dir, Env: s.Target.Env(s.T, s.Dir, s.State), Permission: mode, Settings: s.Settings, Resume: resume, Sink: s.Sink,
	})
	if err != nil {
		s.T.Fatalf("open: %v (%+v)", err, api.AsError(err))
	}
	s.Session = session
	if s.Target.record != nil {
		s.Target.record.version(session.Info().Version)
	}
	s.T.Cleanup(func() { s.Close(session) })
}

// Close closes a session and checks that its process is gone.
func (s *Story) Close(session agent.Session) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := session.Close(ctx); err != nil {
		s.T.Errorf("close: %v", err)
	}
	select {
	case <-session.Done():
	default:
		s.T.Error("closed, but not done")
	}
}

// AnswerAll answers every approval with an option of the given kind.
func (s *Story) AnswerAll(kind string) {
	session := s.Session
	s.Recorder.mu.Lock()
	defer s.Recorder.mu.Unlock()
	s.Recorder.OnApproval = func(e agent.Event) {
		for _, o := range e.Approval.Options {
			if o.Kind == kind {
				if err := session.Answer(e.ID, o.ID); err != nil {
					s.T.Errorf("answer %s: %v", o.ID, err)
				}
				return
			}
		}
		s.T.Errorf("approval %q offers no %s: %+v", e.Approval.Title, kind, e.Approval.Options)
		_ = session.Answer(e.ID, "")
	}
}

// ReplyAll answers every question with its first options, or declines.
func (s *Story) ReplyAll(decline bool) {
	session := s.Session
	s.Recorder.mu.Lock()
	defer s.Recorder.mu.Unlock()
	s.Recorder.OnQuestion = func(e agent.Event) {
		var answers []api.QuestionAnswerPart
		if !decline {
			for _, p := range e.Question.Parts {
				answers = append(answers, answerTo(p))
			}
		}
		if err := session.Reply(e.ID, answers); err != nil {
			s.T.Errorf("reply: %v", err)
		}
	}
}

// Of lists the events of a kind.
func (r *Recorder) Of(kind string) []agent.Event {
	var out []agent.Event
	for _, e := range r.Events() {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// Approvals lists the approvals that were asked.
func (s *Story) Approvals() []agent.Event { return s.Of(agent.KindApproval) }

// Exists reports whether a file is in the story's directory.
func (s *Story) Exists(name string) bool {
	_, err := os.Stat(filepath.Join(s.Dir, name))
	return err == nil
}

// Start starts a prompt; the function returned waits for its end.
func (s *Story) Start(prompt string) func() (agent.StopReason, error) {
	return s.StartInput(agent.Input{Text: prompt, Settings: s.Settings})
}

// StartInput is Start for more than a text.
func (s *Story) StartInput(in agent.Input) func() (agent.StopReason, error) {
	type end struct {
		stop agent.StopReason
		err  error
	}
	c := make(chan end, 1)
	session := s.Session
	go func() {
		stop, err := session.Prompt(s.Ctx, in)
		c <- end{stop, err}
	}()
	return func() (agent.StopReason, error) { e := <-c; return e.stop, e.err }
}

// Prompt runs one turn with a text.
func (s *Story) Prompt(text string) (agent.StopReason, error) {
	return s.Session.Prompt(s.Ctx, agent.Input{Text: text, Settings: s.Settings})
}
