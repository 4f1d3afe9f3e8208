package agenttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/api"
)

// Run tells every story to the target.
func Run(t *testing.T, target Target) {
	rec := &recording{report: Report{Agent: target.Report}}
	target.record = rec
	t.Cleanup(func() { rec.write(t) })
	for _, c := range []struct {
		name  string
		story func(*testing.T, Target)
	}{
		{"a turn with an approved command, an approved edit and text", approved},
		{"a declined command is not run", declined},
		{"accept-edits asks for commands only", acceptEdits},
		{"full access asks nothing", full},
		{"stop in mid-stream, then go on", stopped},
		{"stop while an approval is open", stoppedWhileAsking},
		{"the agent is killed in a turn", killed},
		{"resume after a restart", resumed},
		{"what it offers", offers},
		{"a question, answered", questioned},
		{"a question, declined", questionDeclined},
		{"a picture", pictured},
		{"a chosen model", modelled},
		{"steered in a turn", steered},
		{"a plan first", planned},
	} {
		has, ok := may[c.name]
		runs := !ok || has(target)
		t.Run(c.name, func(t *testing.T) {
			rec.story(t, c.name, runs)
			if !runs {
				return // the agent has nothing of the kind
			}
			t.Parallel()
			c.story(t, target)
		})
	}
}

func isMessage(e agent.Event) bool  { return e.Kind == agent.KindMessage && e.Append != "" }
func isApproval(e agent.Event) bool { return e.Kind == agent.KindApproval }

// work runs the target's Work prompt to its end and checks what it left behind.
func work(s *Story) {
	s.T.Helper()
	stop, err := s.Prompt(s.Target.Work)
	if err != nil || stop != agent.StopEndTurn {
		s.T.Fatalf("prompt = %q, %v (%+v)", stop, err, api.AsError(err))
	}
	if s.Target.Made != "" && !s.Exists(s.Target.Made) {
		s.T.Errorf("the command left no %s", s.Target.Made)
	}
	if b, err := os.ReadFile(filepath.Join(s.Dir, s.Target.Wrote)); err != nil || !strings.Contains(string(b), s.Target.WroteText) {
		s.T.Errorf("%s = %q, %v; want %q in it", s.Target.Wrote, b, err, s.Target.WroteText)
	}
	if strings.TrimSpace(s.Text(agent.KindMessage)) == "" {
		s.T.Error("no message text")
	}
	kinds := map[string]int{}
	for id, c := range s.Tools() {
		kinds[c.Kind]++
		if c.Status != api.ToolCompleted {
			s.T.Errorf("tool %s %q is %q at the end", id, c.Title, c.Status)
		}
		switch c.Kind {
		case "execute":
			if c.Command == "" {
				s.T.Errorf("execute call %q has no command", c.Title)
			}
			if !strings.Contains(c.Output, s.Target.Output) {
				s.T.Errorf("output of %q = %q; want %q in it", c.Command, c.Output, s.Target.Output)
			}
		case "edit":
			if len(c.Edits) == 0 && s.asked("edit") {
				s.T.Errorf("edit call %q has no edits", c.Title)
			}
		}
	}
	if kinds["execute"] == 0 || kinds["edit"] == 0 {
		s.T.Errorf("tool kinds = %v; want execute and edit", kinds)
	}
	for _, e := range s.Events() {
		if e.Kind == agent.KindUnknown {
			s.T.Errorf("unknown event: %s", e.Raw)
		}
	}
}

func (s *Story) asked(kind string) bool {
	for _, e := range s.Approvals() {
		if e.Approval.Kind == kind {
			return true
		}
	}
	return false
}

func approved(t *testing.T, target Target) {
	s := Open(t, target, api.PermissionSupervised)
	s.AnswerAll("allow_once")
	work(s)
	if !s.asked("execute") || !s.asked("edit") {
		t.Errorf("asked for execute: %v, for edit: %v; want both", s.asked("execute"), s.asked("edit"))
	}
	tools := s.Tools()
	for _, e := range s.Approvals() {
		a := e.Approval
		if _, known := tools[e.ToolID]; !known {
			t.Errorf("approval %q is about the unknown tool call %q", a.Title, e.ToolID)
		}
		if a.Title == "" || a.State != api.ApprovalPending {
			t.Errorf("approval = %+v", a)
		}
		if a.Kind == "execute" && a.Command == "" {
			t.Errorf("approval of a command without it: %+v", a)
		}
		if a.Kind == "edit" && len(a.Edits) == 0 {
			t.Errorf("approval of an edit without it: %+v", a)
		}
	}
	if s.Session.Info().PID == 0 || s.Session.Info().Resume == "" || s.Session.Info().Version == "" {
		t.Errorf("info = %+v", s.Session.Info())
	}
}

func declined(t *testing.T, target Target) {
	s := Open(t, target, api.PermissionSupervised)
	s.AnswerAll("reject_once")
	if _, err := s.Prompt(target.Work); err != nil {
		t.Fatalf("prompt: %v (%+v)", err, api.AsError(err))
	}
	if !s.asked("execute") {
		t.Error("was not asked for the command")
	}
	if (target.Made != "" && s.Exists(target.Made)) || s.Exists(target.Wrote) {
		t.Error("what was declined was done")
	}
	for id, c := range s.Tools() {
		if c.Kind == "execute" && c.Status != api.ToolFailed && c.Status != api.ToolCancelled {
			t.Errorf("tool %s is %q after it was declined", id, c.Status)
		}
	}
}

func acceptEdits(t *testing.T, target Target) {
	s := Open(t, target, api.PermissionAcceptEdits)
	s.AnswerAll("allow_once")
	work(s)
	if !s.asked("execute") || s.asked("edit") {
		t.Errorf("asked for execute: %v, for edit: %v; want only execute", s.asked("execute"), s.asked("edit"))
	}
}

func full(t *testing.T, target Target) {
	s := Open(t, target, api.PermissionFull)
	work(s)
	if n := len(s.Approvals()); n != 0 {
		t.Errorf("%d approvals were asked", n)
	}
}

func stopped(t *testing.T, target Target) {
	s := Open(t, target, api.PermissionSupervised)
	end := s.Start(target.Stream)
	s.Wait(s.Ctx, t, "streamed text", isMessage)
	began := time.Now()
	if err := s.Session.Interrupt(s.Ctx); err != nil {
		t.Fatalf("interrupt: %v", err)
	}
	stop, err := end()
	if err != nil || stop != agent.StopCancelled {
		t.Fatalf("prompt = %q, %v; want cancelled", stop, err)
	}
	t.Logf("cancelled after %v", time.Since(began).Round(time.Millisecond))
	s.AnswerAll("allow_once")
	work(s)
}

func stoppedWhileAsking(t *testing.T, target Target) {
	s := Open(t, target, api.PermissionSupervised)
	end := s.Start(target.Work)
	asked := s.Wait(s.Ctx, t, "approval", isApproval)
	if err := s.Session.Interrupt(s.Ctx); err != nil {
		t.Fatalf("interrupt: %v", err)
	}
	if stop, err := end(); err != nil || stop != agent.StopCancelled {
		t.Fatalf("prompt = %q, %v (%+v); want cancelled", stop, err, api.AsError(err))
	}
	s.Wait(s.Ctx, t, "resolved approval", func(e agent.Event) bool { return e.Kind == agent.KindApprovalResolved && e.ID == asked.ID })
	if err := s.Session.Answer(asked.ID, asked.Approval.Options[0].ID); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("late answer = %v; want a conflict", err)
	}
	if target.Made != "" && s.Exists(target.Made) {
		t.Error("the command ran")
	}
	for id, c := range s.Tools() {
		if c.Status == api.ToolRunning || c.Status == api.ToolPending {
			t.Errorf("tool %s is still %q", id, c.Status)
		}
	}
}

func killed(t *testing.T, target Target) {
	s := Open(t, target, api.PermissionSupervised)
	end := s.Start(target.Stream)
	s.Wait(s.Ctx, t, "streamed text", isMessage)
	p, err := os.FindProcess(s.Session.Info().PID)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := end(); api.CodeOf(err) != api.CodeAgentFailed {
		t.Errorf("prompt = %v; want agent_failed", err)
	}
	select {
	case <-s.Session.Done():
	case <-s.Ctx.Done():
		t.Fatal("the session is not done")
	}
	if api.CodeOf(s.Session.Err()) != api.CodeAgentFailed {
		t.Errorf("Err = %v; want agent_failed", s.Session.Err())
	}
}

func resumed(t *testing.T, target Target) {
	s := Open(t, target, api.PermissionSupervised)
	s.AnswerAll("allow_once")
	work(s)
	cursor := s.Session.Info().Resume
	s.Close(s.Session)
	if target.Restart != nil {
		target.Restart(t, s.Dir, s.State)
	}

	s.Reopen(api.PermissionFull, cursor)
	if i := s.Session.Info(); !i.Resumed || i.Resume != cursor {
		t.Fatalf("info after resume = %+v; want cursor %q taken", i, cursor)
	}
	end := s.Start(target.Stream)
	s.Wait(s.Ctx, t, "streamed text", isMessage)
	if n := len(s.Tools()); n != 0 {
		t.Errorf("%d tool calls of the earlier turn came again", n)
	}
	if err := s.Session.Interrupt(s.Ctx); err != nil {
		t.Error(err)
	}
	if _, err := end(); err != nil {
		t.Errorf("prompt after resume: %v", err)
	}
	s.Close(s.Session)

	s.Reopen(api.PermissionFull, "no-such-session")
	if i := s.Session.Info(); i.Resumed || i.Resume == "" || i.Resume == "no-such-session" {
		t.Errorf("info with an unknown cursor = %+v; want a fresh session", i)
	}
}
