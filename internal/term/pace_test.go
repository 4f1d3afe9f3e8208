package term

import (
	"testing"
	"time"
)

func TestFloodsTakeTurns(t *testing.T) {
	t.Parallel()
	const rate = 512 << 10
	l := floods{rate: rate}
	one, two, quiet := &flow{}, &flow{}, &flow{}
	now := time.Unix(1, 0)
	// run reads 4 KiB at a time of each of fs, which rest as they are told, and a millisecond
	// anyway; it returns how much a second each brought.
	run := func(d time.Duration, fs ...*flow) (rates []int) {
		rates = make([]int, len(fs))
		due := make([]time.Time, len(fs))
		for end := now.Add(d); now.Before(end); now = now.Add(time.Millisecond) {
			for i, f := range fs {
				if now.Before(due[i]) {
					continue
				}
				due[i] = now.Add(l.after(f, 4<<10, now))
				rates[i] += 4 << 10
			}
		}
		for i := range rates {
			rates[i] = int(float64(rates[i]) / d.Seconds())
		}
		return rates
	}
	const free = 4 << 10 * 1000
	if got := run(time.Second, one); got[0] != free {
		t.Errorf("one alone brings %v", got)
	}
	// The second has a burst of its own before anybody rests.
	if got := run(100*time.Millisecond, one, two); got[0] != free || got[1] != free {
		t.Errorf("in a burst two bring %v", got)
	}
	run(3*time.Second, one, two)
	for _, got := range run(time.Second, one, two) {
		if got > rate || got < rate*8/10 {
			t.Errorf("of two, one brings %d", got)
		}
	}
	for range 20 {
		now = now.Add(10 * time.Millisecond)
		if rest := l.after(quiet, 80, now); rest != 0 {
			t.Fatalf("one that prints a line now and then rests %v", rest)
		}
	}
	// The other pauses, and then ends.
	if got := run(time.Second, one); got[0] < free/2 {
		t.Errorf("one brings %v though the other has stopped", got)
	}
	run(3*time.Second, one, two)
	l.end(two)
	if got := run(time.Second, one); got[0] != free {
		t.Errorf("one brings %v though the other has ended", got)
	}
	// What floods no more is forgotten, and has its burst again.
	now = now.Add(2 * time.Second)
	if rest := l.after(one, 4<<10, now); rest != 0 || len(l.at) != 0 {
		t.Errorf("after a pause it rests %v, %d are kept", rest, len(l.at))
	}
}
