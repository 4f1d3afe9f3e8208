package link

import (
	"bytes"
	"encoding/json"

	"catamaran/internal/api"
)

// markerStem is the part of Marker that all protocol versions share.
const markerStem = "CATAMARAN-LINK/"

// maxVersionDigits bounds the version behind the stem.
const maxVersionDigits = 5

// helloScan finds the hello in raw bytes that come in any pieces. What looks
// like a hello but is none (a marker quoted by a shell's trace, a line that is
// no JSON) counts as noise.
type helloScan struct {
	max     int
	noise   func([]byte)
	skipped int
	buf     []byte // not judged yet; what is behind the hello once it is found
	at      int    // with a candidate at buf[0]: how far its line's end was searched
	hello   api.Hello
}

// feed takes the next piece and reports whether the hello is complete.
func (s *helloScan) feed(p []byte) (found bool, err error) {
	s.buf = append(s.buf, p...)
	for {
		if s.at == 0 {
			i := bytes.Index(s.buf, []byte(markerStem))
			if i < 0 {
				return false, s.skip(len(s.buf) - partial(s.buf))
			}
			if err := s.skip(i); err != nil {
				return false, err
			}
			s.at = len(markerStem)
		}
		version, end, state := markerVersion(s.buf[len(markerStem):])
		switch state {
		case more:
			return false, nil
		case no:
			if err := s.reject(); err != nil {
				return false, err
			}
			continue
		}
		if version != "1" {
			return false, mismatch("backend", version)
		}
		start := len(markerStem) + end
		s.at = max(s.at, start)
		i := bytes.IndexByte(s.buf[s.at:], '\n')
		if i < 0 && len(s.buf)-start <= api.MaxHelloBytes {
			s.at = len(s.buf)
			return false, nil
		}
		if i < 0 || s.at+i-start > api.MaxHelloBytes || !s.parse(s.buf[start:s.at+i]) {
			if err := s.reject(); err != nil {
				return false, err
			}
			continue
		}
		s.buf = s.buf[s.at+i+1:]
		return true, nil
	}
}

func (s *helloScan) parse(line []byte) bool {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' {
		return false
	}
	var hello api.Hello
	if json.Unmarshal(line, &hello) != nil {
		return false
	}
	s.hello = hello
	return true
}

// reject turns the candidate at buf[0] into noise.
func (s *helloScan) reject() error {
	s.at = 0
	return s.skip(1)
}

// skip drops n bytes as noise.
func (s *helloScan) skip(n int) error {
	if n == 0 {
		return nil
	}
	if s.noise != nil {
		s.noise(s.buf[:n])
	}
	s.skipped += n
	s.buf = s.buf[n:]
	if s.skipped > s.max {
		return ErrNoise
	}
	return nil
}

// flush hands over what will not become a hello any more.
func (s *helloScan) flush() { s.skip(len(s.buf)) }

// partial is the length of the longest end of b that a stem could begin with.
func partial(b []byte) int {
	for n := min(len(b), len(markerStem)-1); n > 0; n-- {
		if bytes.HasPrefix([]byte(markerStem), b[len(b)-n:]) {
			return n
		}
	}
	return 0
}

type verdict int

const (
	more verdict = iota // undecided until more bytes come
	yes
	no
)

// markerVersion reads "<digits> " from the beginning of b; end is where the JSON begins.
func markerVersion(b []byte) (version string, end int, state verdict) {
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9' && i < maxVersionDigits:
		case c == ' ' && i > 0:
			return string(b[:i]), i + 1, yes
		default:
			return "", 0, no
		}
	}
	return "", 0, more
}
