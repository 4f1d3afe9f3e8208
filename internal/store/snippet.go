package store

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"catamaran/internal/api"
)

const (
	snippetBefore = 60  // bytes before the first match
	snippetBytes  = 240 // of a snippet, about
	marksMost     = 20
)

func merged(spans []stretch, most int) []stretch {
	slices.SortFunc(spans, func(a, b stretch) int { return cmp.Or(a.start-b.start, b.end-a.end) })
	var all []stretch
	for _, s := range spans {
		if n := len(all); n > 0 && s.start < all[n-1].end {
			all[n-1].end = max(all[n-1].end, s.end)
			continue
		}
		if len(all) == most {
			break
		}
		all = append(all, s)
	}
	return all
}

// snippet is the text around the first of the spans, on one line, and where they are in it.
func snippet(text string, spans []stretch) (string, []api.TextMark) {
	from := 0
	if len(spans) > 0 {
		from = wordStart(text, spans[0].start-snippetBefore, spans[0].start)
	}
	to := wordEnd(text, from+snippetBytes)
	if len(spans) > 0 {
		to = max(to, min(spans[0].end, from+2*snippetBytes))
		for to < len(text) && !utf8.RuneStart(text[to]) {
			to--
		}
	}
	var b strings.Builder
	units := 0
	write := func(s string) {
		b.WriteString(s)
		for _, r := range s {
			units += utf16Len(r)
		}
	}
	if from > 0 {
		write("…")
	}
	marks := []api.TextMark{}
	at, space := from, true
	put := func(until int) {
		for _, r := range text[at:until] {
			if unicode.IsSpace(r) || unicode.IsControl(r) {
				if !space {
					write(" ")
				}
				space = true
				continue
			}
			write(string(r))
			space = false
		}
		at = until
	}
	for _, s := range spans {
		if s.start < from || s.end > to {
			continue
		}
		put(s.start)
		start := units
		put(s.end)
		marks = append(marks, api.TextMark{Start: start, End: units})
	}
	put(to)
	if to < len(text) {
		write("…")
	}
	return b.String(), marks
}

func utf16Len(r rune) int {
	if r >= 0x10000 {
		return 2
	}
	return 1
}

// wordStart is the beginning of the word at about n, not after most.
func wordStart(text string, n, most int) int {
	if n <= 0 {
		return 0
	}
	for i := n; i < most; i++ {
		if text[i] == ' ' || text[i] == '\n' {
			return i + 1
		}
	}
	for n < most && !utf8.RuneStart(text[n]) {
		n++
	}
	return n
}

// wordEnd is the end of the word at about n.
func wordEnd(text string, n int) int {
	if n >= len(text) {
		return len(text)
	}
	for i := n; i > n-40 && i > 0; i-- {
		if text[i] == ' ' || text[i] == '\n' {
			return i
		}
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return n
}
