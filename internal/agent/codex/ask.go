package codex

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
)

// userInput asks the model's questions, a card each; the request is answered with
// the last one. A text cannot be typed into a card, so a question without options
// can only be left unanswered.
func userInput(p map[string]json.RawMessage, tool string) []question {
	answers := map[string]any{}
	var out []question
	list := lenient.List(p["questions"])
	if len(list) == 0 {
		list = []json.RawMessage{[]byte(`{}`)}
	}
	left := len(list)
	for i, raw := range list {
		f := lenient.Fields(raw)
		id := lenient.Text(f["id"])
		a := &api.Approval{State: api.ApprovalPending, Title: lenient.Or(joined(": ", lenient.Text(f["header"]), lenient.Text(f["question"])), "Codex has a question.")}
		labels := map[string]string{}
		for n, o := range lenient.List(f["options"]) {
			of := lenient.Fields(o)
			label := lenient.Or(lenient.Text(of["label"]), lenient.Text(o))
			if label == "" {
				continue
			}
			key := fmt.Sprintf("%d", n+1)
			labels[key] = label
			a.Options = append(a.Options, api.ApprovalOption{ID: key, Name: joined(": ", label, lenient.Text(of["description"])), Kind: "allow_once"})
		}
		a.Options = append(a.Options, api.ApprovalOption{ID: "none", Name: "Go on without an answer", Kind: "reject_once"})
		if len(list) > 1 {
			a.Title = fmt.Sprintf("(%d of %d) %s", i+1, len(list), a.Title)
		}
		out = append(out, question{a, tool, func(option string) any {
			given := []string{}
			if label, ok := labels[option]; ok {
				given = append(given, label)
			}
			if id != "" {
				answers[id] = object{"answers": given}
			}
			if left--; left > 0 {
				return nil
			}
			return object{"answers": answers}
		}})
	}
	return out
}

// elicitation asks what an MCP server wants to know. What needs typing cannot be
// filled in on a card: a form is offered for acceptance only where it has at most
// one field and that has a few values.
func elicitation(p map[string]json.RawMessage) question {
	text := func(name string) string { return lenient.Text(p[name]) }
	who := lenient.Or(text("serverName"), "An MCP server")
	a := &api.Approval{State: api.ApprovalPending, Title: who + " asks: " + lenient.Or(text("message"), lenient.Or(joined(": ", text("title"), text("description")), "may it go on?"))}
	contents := map[string]any{}
	add := func(id, name string, content any) {
		contents[id] = content
		a.Options = append(a.Options, api.ApprovalOption{ID: id, Name: name, Kind: "allow_once"})
	}
	schema := lenient.Fields(p["requestedSchema"])
	fields := lenient.Fields(schema["properties"])
	required := texts(schema["required"])
	switch {
	case text("mode") == "url":
		a.Title = joined(" ", a.Title, text("url"))
		add("accept", "I have opened it", nil)
	case text("mode") != "form" && text("mode") != "":
		// Of another shape than MCP's own: it can only be declined here.
	case len(fields) == 0 && len(required) == 0:
		add("accept", "Allow", object{})
	case len(fields) == 1:
		name := slices.Collect(maps.Keys(fields))[0]
		for i, v := range values(fields[name]) {
			add(fmt.Sprintf("accept-%d", i+1), v.name, object{name: v.value})
		}
	}
	a.Options = append(a.Options, api.ApprovalOption{ID: "decline", Name: "Decline", Kind: "reject_once"})
	return question{approval: a, answer: func(option string) any {
		content, ok := contents[option]
		switch {
		case ok && content == nil:
			return object{"action": "accept"}
		case ok:
			return object{"action": "accept", "content": content}
		case option == "decline":
			return object{"action": "decline"}
		}
		return object{"action": "cancel"}
	}}
}

type value struct {
	name  string
	value any
}

// values are those a field of a form may have, where they can be counted.
func values(schema json.RawMessage) []value {
	const most = 12
	f := lenient.Fields(schema)
	var out []value
	switch {
	case lenient.Text(f["type"]) == "boolean":
		return []value{{"Yes", true}, {"No", false}}
	case len(lenient.List(f["enum"])) > 0:
		names := texts(f["enumNames"])
		all := texts(f["enum"])
		for i, v := range all {
			name := v
			if len(names) == len(all) {
				name = names[i]
			}
			out = append(out, value{name, v})
		}
	default:
		for _, o := range lenient.List(f["oneOf"]) {
			of := lenient.Fields(o)
			if v := lenient.Text(of["const"]); v != "" {
				out = append(out, value{lenient.Or(lenient.Text(of["title"]), v), v})
			}
		}
	}
	if len(out) > most {
		return nil
	}
	return out
}
