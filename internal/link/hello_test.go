package link

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"catamaran/internal/api"
)

const goodHello = `{"protocol":1,"version":"1.2","environmentId":"e","future":{"x":[1]}}`

// scanPieces feeds in in pieces of n bytes and returns what was found.
func scanPieces(in []byte, n, max int) (s *helloScan, noise []byte, found bool, err error) {
	s = &helloScan{max: max, noise: func(b []byte) { noise = append(noise, b...) }}
	for at := 0; at < len(in); at += n {
		found, err = s.feed(in[at:min(len(in), at+n)])
		if err != nil {
			return s, noise, false, err
		}
		if found {
			s.buf = append(s.buf, in[min(len(in), at+n):]...)
			return s, noise, true, nil
		}
	}
	s.flush()
	return s, noise, false, nil
}

func TestHelloScan(t *testing.T) {
	t.Parallel()
	line := Marker + goodHello + "\n"
	for _, c := range []struct{ name, in, noise, rest string }{
		{"bare", line, "", ""},
		{"own newline", "\n" + line, "\n", ""},
		{"bytes behind", line + "\x00\x01rest\n", "", "\x00\x01rest\n"},
		{"CRLF", Marker + goodHello + "\r\n", "", ""},
		{"banner", "Welcome!\r\n\n" + line, "Welcome!\r\n\n", ""},
		{"unfinished line", "% " + line, "% ", ""},
		{"half a marker", "CATAMARAN-LI" + line, "CATAMARAN-LI", ""},
		{"marker in a marker", "CATAMARAN-CATAMARAN-LINK/" + line, "CATAMARAN-CATAMARAN-LINK/", ""},
		{"quoted in a trace", "+ echo CATAMARAN-LINK/1 '{}'\n" + line, "+ echo CATAMARAN-LINK/1 '{}'\n", ""},
		{"broken JSON", Marker + "{\n" + line, Marker + "{\n", ""},
		{"no object", Marker + "null\n" + line, Marker + "null\n", ""},
		{"wrong types", Marker + `{"protocol":"1"}` + "\n" + line, Marker + `{"protocol":"1"}` + "\n", ""},
		{"longer than any hello", Marker + strings.Repeat("x", api.MaxHelloBytes+10) + line, Marker + strings.Repeat("x", api.MaxHelloBytes+10), ""},
		{"UTF-16", "w\x00s\x00l\x00:\x00\r\x00\n\x00" + line, "w\x00s\x00l\x00:\x00\r\x00\n\x00", ""},
		{"UTF-16, odd", "w\x00s\x00\n" + line, "w\x00s\x00\n", ""},
		{"marker in UTF-16", "C\x00A\x00T\x00A\x00M\x00A\x00R\x00A\x00N\x00" + line, "C\x00A\x00T\x00A\x00M\x00A\x00R\x00A\x00N\x00", ""},
		{"version with letters", "CATAMARAN-LINK/1x " + line, "CATAMARAN-LINK/1x ", ""},
		{"version too long", "CATAMARAN-LINK/123456 " + line, "CATAMARAN-LINK/123456 ", ""},
	} {
		for _, n := range []int{1, 2, 3, 7, 4096, 1 << 20} {
			if n < 7 && len(c.in) > 50_000 {
				continue
			}
			s, noise, found, err := scanPieces([]byte(c.in), n, 200_000)
			if !found || err != nil {
				t.Errorf("%s in pieces of %d: found %v, %v", c.name, n, found, err)
				continue
			}
			if string(noise) != c.noise || string(s.buf) != c.rest {
				t.Errorf("%s in pieces of %d: noise %.60q, rest %q", c.name, n, noise, s.buf)
			}
			if s.hello.Version != "1.2" {
				t.Errorf("%s in pieces of %d: %+v", c.name, n, s.hello)
			}
		}
	}
}

func TestHelloScanErrors(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 100, 1 << 20} {
		_, _, _, err := scanPieces([]byte("CATAMARAN-LINK/2 whatever"), n, 100)
		if api.CodeOf(err) != api.CodeProtocolMismatch {
			t.Errorf("version 2: %v", err)
		}
		_, noise, _, err := scanPieces(bytes.Repeat([]byte("spam\n"), 100), n, 100)
		if !errors.Is(err, ErrNoise) || len(noise) <= 100 {
			t.Errorf("noise: %v", err)
		}
		// A hello that comes too late does not count either.
		late := append(bytes.Repeat([]byte("spam\n"), 100), Marker+goodHello+"\n"...)
		if _, _, found, err := scanPieces(late, n, 100); found || !errors.Is(err, ErrNoise) {
			t.Errorf("late: %v, %v", found, err)
		}
	}
}

// What the scan keeps stays bounded, whatever comes.
func TestHelloScanIsBounded(t *testing.T) {
	t.Parallel()
	s := &helloScan{max: 1 << 30}
	piece := []byte(Marker + strings.Repeat("CATAMARAN-LINK/", 100))
	for range 2000 {
		if _, err := s.feed(piece); err != nil {
			t.Fatal(err)
		}
		if len(s.buf) > api.MaxHelloBytes+2*len(piece) {
			t.Fatalf("keeps %d bytes", len(s.buf))
		}
	}
}

// However the bytes are cut, the outcome is the same, and no byte is lost.
func FuzzHelloScan(f *testing.F) {
	line := Marker + goodHello + "\n"
	for _, s := range []string{line, "noise\n" + line + "rest", Marker + "{\n" + line, "CATAMARAN-LINK/2 {}\n",
		"CATAMARAN-LINK/CATAMARAN-LINK/1 {}\n", "C\x00A\x00" + line, Marker} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, piece uint8) {
		const max = 300
		whole, noise, found, err := scanPieces(in, len(in)+1, max)
		cut, noise2, found2, err2 := scanPieces(in, int(piece)+1, max)
		if found != found2 || fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatalf("%v %v, in pieces %v %v", found, err, found2, err2)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(noise, noise2) || !bytes.Equal(whole.buf, cut.buf) {
			t.Fatalf("noise %q and %q, rest %q and %q", noise, noise2, whole.buf, cut.buf)
		}
		if !bytes.HasPrefix(in, noise) || !bytes.HasSuffix(in, whole.buf) {
			t.Fatalf("noise %q, rest %q", noise, whole.buf)
		}
		if found {
			middle := in[len(noise) : len(in)-len(whole.buf)]
			if !bytes.HasPrefix(middle, []byte(Marker)) || !json.Valid(bytes.TrimSpace(middle[len(Marker):])) {
				t.Fatalf("hello %q", middle)
			}
		}
	})
}
