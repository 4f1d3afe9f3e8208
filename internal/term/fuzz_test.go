package term

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"catamaran/internal/api"
)

func FuzzFrame(f *testing.F) {
	f.Add(AppendHead(nil, api.TerminalOutput, "s1", 12))
	f.Add(append(AppendHead(nil, api.TerminalTyped, "s12", 0), "ls\r"...))
	f.Add(AppendHead(nil, api.TerminalAck, strings.Repeat("x", MaxFrameID), maxSeq))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := ParseFrame(b)
		if err != nil {
			return
		}
		again := append(AppendHead(nil, frame.Kind, frame.ID, frame.Seq), frame.Data...)
		if !bytes.Equal(again, b) || HeadSize(frame.ID)+len(frame.Data) != len(b) || frame.Seq < 0 {
			t.Fatalf("%+v is not %x", frame, b)
		}
	})
}

// FuzzScanner: whatever comes, and however it is cut, the scanner's memory is
// bounded, its title is one clean line, and its state is the same.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{
		"plain", "\x1b]0;title\a", "\x1b]2;title\x1b\\text", "\x1b]2;a\x1b[?25l", "\x1b[?1049h\x1b[?1;2004;25l\x1b=", "\x1bP1;2q\x1b\\\x1b]0;x\x18", "\x1b[!p\x1bc",
		"\x1b[?99999999999999999999h", "\x1b]0;\x1b]0;b\a", "\x1b(B\x1b)0\x1b[38;5;1m", "\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "\x1b]0;\xff\xfeа́\u202e\a",
	} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		var whole, parts scanner
		whole.feed(b)
		for rest := b; len(rest) > 0; {
			n := min(len(rest), 1+max(0, cut)%17)
			parts.feed(rest[:n])
			rest = rest[n:]
		}
		if whole.title != parts.title || whole.state != parts.state || !reflect.DeepEqual(whole.modes, parts.modes) && len(whole.modes)+len(parts.modes) > 0 || whole.keypad != parts.keypad {
			t.Fatalf("in one %+v, in parts %+v", whole, parts)
		}
		if len(whole.held) > maxString || len(whole.title) > maxTitle || !utf8.ValidString(whole.title) || strings.ContainsAny(whole.title, "\x00\x1b\n\r\u202e") {
			t.Fatalf("%+v", whole)
		}
		// What brings an emulator into the state is understood as that state, and back.
		var entered scanner
		entered.feed([]byte(whole.enter()))
		if len(entered.modes) != len(whole.modes) || entered.keypad != whole.keypad || !entered.ground() {
			t.Fatalf("entered %+v, not %+v", entered, whole)
		}
		entered.feed([]byte(whole.leave()))
		if len(entered.modes) != 0 || entered.keypad {
			t.Fatalf("left in %+v", entered)
		}
	})
}

func FuzzHead(f *testing.F) {
	f.Add(head(0, 0))
	f.Add(head(10, 20))
	f.Add([]byte("CTMH"))
	f.Fuzz(func(t *testing.T, b []byte) {
		start, end, ok := parseHead(b, 1<<20)
		if ok && (start < 0 || end < start || end-start > 1<<20 || !bytes.Equal(head(start, end)[:24], b[:24])) {
			t.Fatalf("%d to %d", start, end)
		}
	})
}

// TestHistoryKeepsTheEnd compares the ring with a plain slice.
func TestHistoryKeepsTheEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.IntRange(1, 300_000).Draw(t, "bound")
		held := 0
		h := newHistory(bound, func(n int) { held += n })
		var all []byte
		for range rapid.IntRange(1, 20).Draw(t, "appends") {
			b := bytes.Repeat([]byte{byte(len(all))}, rapid.IntRange(0, 200_000).Draw(t, "size"))
			for i := range b {
				b[i] += byte(i >> 3)
			}
			h.append(b)
			all = append(all, b...)
			if h.end != int64(len(all)) || h.end-h.start > int64(bound) || h.start > 0 && h.end-h.start != int64(bound) || held >= bound+historyChunk || held < min(len(all), bound) {
				t.Fatalf("%d to %d in %d of %d", h.start, h.end, held, bound)
			}
			from := int64(rapid.IntRange(int(h.start), int(h.end)).Draw(t, "from"))
			got := make([]byte, rapid.IntRange(0, len(all)-int(from)).Draw(t, "n"))
			if n := h.copy(got, from); n != len(got) || !bytes.Equal(got, all[from:from+int64(n)]) {
				t.Fatalf("%d of %d bytes from %d differ", n, len(got), from)
			}
		}
		h.release()
		if n := h.copy(make([]byte, 1), max(0, h.end-1)); n != 0 || held != 0 {
			t.Fatalf("%d bytes are held, %d read, of a history that was let go of", held, n)
		}
	})
}

func TestSnapshotsBeginAtALine(t *testing.T) {
	t.Parallel()
	h := newHistory(64, nil)
	h.append([]byte("\x1b[?25labcdef\r\n\x1b[?1049hdefghi\njkl\x1b]0;title\amno\npqr"))
	for _, tc := range []struct {
		seq, want int64
		modes     string
	}{
		{0, 0, ""},
		{3, 14, "\x1b[?25l"},
		{15, 29, "\x1b[?25l\x1b[?1049h"},
		{34, 46, "\x1b[?25l\x1b[?1049h"},
		{48, 48, "\x1b[?25l\x1b[?1049h"}, // no other line: after the next byte outside a sequence
	} {
		at, modes := h.modesAt(tc.seq, 100)
		if tc.seq == 48 {
			tc.want = 49
		}
		if at != tc.want || modes.enter() != tc.modes {
			t.Errorf("from %d: %d %q, want %d %q", tc.seq, at, modes.enter(), tc.want, tc.modes)
		}
	}
}
