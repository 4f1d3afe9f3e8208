package acp_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/agent/acp"
	"catamaran/internal/agent/agenttest"
	"catamaran/internal/api"
)

// prompted opens a role, runs one prompt and returns the story.
func prompted(t *testing.T, role string) *agenttest.Story {
	t.Helper()
	s := agenttest.Open(t, own(t, role), api.PermissionSupervised)
	s.AnswerAll("allow_once")
	s.ReplyAll(true)
	if stop, err := s.Prompt("go"); err != nil || stop != agent.StopEndTurn {
		t.Fatalf("prompt = %q, %v (%+v)", stop, err, api.AsError(err))
	}
	return s
}

func TestGarbageLinesAreSkipped(t *testing.T) {
	t.Parallel()
	s := prompted(t, "garbage")
	if got := s.Text(agent.KindMessage); got != "01234" {
		t.Errorf("text = %q", got)
	}
	ids := map[string]bool{}
	for _, e := range s.Events() {
		ids[e.ID] = true
	}
	if len(ids) != 1 {
		t.Errorf("one run of chunks has the ids %v", ids)
	}
}

func TestOddMessagesAreTolerated(t *testing.T) {
	t.Parallel()
	s := prompted(t, "odd")
	count := map[string]int{}
	for _, e := range s.Events() {
		count[e.Kind]++
		if e.Kind == agent.KindUnknown && len(e.Raw) == 0 {
			t.Error("an unknown event without its JSON")
		}
		if e.Kind == agent.KindPlan && fmt.Sprint(e.Plan) != "[{a completed} {b pending} { pending}]" {
			t.Errorf("plan = %v", e.Plan)
		}
		if e.Kind == agent.KindUsage && (e.Usage.ContextUsed != 5 || e.Usage.ContextSize != 10) {
			t.Errorf("usage = %+v", e.Usage)
		}
	}
	// Unknown: params that are no object, state_update, the tool call without an id.
	if count[agent.KindUnknown] != 3 || count[agent.KindPlan] != 1 || count[agent.KindUsage] != 1 {
		t.Errorf("events by kind = %v", count)
	}
	if text := s.Text(agent.KindMessage); !strings.Contains(text, "[hologram]") || !strings.Contains(text, "-32601") || !strings.Contains(text, `"action":"decline"`) {
		t.Errorf("text = %q", text)
	}
	c := s.Tools()["tool:late"]
	if c.Status != api.ToolCompleted || c.ExitCode == nil || *c.ExitCode != 4 || c.Title == "" || c.Kind != "other" {
		t.Errorf("tool = %+v", c)
	}
}

func TestEveryApprovalIsShown(t *testing.T) {
	t.Parallel()
	s := agenttest.Open(t, own(t, "permission"), api.PermissionSupervised)
	end := s.Start("go")
	var ids []string
	for i, want := range []string{"Launch the rocket?", "think hard", "session/request_permission"} {
		e := s.Wait(s.Ctx, t, want, func(e agent.Event) bool { return e.Kind == agent.KindApproval && e.Approval.Title == want })
		ids = append(ids, e.ID)
		if i == 1 {
			if o := e.Approval.Options[0]; o.Kind != "allow_on_tuesdays" || e.Approval.Kind != "levitate" || e.ToolID != "tool:t9" {
				t.Errorf("approval = %+v about %q", e.Approval, e.ToolID)
			}
			if err := s.Session.Answer(e.ID, "never offered"); api.CodeOf(err) != api.CodeInvalid {
				t.Errorf("answering what was not offered = %v", err)
			}
		}
		option := e.Approval.Options[0].ID
		if i == 2 {
			option = ""
		}
		if err := s.Session.Answer(e.ID, option); err != nil {
			t.Errorf("answer: %v", err)
		}
	}
	if _, err := end(); err != nil {
		t.Fatal(err)
	}
	if err := s.Session.Answer(ids[0], "allow_once"); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("second answer = %v", err)
	}
	text := s.Text(agent.KindMessage)
	for _, want := range []string{
		`requestApproval: result={"outcome":{"optionId":"allow_once","outcome":"selected"}}`, `"optionId":"maybe"`, `result={"outcome":{"outcome":"cancelled"}}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestFileRequestsAreRefused(t *testing.T) {
	t.Parallel()
	s := prompted(t, "files")
	lines := strings.Split(strings.TrimSpace(s.Text(agent.KindMessage)), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d answers: %q", len(lines), lines)
	}
	for _, l := range lines {
		if !strings.Contains(l, "-32601") {
			t.Errorf("answer = %s; want method not found", l)
		}
	}
	if s.Exists("inside.txt") {
		t.Error("the driver wrote a file")
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role, message, details string
		code                   api.Code
	}{
		{"dead", "ended with exit code 3", "the model server is on fire", api.CodeAgentFailed},
		{"signin", "is not signed in", "", api.CodeAgentSignIn},
		{"v2", "version 2", "", api.CodeAgentFailed},
		{"mute", "did not answer in time", "", api.CodeAgentFailed},
	} {
		t.Run(c.role, func(t *testing.T) {
			t.Parallel()
			target := own(t, c.role)
			target.Config.SignIn = "fake auth login"
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			if c.role == "mute" {
				cancel()
				ctx, cancel = context.WithTimeout(context.Background(), 500*time.Millisecond)
			}
			defer cancel()
			dir := t.TempDir()
			_, err := target.Driver.Open(ctx, agent.OpenOptions{Agent: target.Config, Dir: dir, Env: target.Env(t, dir, dir), Sink: func(agent.Event) {}})
			e := api.AsError(err)
			if e == nil || e.Code != c.code || !strings.Contains(e.Message, c.message) || !strings.Contains(e.Details, c.details) {
				t.Fatalf("open = %+v; want %s, %q, %q", e, c.code, c.message, c.details)
			}
			if c.role == "signin" && !strings.Contains(e.Hint, "fake auth login") {
				t.Errorf("hint = %q", e.Hint)
			}
		})
	}
	t.Run("no such program", func(t *testing.T) {
		t.Parallel()
		_, err := acp.New(nil).Open(context.Background(), agent.OpenOptions{Agent: agent.Config{Name: "X", Path: "/nowhere/x"}, Dir: t.TempDir(), Sink: func(agent.Event) {}})
		if api.CodeOf(err) != api.CodeAgentFailed {
			t.Errorf("open = %v", err)
		}
	})
}

func TestMissingInitializeResultIsTolerated(t *testing.T) {
	t.Parallel()
	prompted(t, "missing")
}

func TestRefusedModeIsTold(t *testing.T) {
	t.Parallel()
	s := prompted(t, "modes")
	if n := s.Text(agent.KindNotice); !strings.Contains(n, `"default"`) || !strings.Contains(n, `"auto"`) {
		t.Errorf("notice = %q", n)
	}
}

func TestResume(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role    string
		resumed bool
	}{{"replay", true}, {"resume", true}, {"forgetful", false}, {"hello", false}} {
		t.Run(c.role, func(t *testing.T) {
			t.Parallel()
			s := agenttest.Open(t, own(t, c.role), api.PermissionSupervised)
			s.Close(s.Session)
			s.Reopen(api.PermissionSupervised, "earlier")
			want := agent.SessionInfo{Resume: "s1", PID: s.Session.Info().PID, Version: "1.2.3"}
			if c.resumed {
				want.Resume, want.Resumed = "earlier", true
			}
			if got := s.Session.Info(); got != want {
				t.Errorf("info = %+v; want %+v", got, want)
			}
			if e := s.Events(); len(e) != 0 {
				t.Errorf("history came as %d events: %+v", len(e), e)
			}
			if _, err := s.Prompt("go"); err != nil {
				t.Fatal(err)
			}
			if got := s.Text(agent.KindMessage); got != "hello" {
				t.Errorf("text of the new turn = %q", got)
			}
		})
	}
}

func TestTurnFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role, message, details string
		gone                   bool
	}{
		{"fails", "quota used up", "try tomorrow", false},
		{"exits", "ended with exit code 9", "out of memory", true},
		{"deaf", "stopped reading", "", true},
	} {
		t.Run(c.role, func(t *testing.T) {
			t.Parallel()
			target := own(t, c.role)
			d := acp.New(nil)
			if c.role == "deaf" {
				d.SetWriteTimeout(200 * time.Millisecond)
			}
			target.Driver = d
			s := agenttest.Open(t, target, api.PermissionSupervised)
			_, err := s.Prompt(strings.Repeat("x", 1<<20))
			e := api.AsError(err)
			if e == nil || e.Code != api.CodeAgentFailed || !strings.Contains(e.Message, c.message) || !strings.Contains(e.Details, c.details) {
				t.Fatalf("prompt = %+v", e)
			}
			if c.gone {
				select {
				case <-s.Session.Done():
				case <-s.Ctx.Done():
					t.Error("the process is still there")
				}
			}
		})
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	t.Run("an error answer to a cancelled turn is no failure", func(t *testing.T) {
		t.Parallel()
		s := agenttest.Open(t, own(t, "aborts"), api.PermissionSupervised)
		end := s.Start("go")
		s.Wait(s.Ctx, t, "text", func(e agent.Event) bool { return e.Kind == agent.KindMessage })
		if err := s.Session.Interrupt(s.Ctx); err != nil {
			t.Fatal(err)
		}
		if stop, err := end(); err != nil || stop != agent.StopCancelled {
			t.Errorf("prompt = %q, %v", stop, err)
		}
	})
	t.Run("a question after the interrupt is cancelled even with full access", func(t *testing.T) {
		t.Parallel()
		s := agenttest.Open(t, own(t, "late"), api.PermissionFull)
		end := s.Start("go")
		s.Wait(s.Ctx, t, "text", func(e agent.Event) bool { return e.Kind == agent.KindMessage })
		if err := s.Session.Interrupt(s.Ctx); err != nil {
			t.Fatal(err)
		}
		if stop, err := end(); err != nil || stop != agent.StopCancelled {
			t.Errorf("prompt = %q, %v", stop, err)
		}
		if text := s.Text(agent.KindMessage); !strings.Contains(text, `{"outcome":{"outcome":"cancelled"}}`) {
			t.Errorf("text = %q", text)
		}
	})
	t.Run("an agent that ignores everything is ended by Close", func(t *testing.T) {
		t.Parallel()
		s := agenttest.Open(t, own(t, "stubborn"), api.PermissionSupervised)
		end := s.Start("go")
		s.Wait(s.Ctx, t, "text", func(e agent.Event) bool { return e.Kind == agent.KindMessage })
		if err := s.Session.Interrupt(s.Ctx); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		s.Close(s.Session)
		if _, err := end(); api.CodeOf(err) != api.CodeAgentFailed {
			t.Errorf("prompt = %v", err)
		}
		if d := time.Since(began); d > 8*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}
