package form

import (
	"encoding/json"
	"testing"

	"catamaran/internal/api"
)

func js(v any) string { b, _ := json.Marshal(v); return string(b) }

const every = `{"mode":"form","message":"Your order?","requestedSchema":{"type":"object","required":["size","n"],"properties":{
	"size":{"type":"string","enum":["s","l"],"enumNames":["Small","Large"]},"n":{"type":"integer","title":"How many","description":"at least one"},
	"extra":{"type":"array","items":{"anyOf":[{"const":"a","title":"Apple"},{"const":"b"}]}},"gift":{"type":"boolean"},
	"note":{"type":"string"},"price":{"type":"number"},"odd":{"type":"hologram"},"list":{"type":"array","items":{"type":"string"}}}}}`

func TestForm(t *testing.T) {
	t.Parallel()
	q, reply := Read(json.RawMessage(every), "A shop")
	want := `[{"id":"f1","header":"size","text":"Your order?","options":[{"id":"1","label":"Small"},{"id":"2","label":"Large"}]},` +
		`{"id":"f2","text":"How many: at least one","freeText":true,"format":"integer"},` +
		`{"id":"f3","text":"extra","options":[{"id":"1","label":"Apple"},{"id":"2","label":"b"}],"multiple":true,"optional":true},` +
		`{"id":"f4","text":"gift","options":[{"id":"1","label":"Yes"},{"id":"2","label":"No"}],"optional":true},` +
		`{"id":"f5","text":"note","freeText":true,"optional":true},{"id":"f6","text":"price","freeText":true,"optional":true,"format":"number"},` +
		`{"id":"f7","text":"odd","freeText":true,"optional":true},{"id":"f8","text":"list","multiple":true,"freeText":true,"optional":true}]`
	if q.Title != "A shop asks" || js(q.Parts) != want {
		t.Errorf("%s\n%s", q.Title, js(q.Parts))
	}
	opt := func(part string, ids ...string) api.QuestionAnswerPart {
		return api.QuestionAnswerPart{PartID: part, OptionIDs: ids}
	}
	word := func(part, s string) api.QuestionAnswerPart { return api.QuestionAnswerPart{PartID: part, Text: s} }
	got := js(reply([]api.QuestionAnswerPart{opt("f1", "2"), word("f2", " 12 "), opt("f3", "1", "2"), opt("f4", "2"), word("f5", "hi"), word("f6", "+1.5"), word("f8", "x\n\ny"), opt("f99", "1")}))
	if got != `{"action":"accept","content":{"extra":["a","b"],"gift":false,"list":["x","y"],"n":12,"note":"hi","price":1.5,"size":"l"}}` {
		t.Errorf("%s", got)
	}
	for text, want := range map[string]string{"Inf": `"Inf"`, "true": `"true"`, "12345678901234567890123": "12345678901234567890123", "0x10": `"0x10"`} {
		if got := js(reply([]api.QuestionAnswerPart{word("f2", text)})); got != `{"action":"accept","content":{"n":`+want+`}}` {
			t.Errorf("%s: %s", text, got)
		}
	}
	if got := js(reply(nil)); got != `{"action":"decline"}` {
		t.Errorf("declined: %s", got)
	}
}

func TestOtherShapes(t *testing.T) {
	t.Parallel()
	yes := []api.QuestionAnswerPart{{PartID: "go", OptionIDs: []string{"accept"}}}
	for name, c := range map[string]struct{ params, part, answer string }{
		"a page":    {`{"mode":"url","message":"Sign in","url":"https://example.org/x"}`, `[{"id":"go","text":"Sign in","options":[{"id":"accept","label":"I have opened it"}],"url":"https://example.org/x"}]`, `{"action":"accept"}`},
		"a consent": {`{"mode":"form","message":"Run it?","requestedSchema":{"type":"object","properties":{}}}`, `[{"id":"go","text":"Run it?","options":[{"id":"accept","label":"Allow"}]}]`, `{"action":"accept","content":{}}`},
		"nothing":   {`null`, `[{"id":"go","text":"May it go on?","options":[{"id":"accept","label":"Allow"}]}]`, `{"action":"accept","content":{}}`},
	} {
		q, reply := Read(json.RawMessage(c.params), "It")
		if js(q.Parts) != c.part || js(reply(yes)) != c.answer {
			t.Errorf("%s: %s %s", name, js(q.Parts), js(reply(yes)))
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(every), "f1", "1", "x")
	f.Add([]byte(`{"requestedSchema":{"properties":{"a":{"enum":[1,null]},"a":7,"":{}}}}`), "f2", "9", "1e999")
	f.Fuzz(func(t *testing.T, params []byte, part, option, text string) {
		q, reply := Read(params, "It")
		if len(q.Parts) == 0 || q.Title == "" {
			t.Fatalf("nothing to answer: %+v", q)
		}
		for _, p := range q.Parts {
			if len(p.Options) == 0 && !p.FreeText {
				t.Fatalf("%+v cannot be answered", p)
			}
		}
		for _, answers := range [][]api.QuestionAnswerPart{nil, {}, {{PartID: part, OptionIDs: []string{option}}}, {{PartID: part, Text: text}}} {
			if b, err := json.Marshal(reply(answers)); err != nil || !json.Valid(b) {
				t.Fatalf("%s, %v", b, err)
			}
		}
	})
}
