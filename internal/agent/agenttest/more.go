package agenttest

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"catamaran/internal/agent"
	"catamaran/internal/api"
)

// may says which stories an agent can have at all.
var may = map[string]func(Target) bool{
	"what it offers":       func(t Target) bool { return t.Offers != nil },
	"a question, answered": func(t Target) bool { return t.Ask != "" },
	"a question, declined": func(t Target) bool { return t.Ask != "" },
	"a picture":            func(t Target) bool { return t.See != "" },
	"a chosen model":       func(t Target) bool { return t.Which != "" },
	"steered in a turn":    func(t Target) bool { return t.Slow != "" },
	"a plan first":         func(t Target) bool { return t.PlanFor != "" },
}

func offers(t *testing.T, target Target) {
	dir, state := t.TempDir(), t.TempDir()
	timeout := target.timeout()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	o, err := target.Driver.Options(ctx, agent.OpenOptions{Agent: target.Config, Dir: dir, Env: target.Env(t, dir, state),
		Permission: api.PermissionSupervised, Sink: func(agent.Event) {}})
	if err != nil {
		t.Fatalf("options: %v (%+v)", err, api.AsError(err))
	}
	if lacks := target.Offers(o); lacks != "" {
		t.Errorf("%s: %+v", lacks, o)
	}
	if o.Version == "" {
		t.Error("no version")
	}
	known := o.DefaultModel == "" || len(o.Models) == 0
	for _, m := range o.Models {
		if m.ID == "" || m.Name == "" {
			t.Errorf("model %+v", m)
		}
		known = known || m.ID == o.DefaultModel
	}
	if !known {
		t.Logf("the default model %s is not among those offered", o.DefaultModel)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("asking left %v in the project", left)
	}
}

// ends runs a prompt that must end by itself.
func (s *Story) ends(in agent.Input) {
	s.T.Helper()
	in.Settings = s.Settings
	if stop, err := s.Session.Prompt(s.Ctx, in); err != nil || stop != agent.StopEndTurn {
		s.T.Fatalf("prompt = %q, %v (%+v)", stop, err, api.AsError(err))
	}
}

func questioned(t *testing.T, target Target) {
	s := Open(t, target, api.PermissionSupervised)
	s.ReplyAll(false)
	s.ends(agent.Input{Text: target.Ask})
	asked := s.Of(agent.KindQuestion)
	if len(asked) == 0 {
		t.Fatal("nothing was asked")
	}
	for _, e := range asked {
		q := e.Question
		if q.Title == "" || len(q.Parts) == 0 || q.Parts[0].Text == "" || q.State != api.ApprovalPending {
			t.Errorf("question = %+v", q)
		}
	}
	said := s.Text(agent.KindMessage)
	for _, c := range s.Tools() {
		said += c.Output
	}
	if !strings.Contains(said, target.Told) {
		t.Errorf("said %q; want %q in it", said, target.Told)
	}
	if n := len(s.Approvals()); n != 0 {
		t.Errorf("the question came as %d approvals too", n)
	}
}

func questionDeclined(t *testing.T, target Target) {
	s := Open(t, target, api.PermissionFull)
	s.ReplyAll(true)
	s.ends(agent.Input{Text: target.Ask})
	if len(s.Of(agent.KindQuestion)) == 0 {
		t.Error("nothing was asked: full access answers no questions")
	}
	if said := s.Text(agent.KindMessage); target.Told != "" && strings.Contains(said, target.Told) {
		t.Errorf("said %q though nothing was answered", said)
	}
}

// Picture writes a small PNG and returns it as a prompt takes it.
func Picture(t *testing.T) agent.Image {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 64, 64))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a_1") // as they are kept: without an extension
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return agent.Image{Name: "grey.png", Mime: "image/png", Path: path}
}

func pictured(t *testing.T, target Target) {
	s := Open(t, target, api.PermissionSupervised)
	s.ends(agent.Input{Text: target.See, Images: []agent.Image{Picture(t)}})
	if said := s.Text(agent.KindMessage); !strings.Contains(said, target.Seen) {
		t.Errorf("said %q; want %q in it", said, target.Seen)
	}
}

// modelled chooses a model when the session is opened, then takes it back, and chooses it again in between.
func modelled(t *testing.T, target Target) {
	named := target.Named
	if named == "" {
		named = target.Model
	}
	chosen := agent.Settings{Model: target.Model, Effort: target.Effort}
	s := &Story{Settings: chosen}
	s = openIn(t, target, api.PermissionSupervised, s)
	s.ends(agent.Input{Text: target.Which})
	if said := s.Text(agent.KindMessage); !strings.Contains(said, named) {
		t.Errorf("opened with it: said %q; want %q in it", said, named)
	}
	s.change(agent.Settings{})
	s.ends(agent.Input{Text: target.Which})
	if said := s.Text(agent.KindMessage); strings.Contains(said, named) {
		t.Errorf("taken back: said %q", said)
	}
	s.change(chosen)
	s.ends(agent.Input{Text: target.Which})
	if said := s.Text(agent.KindMessage); !strings.Contains(said, named) {
		t.Errorf("chosen again: said %q; want %q in it", said, named)
	}
}

// change goes on with other settings, in the same process where that takes them.
func (s *Story) change(to agent.Settings) {
	s.T.Helper()
	s.Settings = to
	if s.Session.Takes(to) {
		s.Recorder.mu.Lock()
		s.Recorder.events = nil
		s.Recorder.mu.Unlock()
		return
	}
	cursor := s.Session.Info().Resume
	s.Close(s.Session)
	if s.Target.Restart != nil {
		s.Target.Restart(s.T, s.Dir, s.State)
	}
	s.Reopen(api.PermissionSupervised, cursor)
	if !s.Session.Info().Resumed {
		s.T.Error("a changed setting lost the conversation")
	}
}

func steered(t *testing.T, target Target) {
	s := Open(t, target, api.PermissionSupervised)
	if !s.Session.Info().Steer {
		t.Error("the session does not say that it can be steered")
	}
	if err := s.Session.Steer(s.Ctx, agent.Input{Text: target.Steering}); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("steered without a turn: %v; want a conflict", err)
	}
	end := s.Start(target.Slow)
	s.Wait(s.Ctx, t, "streamed text", isMessage)
	if err := s.Session.Steer(s.Ctx, agent.Input{Text: target.Steering}); err != nil {
		t.Fatalf("steer: %v", err)
	}
	if stop, err := end(); err != nil || stop != agent.StopEndTurn {
		t.Fatalf("prompt = %q, %v (%+v)", stop, err, api.AsError(err))
	}
	if said := s.Text(agent.KindMessage); !strings.Contains(said, target.Steered) {
		t.Errorf("said %q; want %q in it", said, target.Steered)
	}
}

func planned(t *testing.T, target Target) {
	s := openIn(t, target, api.PermissionSupervised, &Story{Settings: agent.Settings{Plan: true}})
	s.AnswerAll("reject_once")
	s.ends(agent.Input{Text: target.PlanFor})
	plan := ""
	for _, e := range s.Of(agent.KindPlan) {
		plan = e.Append
		for _, step := range e.Plan {
			plan += step.Text + "\n"
		}
	}
	if !strings.Contains(plan, target.Plan) {
		t.Errorf("the last plan is %q; want %q in it", plan, target.Plan)
	}
	if target.PlanAsked && !slices.ContainsFunc(s.Of(agent.KindApproval), func(e agent.Event) bool { return e.Approval.Kind == "plan" }) {
		t.Error("it does not ask whether to carry the plan out")
	}
	// Without the plan mode it works again as it did.
	s.change(agent.Settings{})
	s.AnswerAll("allow_once")
	work(s)
}
