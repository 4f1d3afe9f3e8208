package file

import (
	"strings"
	"unicode/utf8"

	"catamaran/internal/api"
)

// The order of matches is by kind first: the whole name, its beginning, a part
// of it, a part of the path, letters of the name in order, letters of the path
// in order. Within a kind, starts of words and runs of letters count, and short
// paths before long ones.
const (
	tierName     = 1000
	tierStem     = 940
	tierPrefix   = 800
	tierPart     = 640
	tierPath     = 480
	tierLetters  = 320
	tierAnywhere = 120
)

// mask has a bit for each character of a folded string: letters and digits
// their own, the rest shared ones. A path can match only where it has all bits of the query.
func mask(s string) uint64 {
	var m uint64
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z':
			m |= 1 << (c - 'a')
		case c >= '0' && c <= '9':
			m |= 1 << (26 + c - '0')
		case c >= utf8.RuneSelf:
			m |= 1 << 36
		default:
			m |= 1 << (37 + c%27)
		}
	}
	return m
}

// score rates a folded query against a folded path; false: not all its letters are there in order.
func score(q, p string) (int32, bool) {
	length := int32(min(len(p), 240)) / 6
	if q == "" {
		return -length - 8*int32(strings.Count(p, "/")), true
	}
	name := p[strings.LastIndexByte(p, '/')+1:]
	if i := strings.Index(name, q); i >= 0 {
		switch {
		case len(q) == len(name):
			return tierName - length, true
		case i == 0 && name[len(q)] == '.' && strings.LastIndexByte(name, '.') == len(q):
			return tierStem - length, true
		case i == 0:
			return tierPrefix - length, true
		}
		return tierPart + 60*boundary(name, i) - length, true
	}
	if strings.Contains(p, q) {
		return tierPath + 60*boundary(p, strings.LastIndex(p, q)) - length, true
	}
	if s, ok := letters(q, name); ok {
		return tierLetters + s - length, true
	}
	if s, ok := letters(q, p); ok {
		return tierAnywhere + s - length, true
	}
	return 0, false
}

// boundary is 1 where a word begins at i.
func boundary(p string, i int) int32 {
	if i == 0 {
		return 1
	}
	switch p[i-1] {
	case '/', '-', '_', '.', ' ':
		return 1
	}
	return 0
}

// letters rates q as a subsequence of p, -100 to 150: each letter at the start
// of a word or next to the one before counts, gaps cost. It takes the letters
// as late as they can be, which prefers the end of a path.
func letters(q, p string) (int32, bool) {
	i := len(q)
	s, next, gaps := int32(0), -1, int32(0)
	for at := len(p); i > 0; {
		n := 1
		if c := q[i-1]; c < utf8.RuneSelf {
			// The loop that all of a find's time goes into.
			for at--; at >= 0 && p[at] != c; at-- {
			}
		} else {
			n = lastUnit(q[:i])
			at = strings.LastIndex(p[:at], q[i-n:i])
		}
		if at < 0 {
			return 0, false
		}
		if boundary(p, at) == 1 {
			s += 24
		}
		if next >= 0 {
			if gap := next - (at + n); gap == 0 {
				s += 16
			} else {
				gaps += int32(min(gap, 10))
			}
		}
		next = at
		i -= n
	}
	units := int32(utf8.RuneCountInString(q))
	return max(min(s*6/(units+1), 150)-min(2*gaps, 100), -100), true
}

// lastUnit is the length of a string's last character.
func lastUnit(s string) int {
	if s[len(s)-1] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeLastRuneInString(s)
	return n
}

// span is a range of bytes.
type span struct{ start, end int }

// spans are where q matches p, in the way that score liked best.
func spans(q, p string) []span {
	if q == "" {
		return nil
	}
	base := strings.LastIndexByte(p, '/') + 1
	if i := strings.Index(p[base:], q); i >= 0 {
		return []span{{base + i, base + i + len(q)}}
	}
	if i := strings.LastIndex(p, q); i >= 0 {
		return []span{{i, i + len(q)}}
	}
	if s := letterSpans(q, p[base:]); s != nil {
		for i := range s {
			s[i].start += base
			s[i].end += base
		}
		return s
	}
	return letterSpans(q, p)
}

func letterSpans(q, p string) []span {
	var back []span
	at := len(p)
	for i := len(q); i > 0; {
		n := lastUnit(q[:i])
		at = strings.LastIndex(p[:at], q[i-n:i])
		if at < 0 {
			return nil
		}
		if k := len(back) - 1; k >= 0 && back[k].start == at+n {
			back[k].start = at
		} else {
			back = append(back, span{at, at + n})
		}
		i -= n
	}
	for i, j := 0, len(back)-1; i < j; i, j = i+1, j-1 {
		back[i], back[j] = back[j], back[i]
	}
	return back
}

// marks counts spans of bytes in UTF-16 code units, which is how the page counts.
func marks(s string, spans []span) []api.TextMark {
	out := make([]api.TextMark, 0, len(spans))
	at, units := 0, 0
	to := func(byteAt int) int {
		for at < byteAt && at < len(s) {
			r, n := utf8.DecodeRuneInString(s[at:])
			at += n
			units++
			if r > 0xFFFF {
				units++
			}
		}
		return units
	}
	for _, sp := range spans {
		start := to(sp.start)
		out = append(out, api.TextMark{Start: start, End: to(sp.end)})
	}
	return out
}
