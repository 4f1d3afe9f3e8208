package wsl

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// decode turns what wsl.exe wrote into text. The encoding is told from the
// content, since WSL_UTF8 is ignored by inbox builds: a byte order mark, else
// UTF-16LE when there are zero bytes or it is no UTF-8. Half a unit at the end,
// as a cut stream leaves it, is dropped.
func decode(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		return decodeUTF16(b[2:])
	case bytes.HasPrefix(b, []byte{0xef, 0xbb, 0xbf}):
		return strings.ToValidUTF8(string(b[3:]), "\ufffd")
	case bytes.IndexByte(b, 0) >= 0:
		return decodeUTF16(b)
	case utf8.Valid(trimPartialRune(b)):
		return string(trimPartialRune(b))
	}
	return decodeUTF16(b)
}

func trimPartialRune(b []byte) []byte {
	for i := 1; i <= 3 && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if c >= 0x80 && !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			return b
		}
	}
	return b
}

func decodeUTF16(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = uint16(b[2*i]) | uint16(b[2*i+1])<<8
	}
	return string(utf16.Decode(u))
}

// lines cuts at LF and takes CRs off the ends: inbox builds end lines with CR CR LF.
// A last line without an end is partial and left out of whole.
func lines(s string) (whole []string, partial string) {
	all := strings.Split(s, "\n")
	for i, l := range all {
		t := strings.TrimRight(l, "\r")
		if i == len(all)-1 && t == l {
			return whole, l
		}
		whole = append(whole, t)
	}
	return whole, ""
}

// details is output made fit to show: decoded, without control characters, capped to its end.
func details(b []byte) string {
	const limit = 4096
	s := strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, decode(b))
	if len(s) > limit {
		s = strings.ToValidUTF8(s[len(s)-limit:], "")
	}
	return strings.TrimSpace(s)
}
