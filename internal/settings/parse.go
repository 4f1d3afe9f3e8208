package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"catamaran/internal/api"
)

// values is settings.json as read.
type values struct {
	known map[string]json.RawMessage // what is used
	all   map[string]json.RawMessage // with what is kept unused
	// damaged says that the file as a whole was not understood.
	damaged  bool
	problems []api.SettingsProblem
}

// keys is keys.json as read.
type keys struct {
	rows     []api.KeyBinding
	bad      []json.RawMessage
	damaged  bool
	problems []api.SettingsProblem
}

// clean takes away what editors of other systems put before the text.
func clean(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) }

func whole(file string, b []byte, err error) api.SettingsProblem {
	p := api.SettingsProblem{File: file, Message: "The file is not valid JSON and is not used."}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		p.Line = lineAt(b, syntax.Offset)
		p.Message = fmt.Sprintf("The file is not valid JSON and is not used: %s.", syntax.Error())
	}
	return p
}

func lineAt(b []byte, offset int64) int {
	return 1 + bytes.Count(b[:min(int(offset), len(b))], []byte("\n"))
}

func parseValues(b []byte) values {
	b = clean(b)
	if len(bytes.TrimSpace(b)) == 0 {
		return values{}
	}
	if len(b) > maxFile {
		return values{damaged: true, problems: []api.SettingsProblem{{File: ValuesFile, Message: "The file is too large and is not used."}}}
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return values{damaged: true, problems: []api.SettingsProblem{whole(ValuesFile, b, err)}}
	}
	v := values{all: all, known: map[string]json.RawMessage{}}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := checkValue(name, all[name]); err != nil || len(v.known) >= maxNames {
			message := "Too many settings; this one is not used."
			if e := api.AsError(err); e != nil {
				message = e.Message
			}
			v.problems = append(v.problems, api.SettingsProblem{File: ValuesFile, Message: message})
			continue
		}
		if !isNull(all[name]) {
			v.known[name] = all[name]
		}
	}
	return v
}

func parseKeys(b []byte) keys {
	b = clean(b)
	if len(bytes.TrimSpace(b)) == 0 {
		return keys{}
	}
	if len(b) > maxFile {
		return keys{damaged: true, problems: []api.SettingsProblem{{File: KeysFile, Message: "The file is too large and is not used."}}}
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		p := whole(KeysFile, b, err)
		if err == nil {
			p.Message = "The file is not a list of key bindings and is not used."
		}
		return keys{damaged: true, problems: []api.SettingsProblem{p}}
	}
	var k keys
	for dec.More() {
		// The offset is behind the last value: the row begins at the next character that is not a comma or a blank.
		at := dec.InputOffset()
		for at < int64(len(b)) && strings.IndexByte(", \t\r\n", b[at]) >= 0 {
			at++
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return keys{damaged: true, problems: []api.SettingsProblem{whole(KeysFile, b, err)}}
		}
		row, why := parseRow(raw)
		if why == "" && len(k.rows) >= maxRows {
			why = "there are too many"
		}
		if why == "" {
			k.rows = append(k.rows, row)
			continue
		}
		k.bad = append(k.bad, raw)
		k.problems = append(k.problems, api.SettingsProblem{File: KeysFile, Line: lineAt(b, at), Message: fmt.Sprintf("This row is not used: %s.", why)})
	}
	if _, err := dec.Token(); err != nil {
		return keys{damaged: true, problems: []api.SettingsProblem{whole(KeysFile, b, err)}}
	}
	return k
}

func parseRow(raw json.RawMessage) (api.KeyBinding, string) {
	var r api.KeyBinding
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return r, "it has no field " + name
		}
		var t *json.UnmarshalTypeError
		if errors.As(err, &t) && t.Field != "" {
			return r, fmt.Sprintf("%q is not a text", t.Field)
		}
		return r, "it is not an object with key and command"
	}
	if !utf8.ValidString(r.Key + r.Command + r.When) {
		return r, "it is not valid text"
	}
	return r, rowProblem(r)
}
