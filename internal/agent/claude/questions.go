package claude

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
)

// questionnaire translates the input of AskUserQuestion: every question may also be
// answered in words. It is nil when there is nothing that can be answered.
func questionnaire(input json.RawMessage) (*api.Question, func(answers []api.QuestionAnswerPart) any) {
	q := &api.Question{State: api.ApprovalPending, Title: "Claude asks"}
	texts, labels := map[string]string{}, map[string]string{}
	for i, raw := range lenient.List(lenient.Fields(input)["questions"]) {
		f := lenient.Fields(raw)
		part := api.QuestionPart{
			ID: fmt.Sprintf("q%d", i+1), Header: lenient.Text(f["header"]), Text: lenient.Text(f["question"]),
			Multiple: lenient.True(f["multiSelect"]), FreeText: true,
		}
		if part.Text == "" {
			return nil, nil
		}
		for n, o := range lenient.List(f["options"]) {
			of := lenient.Fields(o)
			label := lenient.Or(lenient.Text(of["label"]), lenient.Text(o))
			if label == "" {
				continue
			}
			id := fmt.Sprintf("%d", n+1)
			labels[part.ID+"/"+id] = label
			part.Options = append(part.Options, api.QuestionOption{ID: id, Label: label, Description: lenient.Text(of["description"])})
		}
		texts[part.ID] = part.Text
		q.Parts = append(q.Parts, part)
	}
	if len(q.Parts) == 0 {
		return nil, nil
	}
	return q, func(given []api.QuestionAnswerPart) any {
		if given == nil {
			return decision(decline, nil, nil, unanswered)
		}
		// The agent takes its own input back with the answers by question, several as one text.
		answers := map[string]string{}
		for _, a := range given {
			var said []string
			for _, id := range a.OptionIDs {
				said = append(said, labels[a.PartID+"/"+id])
			}
			if a.Text != "" {
				said = append(said, a.Text)
			}
			if text, ok := texts[a.PartID]; ok {
				answers[text] = strings.Join(slices.DeleteFunc(said, func(s string) bool { return s == "" }), ", ")
			}
		}
		all := lenient.Fields(input)
		b, err := json.Marshal(answers)
		if err == nil {
			all["answers"] = b
			b, err = json.Marshal(all)
		}
		if err != nil {
			return decision(decline, nil, nil, unanswered)
		}
		return decision(allowOnce, b, nil, "")
	}
}

// elicitation words a tool server's request as MCP does.
func elicitation(f map[string]json.RawMessage) json.RawMessage {
	b, err := json.Marshal(map[string]json.RawMessage{
		"mode": f["mode"], "message": f["message"], "title": f["title"], "url": f["url"], "requestedSchema": f["requested_schema"],
	})
	if err != nil {
		return nil
	}
	return b
}
