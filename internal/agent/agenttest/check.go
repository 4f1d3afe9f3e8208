package agenttest

import (
	"encoding/json"
	"testing"

	"catamaran/internal/api"
)

// CheckApproval checks what every approval must have, whatever made it: for fuzz tests.
func CheckApproval(t *testing.T, a *api.Approval, answer func(option string) any) {
	t.Helper()
	ids := map[string]bool{}
	for _, o := range a.Options {
		if o.ID == "" || o.Name == "" || ids[o.ID] {
			t.Errorf("options %+v", a.Options)
		}
		ids[o.ID] = true
	}
	if a.Title == "" || len(ids) == 0 {
		t.Errorf("approval = %+v", a)
	}
	for _, option := range []string{"", a.Options[0].ID} {
		worded(t, answer(option))
	}
}

// CheckQuestion checks what every question must have: parts that can be answered, and
// answers that can be worded.
func CheckQuestion(t *testing.T, q *api.Question, reply func([]api.QuestionAnswerPart) any, cancelled any) {
	t.Helper()
	if q.Title == "" || len(q.Parts) == 0 {
		t.Errorf("question = %+v", q)
	}
	ids := map[string]bool{}
	var answers []api.QuestionAnswerPart
	for _, p := range q.Parts {
		if p.ID == "" || ids[p.ID] || p.Text == "" || len(p.Options) == 0 && !p.FreeText {
			t.Errorf("part %+v of %+v", p, q)
		}
		ids[p.ID] = true
		options := map[string]bool{}
		for _, o := range p.Options {
			if o.ID == "" || o.Label == "" || options[o.ID] {
				t.Errorf("options of %+v", p)
			}
			options[o.ID] = true
		}
		answers = append(answers, answerTo(p))
	}
	for _, result := range []any{cancelled, reply(nil), reply([]api.QuestionAnswerPart{}), reply(answers)} {
		worded(t, result)
	}
}

func worded(t *testing.T, result any) {
	t.Helper()
	if b, err := json.Marshal(result); err != nil || result == nil || !json.Valid(b) {
		t.Errorf("answer %v: %v", result, err)
	}
}

// answerTo answers a part with its first option, or in words.
func answerTo(p api.QuestionPart) api.QuestionAnswerPart {
	if len(p.Options) > 0 {
		return api.QuestionAnswerPart{PartID: p.ID, OptionIDs: []string{p.Options[0].ID}}
	}
	return api.QuestionAnswerPart{PartID: p.ID, Text: "7"}
}
