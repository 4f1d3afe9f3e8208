package link

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

func TestPulse(t *testing.T) {
	t.Parallel()
	steps := func(spec string) (lostAt int) {
		p := pulse{maxSilent: 4, maxStuck: 6}
		var received, writes uint64
		for i, c := range spec {
			switch c {
			case 'r': // something came in
				received++
			case 'w': // a write began
				received++
				writes += 2 - writes%2 - 1
			case 's': // the same write is still under way, bytes come in
				received++
			case 'd': // it ended
				writes++
			}
			if p.tick(received, writes) != nil {
				return i + 1
			}
		}
		return 0
	}
	for _, c := range []struct {
		name, in string
		lostAt   int
	}{
		{"busy", "rrrrrrrrrr", 0},
		{"silent from the start", "....", 4},
		{"silent later", "rr....", 6},
		{"gaps", "...r...r...r", 0},
		{"write stuck", "wssssssss", 7},
		{"write moves on", "wsssdrwsssdr", 0},
	} {
		if got := steps(c.in); got != c.lostAt {
			t.Errorf("%s: lost at tick %d, want %d", c.name, got, c.lostAt)
		}
	}
	p := newPulse(Options{}.withDefaults())
	if p.maxSilent != 4 || p.maxStuck != 12 {
		t.Errorf("defaults: %+v", p)
	}
	if p := newPulse(Options{Heartbeat: time.Minute, Lost: time.Second}); p.maxSilent != 2 {
		t.Errorf("one late tick alone may not lose a peer: %+v", p)
	}
}

// A machine that slept for a week sees one tick on waking. That the wall moved
// on does not count.
func TestLateTickLosesNobody(t *testing.T) {
	t.Parallel()
	ticks := make(chan time.Time)
	a, b := pair(t, Options{ticks: ticks}, Options{Heartbeat: time.Hour})
	now := time.Now()
	for range 2 {
		now = now.Add(7 * 24 * time.Hour)
		ticks <- now
		if _, err := a.Open(context.Background()); err != nil {
			t.Fatal(err)
		}
		if c, err := b.Listener().Accept(); err != nil {
			t.Fatal(err)
		} else {
			c.Close()
		}
	}
	if a.Err() != nil {
		t.Errorf("ended with %v", a.Err())
	}
}

func TestSilentPeerIsLost(t *testing.T) {
	t.Parallel()
	ownerR, peerW, peerR, ownerW := osPipes(t)
	go io.Copy(io.Discard, peerR) // takes everything, says nothing
	io.WriteString(peerW, Marker+goodHello+"\n")
	ticks := make(chan time.Time)
	s, err := Connect(context.Background(), ownerR, ownerW, testEnvelope(), Options{ticks: ticks})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		ticks <- time.Time{}
	}
	select {
	case <-s.Done():
		t.Fatal("lost too early")
	case ticks <- time.Time{}:
	}
	<-s.Done()
	if !errors.Is(s.Err(), ErrLost) {
		t.Errorf("ended with %v", s.Err())
	}
}

// A peer that talks but takes nothing is lost too (60 s, so 12 ticks of 5 s).
func TestStuckPeerIsLost(t *testing.T) {
	t.Parallel()
	p := newPulse(Options{}.withDefaults())
	ownerR, peerW, _, ownerW := osPipes(t)
	io.WriteString(peerW, Marker+goodHello+"\n")
	ticks := make(chan time.Time)
	s, err := Connect(context.Background(), ownerR, ownerW, testEnvelope(), Options{ticks: ticks})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, 256<<10))
		wrote <- err
	}()
	// A ping of the multiplexer: bytes that need no answer from us (type 2, ACK).
	ping := []byte{0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1}
	for i := 0; ; i++ {
		received := s.pipe.received.Load()
		if _, err := peerW.Write(ping); err != nil {
			break
		}
		for s.pipe.received.Load() == received {
			select {
			case <-s.Done():
				received = ^uint64(0)
			case <-time.After(time.Millisecond):
			}
			if received == ^uint64(0) {
				break
			}
		}
		select {
		case ticks <- time.Time{}:
			continue
		case <-s.Done():
		}
		if i < p.maxStuck {
			t.Errorf("lost after %d ticks", i)
		}
		break
	}
	<-s.Done()
	if !errors.Is(s.Err(), ErrLost) || !errors.Is(s.Err(), errStuck) {
		t.Errorf("ended with %v", s.Err())
	}
	if err := <-wrote; !errors.Is(err, ErrLost) {
		t.Errorf("the write ended with %v", err)
	}
}
