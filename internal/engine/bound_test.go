package engine

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"catamaran/internal/api"
)

// Whatever an agent sends as its own JSON can be stored in an item.
func FuzzBoundRaw(f *testing.F) {
	for _, s := range []string{"", "{}", `{"a":1}`, "{", "\x00\xff", `"` + strings.Repeat("ä", rawMost) + `"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := json.Marshal(api.Item{Raw: boundRaw(raw)})
		if err != nil {
			t.Fatal(err)
		}
		// A control character takes six bytes as JSON.
		if len(b) > 6*rawMost+1024 {
			t.Fatalf("%d bytes of %d", len(b), len(raw))
		}
		if s := cut(clean(string(raw)), 7); len(s) > 7 || !utf8.ValidString(s) {
			t.Fatalf("cut to %q", s)
		}
	})
}

func TestBoundEdits(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 2*editMost)
	got := boundEdits([]api.FileEdit{{Path: "a", NewText: big}, {Path: "b", NewText: big}, {Path: "c", NewText: big}, {Path: "d", NewText: big}, {Path: "e", NewText: "x"}})
	if len(got) != 4 || len(got[0].NewText) != editMost {
		t.Fatalf("%d edits", len(got))
	}
}
