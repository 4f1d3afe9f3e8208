package proc

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func itoa(n int) string { return strconv.Itoa(n) }

func utf16le(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteByte(byte(r))
		b.WriteByte(byte(r >> 8))
	}
	return b.String()
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"plain", "a\tb\n", "a\tb\n"},
		{"line ends", "a\r\nb\rc", "a\nb\nc"},
		{"colours", "\x1b[1;31mred\x1b[0m", "red"},
		{"title", "\x1b]0;title\x07text", "text"},
		{"title ended by ST", "\x1b]0;title\x1b\\text", "text"},
		{"unfinished title", "\x1b]0;title\nnext", "\nnext"},
		{"lone escape", "a\x1b", "a"},
		{"unfinished sequence", "\x1b[12\nnext", "\nnext"},
		{"controls", "a\x00b\x07c\x7f\u0085d and on", "abcd and on"},
		{"reordering", "a\u202eb\u2066c", "abc"},
		{"not UTF-8", "a\xffb", "a\ufffdb"},
		{"UTF-8", "Grüße", "Grüße"},
		{"UTF-16LE", utf16le("wsl: Fehler: Zugriff für Gäste\r\n"), "wsl: Fehler: Zugriff für Gäste\n"},
		{"UTF-16LE with BOM", utf16le("\ufeffabc"), "abc"},
		{"one NUL", "a long line with one\x00 NUL in it", "a long line with one NUL in it"},
		{"empty", "", ""},
	} {
		if got := Text([]byte(c.in)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	for limit := 1; limit < 9; limit++ {
		for piece := 1; piece < 12; piece++ {
			ring := &tail{limit: limit}
			text := "abcdefghijklmnopqrstuvwxyz"
			for at := 0; at < len(text); at += piece {
				ring.add([]byte(text[at:min(at+piece, len(text))]))
			}
			if got := ring.text(); got != text[len(text)-limit:] {
				t.Errorf("limit %d in pieces of %d: %q", limit, piece, got)
			}
		}
	}
	for _, limit := range []int{20, 21} {
		for _, piece := range []int{1, 3, 7, 100} {
			ring := &tail{limit: limit}
			text := utf16le("first line, second line")
			for at := 0; at < len(text); at += piece {
				ring.add([]byte(text[at:min(at+piece, len(text))]))
			}
			if got := ring.text(); got != "econd line" {
				t.Errorf("UTF-16LE, limit %d in pieces of %d: %q", limit, piece, got)
			}
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"a\x1b[31mb\r\n", "\x1b]0;x\x07", utf16le("wsl: warning"), "\xff\xfe\x00", "\x1b["} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got := Text(in)
		if !utf8.ValidString(got) {
			t.Fatalf("%q gives %q", in, got)
		}
		if strings.ContainsAny(got, "\x00\x07\x1b\r\u202e") {
			t.Fatalf("%q gives %q", in, got)
		}
	})
}
