package term

import (
	"testing"
	"time"
)

func TestFloodsTakeTurns(t *testing.T) {
	t.Parallel()
	var l floods
	one, two, quiet := &flow{}, &flow{}, &flow{}
	now := time.Unix(1, 0)
	// run reads 4 KiB a millisecond of each of fs for some milliseconds; it returns the rests at the end.
	run := func(ms int, fs ...*flow) (rests []time.Duration) {
		for range ms {
			now = now.Add(time.Millisecond)
			rests = rests[:0]
			for _, f := range fs {
				rests = append(rests, l.after(f, 4<<10, now))
			}
		}
		return rests
	}
	if got := run(1000, one); got[0] != 0 {
		t.Errorf("one alone rests %v", got)
	}
	if got := run(1000, one, two); got[0] != time.Second/384 || got[1] != got[0] {
		t.Errorf("two rest %v", got)
	}
	for range 20 {
		now = now.Add(10 * time.Millisecond)
		if rest := l.after(quiet, 80, now); rest != 0 {
			t.Fatalf("one that prints a line now and then rests %v", rest)
		}
	}
	// The other pauses, and then ends.
	if got := run(1000, one); got[0] != 0 {
		t.Errorf("one rests %v though the other has stopped", got)
	}
	run(1000, one, two)
	l.end(two)
	if got := run(2*int(floodWindow/time.Millisecond), one); got[0] != 0 {
		t.Errorf("one rests %v though the other has ended", got)
	}
	l.end(one)
	l.end(quiet)
	if len(l.at) != 0 {
		t.Errorf("%d are kept", len(l.at))
	}
}
