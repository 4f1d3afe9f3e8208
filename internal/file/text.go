package file

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Encodings, as FileView names them.
const (
	utf8Plain   = "utf-8"
	utf8Mark    = "utf-8-bom"
	utf16Little = "utf-16le"
	utf16Big    = "utf-16be"
	windows1252 = "windows-1252"
)

// encodingOf tells a text's encoding by its beginning; "" is no text. more says
// that the file goes on, so that the last character may be cut.
func encodingOf(head []byte, more bool) string {
	switch {
	case bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")):
		return utf8Mark
	case bytes.HasPrefix(head, []byte("\xFF\xFE")) && !bytes.HasPrefix(head, []byte("\xFF\xFE\x00\x00")):
		return utf16Little
	case bytes.HasPrefix(head, []byte("\xFE\xFF")):
		return utf16Big
	case bytes.IndexByte(head, 0) >= 0:
		return ""
	}
	whole := head
	if more {
		whole = head[:wholeRunes(head)]
	}
	if utf8.Valid(whole) {
		return utf8Plain
	}
	// Any byte is a character in the old encodings of Windows; control characters tell data from text.
	for _, b := range head {
		if b < ' ' && !strings.ContainsRune("\t\n\r\f\x1b", rune(b)) {
			return ""
		}
	}
	return windows1252
}

// wholeRunes is the length of b without a character that its end cuts.
func wholeRunes(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-n:]) {
				return len(b) - n
			}
			break
		}
	}
	return len(b)
}

// cutText is where a piece of text that goes on is best cut: behind its last
// line end, else behind its last whole character.
func cutText(b []byte, encoding string) int {
	switch encoding {
	case utf16Little, utf16Big:
		order := orderOf(encoding)
		for i := len(b) - 2; i >= 0; i -= 2 {
			if order.Uint16(b[i:]) == '\n' {
				return i + 2
			}
		}
		if n := len(b); n >= 4 && utf16.IsSurrogate(rune(order.Uint16(b[n-2:]))) && order.Uint16(b[n-2:]) < 0xDC00 {
			return n - 2
		}
		return len(b)
	}
	if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	if encoding == windows1252 {
		return len(b)
	}
	if n := wholeRunes(b); n > 0 {
		return n
	}
	return len(b)
}

func orderOf(encoding string) binary.ByteOrder {
	if encoding == utf16Big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// decode makes UTF-8 of a piece of text; the mark at a file's beginning goes.
func decode(b []byte, encoding string, beginning bool) string {
	switch encoding {
	case utf16Little, utf16Big:
		order := orderOf(encoding)
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = order.Uint16(b[2*i:])
		}
		if beginning && len(units) > 0 && units[0] == 0xFEFF {
			units = units[1:]
		}
		return string(utf16.Decode(units))
	case windows1252:
		var s strings.Builder
		s.Grow(len(b) + len(b)/8)
		for _, c := range b {
			if c >= 0x80 && c < 0xA0 {
				s.WriteRune(cp1252[c-0x80])
			} else {
				s.WriteRune(rune(c))
			}
		}
		return s.String()
	}
	if beginning {
		b = bytes.TrimPrefix(b, []byte("\xEF\xBB\xBF"))
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// cp1252 is 0x80 to 0x9F of windows-1252; the five that mean nothing stay control characters.
var cp1252 = [32]rune{
	0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D, 0x017D, 0x8F,
	0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178,
}
