package term

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxTitle bounds a title in bytes.
	maxTitle = 512
	// maxString bounds what is collected of a control string or a control sequence; longer ones are skipped over.
	maxString = 2048
)

// scanState is where in a sequence a scanner stands.
type scanState byte

const (
	inText scanState = iota
	inEscape
	inControl // CSI
	inString  // OSC
	inOther   // DCS, APC, PM, SOS
	inStringEscape
	inOtherEscape
)

// scanner follows a terminal's output for two things: the title that the
// program gives (OSC 0 and 2), and the modes an emulator would be in, so that
// one that joins in the middle can be brought into them. Everything else passes
// by. Its input is whatever programs print.
type scanner struct {
	state scanState
	held  []byte // of the sequence being read
	title string
	// modes are DEC private modes that differ from an emulator's first state.
	modes map[int]bool
	// keypad: the application keypad is on.
	keypad bool
}

// restored are the DEC private modes that are worth restoring, with their first
// state: keys, wrap, cursor, mouse reports, alternate screens, bracketed paste.
var restored = map[int]bool{
	1: false, 7: true, 9: false, 25: true, 45: false, 47: false, 66: false,
	1000: false, 1002: false, 1003: false, 1004: false, 1005: false, 1006: false, 1007: false, 1015: false, 1016: false,
	1047: false, 1049: false, 2004: false,
}

// alternates are the modes that show another screen.
var alternates = []int{47, 1047, 1049}

func (s *scanner) clone() scanner {
	c := *s
	c.held = bytes.Clone(s.held)
	c.modes = make(map[int]bool, len(s.modes))
	for m, on := range s.modes {
		c.modes[m] = on
	}
	return c
}

// ground reports whether the next byte begins something.
func (s *scanner) ground() bool { return s.state == inText }

// feed takes the next bytes; it tells whether the title changed.
func (s *scanner) feed(b []byte) bool {
	before := s.title
	for len(b) > 0 {
		switch s.state {
		case inText:
			i := bytes.IndexByte(b, 0x1b)
			if i < 0 {
				return s.title != before
			}
			s.state, s.held = inEscape, s.held[:0]
			b = b[i+1:]
			continue
		case inOther:
			// Images and the like are long: look for the end, not at each byte.
			i := bytes.IndexAny(b, "\x1b\x18\x1a\x07")
			if i < 0 {
				return s.title != before
			}
			b = b[i:]
		}
		s.step(b[0])
		b = b[1:]
	}
	return s.title != before
}

func (s *scanner) step(c byte) {
	switch {
	case c == 0x18 || c == 0x1a: // CAN and SUB end any sequence
		s.state = inText
		return
	case c == 0x1b && s.state < inString:
		s.state, s.held = inEscape, s.held[:0]
		return
	}
	switch s.state {
	case inEscape:
		s.escape(c)
	case inControl:
		switch {
		case c >= 0x40 && c <= 0x7e:
			s.control(c)
			s.state = inText
		case c < 0x20: // carried out by an emulator at once
		default:
			s.hold(c)
		}
	case inString, inOther:
		switch {
		case c == 0x1b:
			s.state += inStringEscape - inString
		case c == 0x07:
			s.finish()
		case s.state == inString:
			s.hold(c)
		}
	case inStringEscape, inOtherEscape:
		if c == '\\' {
			s.finish()
			return
		}
		// An escape that ends no string ends it all the same, and begins a sequence.
		s.state -= inStringEscape - inString
		s.finish()
		s.state, s.held = inEscape, s.held[:0]
		s.step(c)
	}
}

func (s *scanner) hold(c byte) {
	if len(s.held) < maxString {
		s.held = append(s.held, c)
	}
}

func (s *scanner) escape(c byte) {
	s.state = inText
	switch c {
	case '[':
		s.state = inControl
	case ']':
		s.state = inString
	case 'P', 'X', '^', '_':
		s.state = inOther
	case '=':
		s.keypad = true
	case '>':
		s.keypad = false
	case 'c': // full reset
		s.modes, s.keypad = nil, false
	default:
		if c >= 0x20 && c <= 0x2f { // an intermediate byte: one more follows
			s.state = inEscape
		}
	}
}

// control looks at a control sequence: held and its final byte.
func (s *scanner) control(final byte) {
	if final == 'p' && string(s.held) == "!" { // soft reset
		for _, m := range []int{1, 7, 25, 66} {
			delete(s.modes, m)
		}
		s.keypad = false
		return
	}
	if final != 'h' && final != 'l' || len(s.held) < 2 || s.held[0] != '?' {
		return
	}
	for p := range strings.SplitSeq(string(s.held[1:]), ";") {
		m, err := strconv.Atoi(p)
		first, ok := restored[m]
		switch on := final == 'h'; {
		case err != nil || !ok:
		case on == first:
			delete(s.modes, m)
		default:
			if s.modes == nil {
				s.modes = map[int]bool{}
			}
			s.modes[m] = on
		}
	}
}

func (s *scanner) finish() {
	if s.state == inString || s.state == inStringEscape {
		if code, text, ok := strings.Cut(string(s.held), ";"); ok && (code == "0" || code == "2") {
			s.title = cleanTitle(text)
		}
	}
	s.state = inText
}

// cleanTitle makes one line of text of what a program gave.
func cleanTitle(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError || r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return -1 // no controls, and no change of direction either
		}
		return r
	}, text)
	text = strings.TrimSpace(text)
	for len(text) > maxTitle {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	return text
}

// alternate reports whether another screen than the first is shown.
func (s *scanner) alternate() bool {
	return slices.ContainsFunc(alternates, func(m int) bool { return s.modes[m] })
}

// enter returns what brings an emulator from its first state into this one.
func (s *scanner) enter() string {
	var b strings.Builder
	s.write(&b, func(on bool) bool { return on })
	if s.keypad {
		b.WriteString("\x1b=")
	}
	return b.String()
}

// leave returns what brings an emulator from this state into its first one.
func (s *scanner) leave() string {
	var b strings.Builder
	s.write(&b, func(on bool) bool { return !on })
	// Resetting the scroll region moves the cursor, which is to stay below what is there.
	b.WriteString("\x1b>\x1b7\x1b[r\x1b8\x1b[0m")
	return b.String()
}

func (s *scanner) write(b *strings.Builder, set func(on bool) bool) {
	modes := make([]int, 0, len(s.modes))
	for m := range s.modes {
		modes = append(modes, m)
	}
	slices.Sort(modes)
	for _, m := range modes {
		final := byte('l')
		if set(s.modes[m]) {
			final = 'h'
		}
		b.WriteString("\x1b[?" + strconv.Itoa(m) + string(final))
	}
}
