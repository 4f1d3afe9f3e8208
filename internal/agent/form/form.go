// Package form reads what agents and their tool servers want to know from a person
// by MCP's elicitation, which ACP and Codex pass on, and words the answer. It does no
// I/O; the drivers use it.
//
// Invariants: a field of a kind that is not known becomes one for words, so that
// everything can be answered; what is answered has the type its field asks for.
package form

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"catamaran/internal/agent/lenient"
	"catamaran/internal/api"
)

const (
	// fieldsMost and valuesMost bound what is shown of a form.
	fieldsMost = 50
	valuesMost = 200
)

type object = map[string]any

// Cancelled is the answer where the turn ends before a person answers.
func Cancelled() any { return object{"action": "cancel"} }

// field is one field of a form and how its answer is worded.
type field struct {
	name   string
	kind   string // array, boolean, number, integer, "" for text
	values map[string]any
}

// Read translates the params of an elicitation. who asks, for people. reply makes the
// call's result of a person's answers; nil declines.
func Read(params json.RawMessage, who string) (q *api.Question, reply func(answers []api.QuestionAnswerPart) any) {
	p := lenient.Fields(params)
	text := func(name string) string { return lenient.Text(p[name]) }
	message := lenient.Or(text("message"), lenient.Or(text("description"), "May it go on?"))
	q = &api.Question{State: api.ApprovalPending, Title: lenient.Or(text("title"), who+" asks")}
	schema := lenient.Fields(p["requestedSchema"])
	fields := Members(schema["properties"])
	switch {
	case text("mode") == "url":
		q.Parts = []api.QuestionPart{{ID: "go", Text: message, URL: text("url"), Options: []api.QuestionOption{{ID: "accept", Label: "I have opened it"}}}}
		return q, func(answers []api.QuestionAnswerPart) any { return result(answers, nil) }
	case len(fields) == 0:
		q.Parts = []api.QuestionPart{{ID: "go", Text: message, Options: []api.QuestionOption{{ID: "accept", Label: "Allow"}}}}
		return q, func(answers []api.QuestionAnswerPart) any { return result(answers, object{}) }
	}
	required := texts(schema["required"])
	known := map[string]field{}
	for i, m := range fields[:min(len(fields), fieldsMost)] {
		part, f := read(fmt.Sprintf("f%d", i+1), m)
		part.Optional = !slices.Contains(required, m.Name)
		if i == 0 && message != "" {
			part.Header, part.Text = part.Text, message
		}
		known[part.ID] = f
		q.Parts = append(q.Parts, part)
	}
	return q, func(answers []api.QuestionAnswerPart) any {
		content := object{}
		for _, a := range answers {
			if f, ok := known[a.PartID]; ok {
				if v := f.value(a); v != nil {
					content[f.name] = v
				}
			}
		}
		return result(answers, content)
	}
}

func result(answers []api.QuestionAnswerPart, content object) any {
	switch {
	case answers == nil:
		return object{"action": "decline"}
	case content == nil:
		return object{"action": "accept"}
	}
	return object{"action": "accept", "content": content}
}

// read translates one field.
func read(id string, m Member) (api.QuestionPart, field) {
	s := lenient.Fields(m.Value)
	f := field{name: m.Name, values: map[string]any{}}
	part := api.QuestionPart{ID: id, Text: lenient.Or(lenient.Text(s["title"]), m.Name)}
	if d := lenient.Text(s["description"]); d != "" {
		part.Text += ": " + d
	}
	add := func(label string, value any) {
		if len(part.Options) < valuesMost {
			key := strconv.Itoa(len(part.Options) + 1)
			part.Options = append(part.Options, api.QuestionOption{ID: key, Label: label})
			f.values[key] = value
		}
	}
	kind := lenient.Text(s["type"])
	from := s
	if kind == "array" {
		f.kind, part.Multiple = kind, true
		from = lenient.Fields(s["items"])
	}
	switch {
	case kind == "boolean":
		f.kind = kind
		add("Yes", true)
		add("No", false)
	case from["enum"] != nil:
		names, all := texts(from["enumNames"]), texts(from["enum"])
		for i, v := range all {
			label := v
			if len(names) == len(all) {
				label = names[i]
			}
			add(label, v)
		}
	default:
		for _, o := range append(lenient.List(from["oneOf"]), lenient.List(from["anyOf"])...) {
			of := lenient.Fields(o)
			if v := lenient.Text(of["const"]); v != "" {
				add(lenient.Or(lenient.Text(of["title"]), v), v)
			}
		}
	}
	if len(part.Options) == 0 {
		part.FreeText = true
		part.Secret = lenient.Text(s["format"]) == "password"
		if kind == "number" || kind == "integer" {
			f.kind, part.Format = kind, kind
		}
	}
	return part, f
}

// value words an answer; nil where there is none.
func (f field) value(a api.QuestionAnswerPart) any {
	if f.kind == "array" {
		all := []any{}
		for _, id := range a.OptionIDs {
			all = append(all, f.values[id])
		}
		for line := range strings.Lines(a.Text) {
			if line = strings.TrimSpace(line); line != "" {
				all = append(all, line)
			}
		}
		return all
	}
	if len(a.OptionIDs) > 0 {
		return f.values[a.OptionIDs[0]]
	}
	switch f.kind {
	case "number", "integer":
		text := strings.TrimSpace(a.Text)
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
			break
		}
		if json.Valid([]byte(text)) { // as it was written: digits beyond a float's are kept
			return json.Number(text)
		}
		return n
	}
	return a.Text
}

// Member is a member of an object.
type Member struct {
	Name  string
	Value json.RawMessage
}

// Members are the members of an object in the order they are written, which is the
// order a form is meant to have; nil for anything else.
func Members(raw json.RawMessage) []Member {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	var all []Member
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		var v json.RawMessage
		if err != nil || !ok || dec.Decode(&v) != nil {
			return all
		}
		all = append(all, Member{name, v})
	}
	return all
}

func texts(raw json.RawMessage) []string {
	var out []string
	for _, e := range lenient.List(raw) {
		if s := lenient.Text(e); s != "" {
			out = append(out, s)
		}
	}
	return out
}
