package store

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// wordMost bounds an indexed word, in bytes: what is longer is no word that anybody types.
const wordMost = 64

// wordsVersion counts changes of how text becomes words; another one builds the index anew.
const wordsVersion = 1

// word is a run of letters and digits of a text, folded: lower case, without
// accents. In scripts that put no spaces between words each letter is one.
type word struct {
	start, end int // bytes of the text
	folded     string
	// humps are the later parts of a compound ("State" of "useState"), folded, with their first byte.
	humps []hump
}

type hump struct {
	start  int
	folded string
}

// Scripts that are written without spaces between words, and Hangul, where
// particles are joined to words.
var unspaced = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul,
	unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar}

// words calls yield for each word of text until it returns false.
func words(text string, yield func(word) bool) {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		if !letter(r) {
			at += size
			continue
		}
		start := at
		at += size
		if single(r) {
			at = marks(text, at)
			if !yield(word{start: start, end: at, folded: fold(text[start:at])}) {
				return
			}
			continue
		}
		for at < len(text) {
			r, size := utf8.DecodeRuneInString(text[at:])
			if !letter(r) && !unicode.Is(unicode.Mn, r) || single(r) {
				break
			}
			at += size
		}
		if !yield(compound(text, start, at)) {
			return
		}
	}
}

func marks(text string, at int) int {
	for at < len(text) {
		r, size := utf8.DecodeRuneInString(text[at:])
		if !unicode.Is(unicode.Mn, r) {
			break
		}
		at += size
	}
	return at
}

func letter(r rune) bool {
	if r < utf8.RuneSelf {
		return r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r)
}

func single(r rune) bool { return r >= 0x0e00 && unicode.In(r, unspaced...) }

func compound(text string, start, end int) word {
	w := word{start: start, end: end, folded: fold(text[start:end])}
	// A hump begins at an upper-case letter after another kind, at the last
	// upper-case letter before a lower-case one, and where digits begin.
	raw := text[start:end]
	var at []int
	var before rune
	last := -1 // byte of the rune before
	for i, r := range raw {
		switch {
		case i == 0:
		case unicode.IsUpper(r) && !unicode.IsUpper(before), unicode.IsDigit(r) && !unicode.IsDigit(before):
			at = append(at, i)
		case unicode.IsLower(r) && unicode.IsUpper(before) && last > 0 && (len(at) == 0 || at[len(at)-1] != last):
			at = append(at, last)
		}
		before, last = r, i
	}
	for n, i := range at {
		to := len(raw)
		if n+1 < len(at) {
			to = at[n+1]
		}
		w.humps = append(w.humps, hump{start + i, fold(raw[i:to])})
	}
	return w
}

func fold(s string) string {
	plain := true
	for i := range len(s) {
		plain = plain && s[i] < utf8.RuneSelf
	}
	if plain {
		s = strings.ToLower(s)
	} else {
		s = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Mn, r) {
				return -1
			}
			return unicode.ToLower(r)
		}, norm.NFKD.String(s))
		// A decomposition may hold what would end a word.
		s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return !letter(r) }), "")
	}
	return cutWord(s)
}

func cutWord(s string) string {
	if len(s) <= wordMost {
		return s
	}
	n := wordMost
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// indexed makes the two columns of the index of a text.
func indexed(text string) (whole, parts string) {
	var w, p strings.Builder
	words(text, func(x word) bool {
		if x.folded == "" {
			return true
		}
		w.WriteString(x.folded)
		w.WriteByte(' ')
		for _, h := range x.humps {
			if h.folded != "" {
				p.WriteString(h.folded)
				p.WriteByte(' ')
			}
		}
		return true
	})
	return w.String(), p.String()
}

// term is what a query asks for: words in a row, the last one as a beginning unless exact.
type term struct {
	words []string
	exact bool
}

const (
	queryMost = 1000 // bytes
	termsMost = 16
)

// terms reads a query: words that must all be there, and phrases in quotes.
func terms(query string) []term {
	if len(query) > queryMost {
		query = strings.ToValidUTF8(query[:queryMost], "")
	}
	var all []term
	for i, part := range strings.Split(query, `"`) {
		quoted := i%2 == 1
		pieces := []string{part}
		if !quoted {
			pieces = strings.Fields(part)
		}
		for _, piece := range pieces {
			t := term{exact: quoted}
			words(piece, func(w word) bool {
				if w.folded != "" {
					t.words = append(t.words, w.folded)
				}
				return len(t.words) < termsMost
			})
			if len(t.words) > 0 && len(all) < termsMost {
				all = append(all, t)
			}
		}
	}
	return all
}

// match is the terms as the index is asked; columns hold the text.
func match(all []term, columns string) string {
	var b strings.Builder
	for i, t := range all {
		if i > 0 {
			b.WriteString(" AND ")
		}
		// Words hold letters and digits only: nothing in them ends the quotes.
		b.WriteString("{" + columns + `} : "` + strings.Join(t.words, " ") + `"`)
		if !t.exact && beginning(t.words[len(t.words)-1]) {
			b.WriteString(" *")
		}
	}
	return b.String()
}

// beginning reports whether a word stands for all that begin with it: one letter would stand for too many.
func beginning(w string) bool { return utf8.RuneCountInString(w) > 1 }

// stretch is a part of a text, in bytes.
type stretch struct{ start, end int }

// found returns where the terms are in a text, in order, without overlaps; nil unless all are.
func found(text string, all []term, most int) []stretch {
	var ws []word
	words(text, func(w word) bool {
		if w.folded != "" {
			ws = append(ws, w)
		}
		return true
	})
	var spans []stretch
	for _, t := range all {
		n := 0
		for i := range ws {
			if s, ok := t.at(text, ws, i); ok {
				if n++; n <= most {
					spans = append(spans, s)
				}
			}
		}
		if n == 0 {
			return nil
		}
	}
	return merged(spans, most)
}

// at tells what the term covers of the text from word i on.
func (t term) at(text string, ws []word, i int) (stretch, bool) {
	last := len(t.words) - 1
	if i+last >= len(ws) {
		return stretch{}, false
	}
	for k, want := range t.words[:last] {
		if ws[i+k].folded != want {
			return stretch{}, false
		}
	}
	end := ws[i+last]
	if n, ok := t.covers(end.folded, t.words[last]); ok {
		return stretch{ws[i].start, end.start + coveredBytes(text[end.start:end.end], n)}, true
	}
	if last == 0 {
		for k, h := range end.humps {
			to := end.end
			if k+1 < len(end.humps) {
				to = end.humps[k+1].start
			}
			if n, ok := t.covers(h.folded, t.words[0]); ok {
				return stretch{h.start, h.start + coveredBytes(text[h.start:to], n)}, true
			}
		}
	}
	return stretch{}, false
}

// covers tells how many bytes of a folded word a wanted one covers.
func (t term) covers(have, want string) (int, bool) {
	if have == want {
		return len(have), true
	}
	return len(want), !t.exact && beginning(want) && strings.HasPrefix(have, want)
}

// coveredBytes is how much of raw makes n bytes when folded, to the end of a character.
func coveredBytes(raw string, n int) int {
	made := 0
	for i, r := range raw {
		if made >= n && !unicode.Is(unicode.Mn, r) {
			return i
		}
		if r < utf8.RuneSelf {
			made++
		} else {
			made += len(fold(string(r)))
		}
	}
	return len(raw)
}
