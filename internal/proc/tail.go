package proc

import (
	"encoding/binary"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// tail keeps the last limit bytes written to it.
type tail struct {
	mu    sync.Mutex
	limit int
	buf   []byte // grows to limit, then a ring
	next  int    // where the ring is written next, once full
	odd   bool   // an odd number of bytes has been dropped
}

func (t *tail) add(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if over := len(b) - t.limit; over > 0 {
		t.odd = t.odd != (over%2 == 1)
		b = b[over:]
	}
	if room := t.limit - len(t.buf); room > 0 {
		n := min(room, len(b))
		t.buf = append(t.buf, b[:n]...)
		b = b[n:]
	}
	t.odd = t.odd != (len(b)%2 == 1)
	for len(b) > 0 {
		n := copy(t.buf[t.next:], b)
		b = b[n:]
		t.next = (t.next + n) % t.limit
	}
}

func (t *tail) text() string {
	t.mu.Lock()
	raw := append(append(make([]byte, 0, len(t.buf)), t.buf[t.next:]...), t.buf[:t.next]...)
	odd := t.odd
	t.mu.Unlock()
	if odd && wide(raw[min(1, len(raw)):]) {
		raw = raw[1:]
	}
	return Text(raw)
}

// pump reads r to its end into the tail and, while it takes it, into w.
func (t *tail) pump(r *os.File, w io.Writer) {
	buf := make([]byte, 16<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			t.add(buf[:n])
			if w != nil {
				if _, werr := w.Write(buf[:n]); werr != nil {
					w = nil
				}
			}
		}
		if err != nil {
			return
		}
	}
}

// wide reports whether b looks like UTF-16LE: among the second bytes of the
// units many are NUL, among the first ones hardly any.
func wide(b []byte) bool {
	var first, second int
	for i, c := range b {
		if c == 0 {
			if i%2 == 0 {
				first++
			} else {
				second++
			}
		}
	}
	return second >= 2 && second*8 > len(b)/2 && first*8 <= second
}

// Text turns a child's output into text that is safe to show: UTF-16LE is
// recognised by its NULs, what is not UTF-8 becomes U+FFFD, terminal escape
// sequences, control characters other than newline and tab, and characters
// that reorder text are dropped, line ends become \n.
func Text(b []byte) string {
	if wide(b) {
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(b[2*i:])
		}
		b = []byte(string(utf16.Decode(units)))
	}
	var s strings.Builder
	s.Grow(len(b))
	for len(b) > 0 {
		if b[0] == 0x1b {
			b = b[escapeLen(b):]
			continue
		}
		r, n := utf8.DecodeRune(b)
		b = b[n:]
		switch {
		case r == '\r':
			if len(b) == 0 || b[0] != '\n' {
				s.WriteByte('\n')
			}
		case r == '\n' || r == '\t':
			s.WriteRune(r)
		case unicode.IsControl(r), r == '\ufeff',
			r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
		default:
			s.WriteRune(r)
		}
	}
	return s.String()
}

// escapeLen is the length of the escape sequence b begins with: CSI and OSC
// whole (bounded, so that a stray ESC cannot swallow the text), else ESC alone.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return len(b)
	}
	const most = 256
	switch b[1] {
	case '[':
		for i := 2; i < len(b) && i < most; i++ {
			if b[i] >= 0x40 && b[i] <= 0x7e {
				return i + 1
			}
			if b[i] < 0x20 {
				return i
			}
		}
	case ']':
		for i := 2; i < len(b) && i < most; i++ {
			if b[i] == 0x07 {
				return i + 1
			}
			if b[i] == 0x1b && i+1 < len(b) && b[i+1] == '\\' {
				return i + 2
			}
			if b[i] == '\n' {
				return i
			}
		}
	}
	return 1
}
