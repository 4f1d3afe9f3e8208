package claude_test

import (
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/agent"
	"catamaran/internal/agent/agenttest"
	"catamaran/internal/api"
)

// The fake compares every answer with the recorded one.
func TestRecordedSession(t *testing.T) {
	t.Parallel()
	path, err := filepath.Abs("testdata/session-2.1.330.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	target := own(t, "recorded")
	target.Config.Env = []string{recordVar + "=" + path}
	s := agenttest.Open(t, target, api.PermissionSupervised)
	for _, turn := range []struct {
		prompt, kind, text, reasoning string
		asked, status                 string // kinds of what was asked; kinds and ends of the tool calls
	}{
		{"please do the tools", "allow_always", "I will run a command. Now I will edit a file. Done. I ran the command.\n", "", "execute edit", "execute completed, edit completed"},
		{"ask me", "answer", "A question. Thank you for the answer.\n", "They want to be asked. ", "Which colour?", "other completed"},
		{"ask me", "reject_once", "A question. Thank you for the answer.\n", "They want to be asked. ", "Which colour?", "other cancelled"},
		{"please do the tools", "reject_once", "I will run a command. Now I will edit a file. Done. I ran the command.\n", "", "execute edit", "execute cancelled, edit cancelled"},
		{"make a plan", "allow_once", "Planning. I write it down. My plan is ready. The plan is settled.\n", "", "plan", "think completed, edit completed, think completed"},
	} {
		from := len(s.Events())
		s.Recorder.OnApproval = func(e agent.Event) {
			want := turn.kind
			if e.Approval.Kind == "edit" && want == "allow_always" {
				want = "allow_once"
			}
			chosen := ""
			for _, o := range e.Approval.Options {
				if o.Kind == want && o.Name != "Red" {
					chosen = o.ID
				}
			}
			if err := s.Session.Answer(e.ID, chosen); err != nil {
				t.Error(err)
			}
		}
		s.Recorder.OnQuestion = func(e agent.Event) {
			// The recorded conversation chose the second of two colours.
			var answers []api.QuestionAnswerPart
			if turn.kind == "answer" {
				answers = []api.QuestionAnswerPart{{PartID: "q1", OptionIDs: []string{"2"}}}
			}
			if err := s.Session.Reply(e.ID, answers); err != nil {
				t.Error(err)
			}
		}
		if stop, err := s.Prompt(turn.prompt); err != nil || stop != agent.StopEndTurn {
			t.Fatalf("%s: prompt = %q, %v (%+v)", turn.prompt, stop, err, api.AsError(err))
		}
		one := agenttest.NewRecorder()
		var asked, order, ended []string
		for _, e := range s.Events()[from:] {
			one.Sink(e)
			switch e.Kind {
			case agent.KindApproval:
				what := e.Approval.Kind
				if what == "" {
					what = e.Approval.Title
				}
				asked = append(asked, what)
			case agent.KindQuestion:
				asked = append(asked, e.Question.Parts[0].Text)
			case agent.KindTool:
				if len(order) == 0 || !strings.Contains(strings.Join(order, " ")+" ", e.ID+" ") {
					order = append(order, e.ID)
				}
			case agent.KindUnknown:
				t.Errorf("unknown: %s", e.Raw)
			}
		}
		for _, id := range order {
			c := one.Tools()[id]
			ended = append(ended, c.Kind+" "+string(c.Status))
		}
		if got := one.Text(agent.KindMessage); got != turn.text {
			t.Errorf("%s: text = %q", turn.prompt, got)
		}
		if got := one.Text(agent.KindReasoning); got != turn.reasoning {
			t.Errorf("%s: reasoning = %q", turn.prompt, got)
		}
		if got := strings.Join(asked, " "); got != turn.asked {
			t.Errorf("%s: asked %q", turn.prompt, got)
		}
		if got := strings.Join(ended, ", "); got != turn.status {
			t.Errorf("%s: tools = %q", turn.prompt, got)
		}
	}
	if got := s.Session.Info().Resume; got != "00000000-0000-4000-8000-000000000001" {
		t.Errorf("cursor = %q", got)
	}
}
