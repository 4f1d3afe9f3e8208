package codex

import (
	"encoding/json"
	"fmt"

	"catamaran/internal/agent/form"
	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
)

// userInput asks the model's questions. Codex takes labels and words alike; a question
// that is not answered gets an empty list.
func userInput(p map[string]json.RawMessage, tool string) *request {
	q := &api.Question{State: api.ApprovalPending, Title: "Codex asks"}
	type asked struct {
		id     string
		labels map[string]string
	}
	known := map[string]asked{}
	list := lenient.List(p["questions"])
	if len(list) == 0 {
		list = []json.RawMessage{[]byte(`{}`)}
	}
	for i, raw := range list {
		f := lenient.Fields(raw)
		part := api.QuestionPart{
			ID: fmt.Sprintf("q%d", i+1), Header: lenient.Text(f["header"]), Text: lenient.Or(lenient.Text(f["question"]), "Codex has a question."),
			Secret: lenient.True(f["isSecret"]), FreeText: lenient.True(f["isOther"]),
		}
		a := asked{id: lenient.Text(f["id"]), labels: map[string]string{}}
		for n, o := range lenient.List(f["options"]) {
			of := lenient.Fields(o)
			label := lenient.Or(lenient.Text(of["label"]), lenient.Text(o))
			if label == "" {
				continue
			}
			key := fmt.Sprint(n + 1)
			a.labels[key] = label
			part.Options = append(part.Options, api.QuestionOption{ID: key, Label: label, Description: lenient.Text(of["description"])})
		}
		part.FreeText = part.FreeText || len(part.Options) == 0
		known[part.ID] = a
		q.Parts = append(q.Parts, part)
	}
	reply := func(answers []api.QuestionAnswerPart) any {
		all := object{}
		for _, a := range known {
			if a.id != "" {
				all[a.id] = object{"answers": []string{}}
			}
		}
		for _, given := range answers {
			a, ok := known[given.PartID]
			if !ok || a.id == "" {
				continue
			}
			said := []string{}
			for _, id := range given.OptionIDs {
				said = append(said, a.labels[id])
			}
			if given.Text != "" {
				said = append(said, given.Text)
			}
			all[a.id] = object{"answers": said}
		}
		return object{"answers": all}
	}
	return &request{question: q, toolID: tool, reply: reply, answer: func(string) any { return reply(nil) }}
}

// elicitation asks what an MCP server wants to know.
func elicitation(params json.RawMessage) *request {
	q, reply := form.Read(params, lenient.Or(lenient.Text(lenient.Fields(params)["serverName"]), "A tool server"))
	return &request{question: q, reply: reply, answer: func(string) any { return form.Cancelled() }}
}
