package term

import (
	"sync"
	"time"
)

const (
	// floodBurst is how much a terminal prints before it counts as one that prints without
	// end: a command's output, a build's. floodPerCore, for each core of the machine, is what
	// it gets back of that a second, and what it is read at while another floods too. Its
	// program waits meanwhile.
	floodBurst   = 1 << 20
	floodPerCore = 256 << 10
	// floodNews is how long a terminal that floods is known to: its next read comes sooner.
	floodNews = 300 * time.Millisecond
)

// floods knows the terminals that flood. One may have all that the machine gives; several
// together, each with its program and the system's line discipline, would take every core
// from the rest of the app.
type floods struct {
	rate int64 // bytes a second
	mu   sync.Mutex
	at   map[*flow]time.Time // when it was last seen to
}

// flow is the output of one shell. It belongs to the goroutine that reads it.
type flow struct {
	spent int64 // of floodBurst, in bytes
	at    time.Time
	known bool // in floods
}

// after tells how long to rest after n bytes at now.
func (l *floods) after(f *flow, n int, now time.Time) time.Duration {
	back := int64(min(now.Sub(f.at), time.Minute)) * l.rate / int64(time.Second)
	f.at = now
	f.spent = max(0, f.spent-back) + int64(n)
	if f.spent <= floodBurst {
		if f.known {
			l.end(f)
		}
		return 0
	}
	over := f.spent - floodBurst
	if !l.note(f, now) {
		f.spent = floodBurst
		return 0
	}
	return time.Duration(over * int64(time.Second) / l.rate)
}

// note keeps that f floods, and reports whether another does.
func (l *floods) note(f *flow, now time.Time) (another bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[*flow]time.Time{}
	}
	l.at[f], f.known = now, true
	for g, at := range l.at {
		// One that has stopped since is not read any more, and says nothing.
		if g != f && now.Sub(at) < floodNews {
			return true
		}
	}
	return false
}

// end forgets f.
func (l *floods) end(f *flow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.at, f)
	f.known = false
}
