package codex_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/agent/agenttest"
	"catamaran/internal/agent/codex"
	"catamaran/internal/api"
)

// prompted opens a role, runs one prompt and returns the story.
func prompted(t *testing.T, role string) *agenttest.Story {
	t.Helper()
	s := agenttest.Open(t, own(t, role), api.PermissionSupervised)
	if stop, err := s.Prompt("go"); err != nil || stop != agent.StopEndTurn {
		t.Fatalf("prompt = %q, %v (%+v)", stop, err, api.AsError(err))
	}
	return s
}

func TestLenience(t *testing.T) {
	t.Parallel()
	for role, text := range map[string]string{"garbage": "01234", "early": "quick", "missing": "hello", "overloaded": "hello"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			if got := prompted(t, role).Text(agent.KindMessage); got != text {
				t.Errorf("text = %q; want %q", got, text)
			}
		})
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
		if e.Kind == agent.KindPlan && fmt.Sprint(e.Plan) != "[{a completed} {b in_progress} {c pending} { pending}]" {
			t.Errorf("plan = %v", e.Plan)
		}
	}
	// Unknown: the hologram, the item of type 5, the item that is no object.
	if count[agent.KindUnknown] != 3 || count[agent.KindPlan] != 1 || count[agent.KindUsage] != 2 || count[agent.KindNotice] != 2 {
		t.Errorf("events by kind = %v", count)
	}
	for _, e := range slices.Backward(s.Events()) {
		if e.Kind == agent.KindUsage {
			if want := (api.Usage{InputTokens: 30, OutputTokens: 4, ContextUsed: 7, ContextSize: 50}); *e.Usage != want {
				t.Errorf("usage = %+v; want %+v", *e.Usage, want)
			}
			break
		}
	}
	if text := s.Text(agent.KindMessage); strings.Contains(text, "sub-agent") || !strings.Contains(text, "-32601") {
		t.Errorf("text = %q", text)
	}
	c := s.Tools()["tool:late"]
	if c.Status != api.ToolCompleted || c.ExitCode == nil || *c.ExitCode != 4 || c.Output != "out" || c.Kind != "execute" {
		t.Errorf("tool = %+v", c)
	}
}

func TestEveryQuestionIsShown(t *testing.T) {
	t.Parallel()
	s := agenttest.Open(t, own(t, "permission"), api.PermissionSupervised)
	end := s.Start("go")
	for _, c := range []struct {
		title, options, choose, answer string
		check                          func(agent.Event) bool
	}{
		{"Change these files?", "Allow once=allow_once, Allow for this session=allow_always, Decline=reject_once, Decline and stop=reject_once", "acceptForSession", `{"decision":"acceptForSession"}`,
			func(e agent.Event) bool {
				return e.ToolID == "tool:f1" && fmt.Sprint(e.Approval.Edits) == "[{/x/a.txt old\n new\n}]"
			}},
		{"Run this command? In /elsewhere.", "Decline=reject_once, Always allow commands that start with: rm=allow_always, later=", "acceptWithExecpolicyAmendment",
			`{"decision":{"acceptWithExecpolicyAmendment":{"execpolicy_amendment":["rm"]}}}`,
			func(e agent.Event) bool { return e.Approval.Command == "rm -rf x" && e.Approval.Kind == "execute" }},
		{"Allow network access to example.org (https)?", "Always refuse example.org=reject_always", "applyNetworkPolicyAmendment", `"action":"deny"`,
			func(e agent.Event) bool { return e.Approval.Kind == "" && len(e.Raw) > 0 }},
		{"Wants more. Wanted: network access, write /y.", "Allow for this turn=allow_once, Allow for this session=allow_always, Decline=reject_once", "turn",
			`{"permissions":{"network":{"enabled":true},"fileSystem":{"write":["/y"]}},"scope":"turn"}`, nil},
		{"Launch the rocket?", "Allow once=allow_once, Allow for this session=allow_always, Decline=reject_once, Decline and stop=reject_once", "decline", `{"decision":"decline"}`, nil},
		{"Run this command?", "Allow once=allow_once, Allow for this session=allow_always, Decline=reject_once, Decline and stop=reject_once", "", `{"decision":"cancel"}`, nil},
	} {
		if c.title == "Launch the rocket?" {
			questionsBetween(s)
		}
		e := s.Wait(s.Ctx, t, c.title, func(e agent.Event) bool { return e.Kind == agent.KindApproval && e.Approval.Title == c.title })
		var options []string
		for _, o := range e.Approval.Options {
			options = append(options, o.Name+"="+o.Kind)
		}
		if got := strings.Join(options, ", "); got != c.options {
			t.Errorf("%s: options %s; want %s", c.title, got, c.options)
		}
		if c.check != nil && !c.check(e) {
			t.Errorf("%s: %+v about %q, raw %s", c.title, e.Approval, e.ToolID, e.Raw)
		}
		if err := s.Session.Answer(e.ID, "never offered"); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%s: answering what was not offered = %v", c.title, err)
		}
		if err := s.Session.Answer(e.ID, c.choose); err != nil {
			t.Errorf("%s: %v", c.title, err)
		}
		if err := s.Session.Answer(e.ID, c.choose); api.CodeOf(err) != api.CodeConflict {
			t.Errorf("%s: second answer = %v", c.title, err)
		}
		if c.answer != "" {
			s.Wait(s.Ctx, t, c.answer, func(e agent.Event) bool { return e.Kind == agent.KindMessage && strings.Contains(e.Append, c.answer) })
		}
	}
	if _, err := end(); err != nil {
		t.Fatal(err)
	}
}

// questionsBetween answers the questions that the fake asks among its approvals.
func questionsBetween(s *agenttest.Story) {
	s.T.Helper()
	for _, c := range []struct {
		title   string
		answers []api.QuestionAnswerPart
		told    string
	}{
		{"Codex asks", []api.QuestionAnswerPart{{PartID: "q1", OptionIDs: []string{"1"}}, {PartID: "q2", Text: "words"}}, `{"answers":{"q1":{"answers":["Yes"]},"q2":{"answers":["words"]}}}`},
		{"maps asks", []api.QuestionAnswerPart{{PartID: "f1", OptionIDs: []string{"2"}}}, `{"action":"accept","content":{"size":"l"}}`},
		{"A tool server asks", nil, `{"action":"decline"}`},
	} {
		e := s.Wait(s.Ctx, s.T, c.title, func(e agent.Event) bool { return e.Kind == agent.KindQuestion && e.Question.Title == c.title })
		if err := s.Session.Reply(e.ID, c.answers); err != nil {
			s.T.Errorf("%s: %v", c.title, err)
		}
		if err := s.Session.Reply(e.ID, c.answers); api.CodeOf(err) != api.CodeConflict {
			s.T.Errorf("%s: second answer = %v", c.title, err)
		}
		s.Wait(s.Ctx, s.T, c.told, func(e agent.Event) bool { return e.Kind == agent.KindMessage && strings.Contains(e.Append, c.told) })
	}
}

func TestWithdrawnQuestion(t *testing.T) {
	t.Parallel()
	s := prompted(t, "withdraws")
	var kinds []string
	for _, e := range s.Events() {
		kinds = append(kinds, e.Kind)
	}
	if fmt.Sprint(kinds) != "[approval approval_resolved]" {
		t.Fatalf("events = %v", kinds)
	}
	if err := s.Session.Answer(s.Events()[0].ID, "accept"); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("late answer = %v", err)
	}
}

func TestCompletedItemsAreAuthoritative(t *testing.T) {
	t.Parallel()
	s := prompted(t, "differs")
	if got := s.Text(agent.KindMessage); got != "abcdefxyz never streamed" {
		t.Errorf("text = %q", got)
	}
	if got := s.Text(agent.KindReasoning); got != "one\n\ntworaw" {
		t.Errorf("reasoning = %q", got)
	}
	if c := s.Tools()["tool:c"]; c.Output != "the whole" || c.Status != api.ToolCompleted {
		t.Errorf("tool = %+v", c)
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role, message, details string
		code                   api.Code
	}{
		{"dead", "ended with exit code 3", "the configuration is on fire", api.CodeAgentFailed},
		{"signin", "is not signed in", "", api.CodeAgentSignIn},
		{"broken", "config is broken", `{"line":7}`, api.CodeAgentFailed},
		{"swamped", "overloaded", "", api.CodeAgentFailed},
		{"mute", "did not answer in time", "", api.CodeAgentFailed},
	} {
		t.Run(c.role, func(t *testing.T) {
			t.Parallel()
			target := own(t, c.role)
			target.Config.SignIn = "codex login"
			timeout := 20 * time.Second
			if c.role == "mute" {
				timeout = 500 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			dir := t.TempDir()
			_, err := target.Driver.Open(ctx, agent.OpenOptions{Agent: target.Config, Dir: dir, Env: target.Env(t, dir, dir), Sink: func(agent.Event) {}})
			e := api.AsError(err)
			if e == nil || e.Code != c.code || !strings.Contains(e.Message, c.message) || !strings.Contains(e.Details, c.details) {
				t.Fatalf("open = %+v; want %s, %q, %q", e, c.code, c.message, c.details)
			}
			if c.role == "signin" && !strings.Contains(e.Hint, "codex login") {
				t.Errorf("hint = %q", e.Hint)
			}
		})
	}
	t.Run("no such program", func(t *testing.T) {
		t.Parallel()
		_, err := codex.New(nil).Open(context.Background(), agent.OpenOptions{Agent: agent.Config{Name: "X", Path: "/nowhere/x"}, Dir: t.TempDir(), Sink: func(agent.Event) {}})
		if api.CodeOf(err) != api.CodeAgentFailed {
			t.Errorf("open = %v", err)
		}
	})
	t.Run("relative folder", func(t *testing.T) {
		t.Parallel()
		_, err := codex.New(nil).Open(context.Background(), agent.OpenOptions{Dir: "x", Sink: func(agent.Event) {}})
		if api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("open = %v", err)
		}
	})
}

func TestResume(t *testing.T) {
	t.Parallel()
	for role, resumed := range map[string]bool{"hello": true, "forgetful": false} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			s := agenttest.Open(t, own(t, role), api.PermissionSupervised)
			s.Close(s.Session)
			s.Reopen(api.PermissionSupervised, "earlier")
			want := agent.SessionInfo{Resume: "t1", PID: s.Session.Info().PID, Version: "0.169.0", Steer: true}
			if resumed {
				want.Resume, want.Resumed = "earlier", true
			}
			if got := s.Session.Info(); got != want {
				t.Errorf("info = %+v; want %+v", got, want)
			}
			if e := s.Events(); len(e) != 0 {
				t.Errorf("opening gave %d events: %+v", len(e), e)
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
		role, message, hint, details string
		code                         api.Code
		gone                         bool
	}{
		{"fails", "You have hit your limit.", "usage limit", "resets tomorrow", api.CodeAgentFailed, false},
		{"disconnected", "stream broke", "See the details", "", api.CodeAgentFailed, false},
		{"refuses", "input is not allowed", "", "because", api.CodeAgentFailed, false},
		{"unauthorized", "is not signed in", "", "401", api.CodeAgentSignIn, false},
		{"exits", "ended with exit code 9", "", "out of memory", api.CodeAgentFailed, true},
		{"deaf", "stopped reading", "", "", api.CodeAgentFailed, true},
	} {
		t.Run(c.role, func(t *testing.T) {
			t.Parallel()
			target := own(t, c.role)
			if c.role == "deaf" {
				d := codex.New(nil)
				d.SetWriteTimeout(200 * time.Millisecond)
				target.Driver = d
			}
			s := agenttest.Open(t, target, api.PermissionSupervised)
			_, err := s.Prompt(strings.Repeat("x", 1<<20))
			e := api.AsError(err)
			if e == nil || e.Code != c.code || !strings.Contains(e.Message, c.message) || !strings.Contains(e.Hint, c.hint) || !strings.Contains(e.Details, c.details) {
				t.Fatalf("prompt = %+v", e)
			}
			for id, tool := range s.Tools() {
				if tool.Status != api.ToolCancelled {
					t.Errorf("tool %s is %q after the turn failed", id, tool.Status)
				}
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
	for _, role := range []string{"late", "unanswered"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			s := agenttest.Open(t, own(t, role), api.PermissionFull)
			if err := s.Session.Interrupt(s.Ctx); err != nil {
				t.Errorf("interrupt without a turn = %v", err)
			}
			end := s.Start("go")
			s.Wait(s.Ctx, t, "text", func(e agent.Event) bool { return e.Kind == agent.KindMessage })
			if err := s.Session.Interrupt(s.Ctx); err != nil {
				t.Fatal(err)
			}
			if stop, err := end(); err != nil || stop != agent.StopCancelled {
				t.Errorf("prompt = %q, %v", stop, err)
			}
			if text := s.Text(agent.KindMessage); role == "late" && !strings.Contains(text, `{"decision":"cancel"}`) {
				t.Errorf("text = %q", text)
			}
		})
	}
	t.Run("an agent that ignores everything is ended by Close", func(t *testing.T) {
		t.Parallel()
		s := agenttest.Open(t, own(t, "stubborn"), api.PermissionSupervised)
		end := s.Start("go")
		s.Wait(s.Ctx, t, "text", func(e agent.Event) bool { return e.Kind == agent.KindMessage })
		ctx, cancel := context.WithTimeout(s.Ctx, 200*time.Millisecond)
		defer cancel()
		if err := s.Session.Interrupt(ctx); api.CodeOf(err) != api.CodeAgentFailed {
			t.Errorf("interrupt = %v; want that it was not answered", err)
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
