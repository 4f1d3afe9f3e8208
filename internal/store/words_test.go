package store

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"catamaran/internal/api"
)

func TestWordsOfATextAreIndexed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"Hello, World!":             {"hello world", ""},
		"useState HTTPServer2 v10":  {"usestate httpserver2 v10", "state server 2 10"},
		"snake_case/path.go":        {"snake case path go", ""},
		"Grüße Ångström naïve":      {"gruße angstrom naive", ""},
		"e\u0301te\u0301":           {"ete", ""},
		"日本語の検索 test":               {"日 本 語 の 検 索 test", ""},
		"ﬁne ①":                     {"fine 1", ""},
		"한국어":                       {"한 국 어", ""},
		"":                          {"", ""},
		strings.Repeat("x", 100):    {strings.Repeat("x", wordMost), ""},
		"a\x00b\xff\xfec":           {"a b c", ""},
		`" OR 1=1 -- {place} : "x*`: {"or 1 1 place x", ""},
	} {
		whole, parts := indexed(text)
		if got := [2]string{strings.TrimSpace(whole), strings.TrimSpace(parts)}; got != want {
			// Hangul is kept decomposed.
			if text == "한국어" && len(strings.Fields(whole)) == 3 {
				continue
			}
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestWhatAQueryMeans(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"fix bug":       `{c} : "fix" * AND {c} : "bug" *`,
		`"exact Words"`: `{c} : "exact words"`,
		"foo_bar":       `{c} : "foo bar" *`,
		"検索":            `{c} : "検 索"`,
		"a":             `{c} : "a"`,
		`un"closed one`: `{c} : "un" * AND {c} : "closed one"`,
		" => ":          "",
	} {
		if got := match(terms(query), "c"); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	if n := len(terms(strings.Repeat("word ", 1000))); n != termsMost {
		t.Errorf("%d terms", n)
	}
}

func TestMatchesAreMarked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, query string
		want        []string
	}{
		{"The quick brown fox", "qui fox", []string{"qui", "fox"}},
		{"call useState and setState", "state", []string{"State", "State"}},
		{"usestate useState", "usestate", []string{"usestate", "useState"}},
		{"Grüße an alle", "grusse", nil},
		{"Grüße an alle", "GRÜß", []string{"Grüß"}},
		{"Cafe\u0301 au lait", "café", []string{"Cafe\u0301"}},
		{"これは日本語です", "日本", []string{"日本"}},
		{"one two three", `"two three"`, []string{"two three"}},
		{"one two threes", `"two three"`, nil},
		{"read.go and read_go", "read.go", []string{"read.go", "read_go"}},
		{"only one", "one missing", nil},
		{"aa ab", "a", nil},
	} {
		var got []string
		for _, s := range found(c.text, terms(c.query), marksMost) {
			got = append(got, c.text[s.start:s.end])
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q in %q:\n%s", c.query, c.text, d)
		}
	}
}

func marked(snippet string, marks []api.TextMark) []string {
	units := utf16.Encode([]rune(snippet))
	var all []string
	for _, m := range marks {
		all = append(all, string(utf16.Decode(units[m.Start:m.End])))
	}
	return all
}

func TestSnippets(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("before ", 100) + "🌊 the needle\n\n\tis here " + strings.Repeat("after ", 100)
	s, marks := snippet(long, found(long, terms("needle"), marksMost))
	if !strings.HasPrefix(s, "…before") || !strings.HasSuffix(s, "…") || !strings.Contains(s, "🌊 the needle is here after") || len(s) > snippetBytes+20 {
		t.Errorf("%q", s)
	}
	if d := cmp.Diff([]string{"needle"}, marked(s, marks)); d != "" {
		t.Error(d)
	}
	if s, marks := snippet("short one", []stretch{{6, 9}}); s != "short one" || marked(s, marks)[0] != "one" {
		t.Errorf("%q %v", s, marks)
	}
	if s, _ := snippet(strings.Repeat("日", 1000), []stretch{{1500, 1503}}); !utf8.ValidString(s) || len(s) > 2*snippetBytes {
		t.Errorf("%q", s)
	}
}

// Whatever is written and asked: no crash, words that stay within the text, and
// what the index has of a text is found in it again.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"Hello useState", "日本語 한국어 ไทย", "e\u0301 ﬁ ß İ", "\xff\x00", "a\u0301\u0301\u0301", "HTTPServer2x"} {
		f.Add(s, s)
		f.Add(s, "\""+s)
	}
	f.Fuzz(func(t *testing.T, text, query string) {
		at := 0
		words(text, func(w word) bool {
			if w.start < at || w.end <= w.start || w.end > len(text) {
				t.Fatalf("%+v after %d in %q", w, at, text)
			}
			for _, h := range w.humps {
				if h.start <= w.start || h.start >= w.end {
					t.Fatalf("%+v", w)
				}
			}
			if strings.ContainsAny(w.folded, "\" \x00*{}") {
				t.Fatalf("%q is no word", w.folded)
			}
			at = w.end
			return true
		})
		spans := found(text, terms(query), marksMost)
		for i, s := range spans {
			if s.start < 0 || s.end <= s.start || s.end > len(text) || i > 0 && s.start < spans[i-1].end {
				t.Fatalf("%v in %d bytes", spans, len(text))
			}
		}
		s, marks := snippet(text, spans)
		units := len(utf16.Encode([]rune(s)))
		for _, m := range marks {
			if m.Start < 0 || m.End <= m.Start || m.End > units {
				t.Fatalf("marks %v in %d units", marks, units)
			}
		}
	})
}
