package claude_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/agent/agenttest"
	"catamaran/internal/agent/claude"
	"catamaran/internal/api"
)

// prompted opens a role, runs one prompt and returns the story.
func prompted(t *testing.T, role string) *agenttest.Story {
	t.Helper()
	s := agenttest.Open(t, own(t, role), api.PermissionSupervised)
	s.AnswerAll("allow_once")
	s.ReplyAll(false)
	if stop, err := s.Prompt("go"); err != nil || stop != agent.StopEndTurn {
		t.Fatalf("prompt = %q, %v (%+v)", stop, err, api.AsError(err))
	}
	return s
}

func TestTextOfOneTurn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ role, text string }{
		{"garbage", "01234"},
		{"missing", "hello"},
		{"command", "42 tokens used"},
		{"queued", "woken by myself, then asked"},
	} {
		t.Run(c.role, func(t *testing.T) {
			t.Parallel()
			if got := prompted(t, c.role).Text(agent.KindMessage); got != c.text {
				t.Errorf("text = %q; want %q", got, c.text)
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
		switch {
		case e.ID == "":
			t.Errorf("an event without id: %+v", e)
		case e.Kind == agent.KindUnknown && len(e.Raw) == 0:
			t.Error("an unknown event without its JSON")
		case e.Kind == agent.KindPlan && fmt.Sprint(e.Plan) != "[{a completed} {b pending} { pending}]":
			t.Errorf("plan = %v", e.Plan)
		case e.Kind == agent.KindUsage && *e.Usage != (api.Usage{InputTokens: 7, OutputTokens: 3, ContextUsed: 8, ContextSize: 1000}):
			t.Errorf("usage = %+v", *e.Usage)
		}
	}
	// Unknown: the type hologram, the block hologram, the request without an id.
	if count[agent.KindUnknown] != 3 || count[agent.KindPlan] != 1 || count[agent.KindUsage] != 1 || count[agent.KindNotice] != 1 {
		t.Errorf("events by kind = %v", count)
	}
	if got := s.Text(agent.KindMessage); got != "no beginningstreamed otherwise" {
		t.Errorf("text = %q", got)
	}
	byTitle := map[string]api.ToolCall{}
	for _, c := range s.Tools() {
		byTitle[c.Title] = c
	}
	if c := byTitle["Tool call"]; c.Output != "out\n[image]" || c.Status != api.ToolCompleted {
		t.Errorf("result of an unknown call = %+v", c)
	}
	if c := byTitle["Agent look around"]; c.Output != "I look\n" || c.Status != api.ToolCancelled {
		t.Errorf("call of a helper = %+v", c)
	}
	if c := byTitle["Read b.go"]; c.Kind != "read" || c.Status != api.ToolCompleted {
		t.Errorf("a helper's own call = %+v", c)
	}
	if c := byTitle["false"]; c.ExitCode == nil || *c.ExitCode != 4 || c.Status != api.ToolFailed || c.Command != "false" {
		t.Errorf("failed command = %+v", c)
	}
}

func TestEveryRequestIsAnswered(t *testing.T) {
	t.Parallel()
	s := prompted(t, "asks")
	var titles []string
	for _, e := range s.Approvals() {
		titles = append(titles, e.Approval.Title)
	}
	if got := strings.Join(titles, "|"); got != "Launch the rocket?|Tool call|AskUserQuestion" {
		t.Errorf("asked %q", got)
	}
	want := []string{
		`success {"continue":true}`,
		`error method not found: mcp_message`,
		`success {"action":"accept","content":{"size":7}}`,
		`error method not found: dance`,
		`success {"behavior":"allow","updatedInput":{"a":1}}`,
		`success {"behavior":"allow","updatedInput":{}}`,
		`success {"behavior":"allow","updatedInput":{"questions":"?"}}`,
	}
	if got := strings.TrimSpace(s.Text(agent.KindMessage)); got != strings.Join(want, "\n") {
		t.Errorf("answers:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	choose := func(part string, ids ...string) api.QuestionAnswerPart {
		return api.QuestionAnswerPart{PartID: part, OptionIDs: ids}
	}
	for _, c := range []struct {
		name    string
		answers []api.QuestionAnswerPart
		want    string
	}{
		{"answered", []api.QuestionAnswerPart{choose("q1", "2"), choose("q2", "1", "2")}, `"updatedInput":{"answers":{"Which colour?":"Blue","Which sizes?":"S, L"},"more":1,"questions":[`},
		{"in words", []api.QuestionAnswerPart{{PartID: "q1", Text: "green"}, {PartID: "q2", OptionIDs: []string{"2"}, Text: "and XL"}}, `"answers":{"Which colour?":"green","Which sizes?":"L, and XL"}`},
		{"declined", nil, `"behavior":"deny","message":"The user did not choose`},
		{"cancelled", []api.QuestionAnswerPart{}, `"interrupt":true`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// With full access too, a question is for the person.
			s := agenttest.Open(t, own(t, "questions"), api.PermissionFull)
			end := s.Start("go")
			e := s.Wait(s.Ctx, t, "the question", func(e agent.Event) bool { return e.Kind == agent.KindQuestion })
			if p := e.Question.Parts; len(p) != 2 || p[0].Text != "Which colour?" || p[0].Multiple || !p[1].Multiple || !p[0].FreeText || e.ToolID != "tool:q1" {
				t.Errorf("question %+v about %s", e.Question, e.ToolID)
			}
			err := error(nil)
			if c.name == "cancelled" {
				err = s.Session.Answer(e.ID, "")
			} else {
				err = s.Session.Reply(e.ID, c.answers)
			}
			if err != nil {
				t.Fatal(err)
			}
			if stop, err := end(); err != nil || stop != agent.StopEndTurn {
				t.Errorf("prompt = %q, %v", stop, err)
			}
			if got := s.Text(agent.KindMessage); !strings.Contains(got, c.want) {
				t.Errorf("answer = %s; want %s in it", got, c.want)
			}
		})
	}
}

func TestPlanIsShownAndAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode api.PermissionMode
		kind string
		want string
	}{
		{api.PermissionFull, "allow_once", `"updatedPermissions":[{"destination":"session","mode":"bypassPermissions","type":"setMode"}]`},
		{api.PermissionAcceptEdits, "allow_once", `"mode":"acceptEdits"`},
		{api.PermissionSupervised, "reject_once", `does not approve the plan`},
	} {
		t.Run(string(c.mode)+" "+c.kind, func(t *testing.T) {
			t.Parallel()
			s := agenttest.Open(t, own(t, "plan"), c.mode)
			s.AnswerAll(c.kind)
			if _, err := s.Prompt("go"); err != nil {
				t.Fatal(err)
			}
			if a := s.Approvals(); len(a) != 1 || a[0].Approval.Title != "Carry out this plan?" || a[0].Approval.Kind != "plan" {
				t.Errorf("asked %+v", a)
			}
			if p := s.Of(agent.KindPlan); len(p) != 1 || p[0].Append != "1. Look" {
				t.Errorf("plans %+v", p)
			}
			if got := s.Text(agent.KindMessage); !strings.Contains(got, c.want) {
				t.Errorf("text = %q", got)
			}
		})
	}
}

func TestWithdrawnApproval(t *testing.T) {
	t.Parallel()
	s := agenttest.Open(t, own(t, "withdraws"), api.PermissionSupervised)
	end := s.Start("go")
	asked := s.Wait(s.Ctx, t, "approval", func(e agent.Event) bool { return e.Kind == agent.KindApproval })
	s.Wait(s.Ctx, t, "withdrawal", func(e agent.Event) bool { return e.Kind == agent.KindApprovalResolved && e.ID == asked.ID })
	if err := s.Session.Answer(asked.ID, asked.Approval.Options[0].ID); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("late answer = %v", err)
	}
	if _, err := end(); err != nil {
		t.Error(err)
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ role, resume, message, details string }{
		{"dead", "", "ended with exit code 3", "the licence server is on fire"},
		{"dead", "earlier", "ended with exit code 3", "the licence server is on fire"},
		{"mute", "", "did not answer in time", ""},
	} {
		t.Run(c.role+c.resume, func(t *testing.T) {
			t.Parallel()
			target := own(t, c.role)
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			if c.role == "mute" {
				cancel()
				ctx, cancel = context.WithTimeout(context.Background(), 500*time.Millisecond)
			}
			defer cancel()
			dir := t.TempDir()
			_, err := target.Driver.Open(ctx, agent.OpenOptions{Agent: target.Config, Dir: dir, Env: target.Env(t, dir, dir), Resume: c.resume, Sink: func(agent.Event) {}})
			e := api.AsError(err)
			if e == nil || e.Code != api.CodeAgentFailed || !strings.Contains(e.Message, c.message) || !strings.Contains(e.Details, c.details) {
				t.Fatalf("open = %+v; want %q, %q", e, c.message, c.details)
			}
		})
	}
	t.Run("no such program", func(t *testing.T) {
		t.Parallel()
		_, err := claude.New(nil).Open(context.Background(), agent.OpenOptions{Agent: agent.Config{Name: "X", Path: "/nowhere/x"}, Dir: t.TempDir(), Sink: func(agent.Event) {}})
		if api.CodeOf(err) != api.CodeAgentFailed {
			t.Errorf("open = %v", err)
		}
	})
}

// What the agent refuses for itself, the driver allows, and says so.
func TestFullAccessWithoutBypassing(t *testing.T) {
	t.Parallel()
	s := agenttest.Open(t, own(t, "root"), api.PermissionFull)
	s.Close(s.Session)
	s.Reopen(api.PermissionFull, "forgotten")
	if i := s.Session.Info(); i.Resumed || i.Resume == "" || i.Resume == "forgotten" {
		t.Errorf("info = %+v; want a fresh session", i)
	}
	if n := s.Text(agent.KindNotice); !strings.Contains(n, "root") {
		t.Errorf("notice = %q", n)
	}
}

func TestSessionIDIsThatOfInit(t *testing.T) {
	t.Parallel()
	s := agenttest.Open(t, own(t, "moves"), api.PermissionSupervised)
	before := s.Session.Info().Resume
	if _, err := s.Prompt("go"); err != nil {
		t.Fatal(err)
	}
	if got := s.Session.Info().Resume; got != "moved" || before == "" || before == got {
		t.Errorf("cursor = %q, then %q", before, got)
	}
}

func TestTurnEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role, message string
		code          api.Code
		stop          agent.StopReason
		gone          bool
	}{
		{"fails", "quota used up", api.CodeAgentFailed, "", false},
		{"limit", "error_max_turns", api.CodeAgentFailed, "", false},
		{"signin", "is not signed in", api.CodeAgentSignIn, "", false},
		{"refuses", "", "", agent.StopRefusal, false},
		{"exits", "ended with exit code 9", api.CodeAgentFailed, "", true},
		{"deaf", "stopped reading", api.CodeAgentFailed, "", true},
	} {
		t.Run(c.role, func(t *testing.T) {
			t.Parallel()
			target := own(t, c.role)
			target.Config.SignIn = "fake auth login"
			if c.role == "deaf" {
				d := claude.New(nil)
				d.SetWriteTimeout(200 * time.Millisecond)
				target.Driver = d
			}
			s := agenttest.Open(t, target, api.PermissionSupervised)
			stop, err := s.Prompt(strings.Repeat("x", 1<<20))
			e := api.AsError(err)
			if stop != c.stop || (e == nil) != (c.code == "") || e != nil && (e.Code != c.code || !strings.Contains(e.Message, c.message)) {
				t.Fatalf("prompt = %q, %+v", stop, e)
			}
			if c.role == "signin" && (!strings.Contains(e.Hint, "fake auth login") || s.Text(agent.KindMessage) != "") {
				t.Errorf("hint = %q, text = %q", e.Hint, s.Text(agent.KindMessage))
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
		if text := s.Text(agent.KindMessage); !strings.Contains(text, `"interrupt":true`) {
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
	t.Run("an abandoned turn does not end the next one", func(t *testing.T) {
		t.Parallel()
		s := agenttest.Open(t, own(t, "works"), api.PermissionSupervised)
		ctx, cancel := context.WithCancel(s.Ctx)
		cancelled := make(chan error, 1)
		session := s.Session
		go func() { _, err := session.Prompt(ctx, agent.Input{Text: "stream"}); cancelled <- err }()
		s.Wait(s.Ctx, t, "text", func(e agent.Event) bool { return e.Kind == agent.KindMessage })
		cancel()
		if err := <-cancelled; api.CodeOf(err) != api.CodeCancelled {
			t.Fatalf("prompt = %v", err)
		}
		if err := s.Session.Interrupt(s.Ctx); err != nil {
			t.Fatal(err)
		}
		s.AnswerAll("allow_once")
		if stop, err := s.Prompt("work"); err != nil || stop != agent.StopEndTurn || !s.Exists("made.txt") {
			t.Errorf("prompt = %q, %v", stop, err)
		}
	})
}
