package engine

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"catamaran/internal/api"
)

const (
	// rawMost bounds the agent's own JSON in an item, editMost the texts of one announced edit.
	rawMost  = 256 << 10
	editMost = 256 << 10
)

// clean makes text valid UTF-8: offsets of deltas count its bytes on both sides.
func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// boundRaw keeps an agent's JSON storable: what is not JSON becomes a string, what is too big its beginning.
func boundRaw(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return nil
	}
	if len(raw) <= rawMost && json.Valid(raw) {
		return raw
	}
	b, err := json.Marshal(cut(clean(string(raw)), rawMost))
	if err != nil {
		return nil
	}
	return b
}

func boundEdits(edits []api.FileEdit) []api.FileEdit {
	var all []api.FileEdit
	total := 0
	for _, ed := range edits {
		ed.OldText, ed.NewText = cut(clean(ed.OldText), editMost), cut(clean(ed.NewText), editMost)
		if total += len(ed.OldText) + len(ed.NewText); total > 4*editMost {
			break
		}
		all = append(all, ed)
	}
	return all
}
