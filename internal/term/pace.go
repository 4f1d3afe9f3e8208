package term

import (
	"sync"
	"time"
)

const (
	// floodWindow is the time over which output is counted, flood the bytes in it from which on a
	// program counts as one that prints without end: nobody reads that much.
	floodWindow = 100 * time.Millisecond
	floodSize   = 48 << 10
	// floodRate is how many bytes a second a terminal that floods is read at, while another floods
	// too. Its program waits meanwhile.
	floodRate = 3 << 19
)

// floods knows the terminals that flood. One may have all that the machine gives; several
// together, each with its program and the system's line discipline, would take every core
// from the rest of the app.
type floods struct {
	mu sync.Mutex
	at map[*flow]time.Time // when it was last seen to
}

// flow is the output of one shell. It belongs to the goroutine that reads it.
type flow struct {
	began time.Time
	bytes int
	rests bool
}

// after tells how long to rest after n bytes at now.
func (l *floods) after(f *flow, n int, now time.Time) time.Duration {
	f.bytes += n
	if since := now.Sub(f.began); since >= floodWindow {
		// A first read after a pause is no flood, whatever it brings.
		floods := f.bytes >= floodSize && since < 2*floodWindow
		f.began, f.bytes = now, 0
		f.rests = l.note(f, floods, now) && floods
	}
	if f.rests {
		return time.Duration(n) * time.Second / floodRate
	}
	return 0
}

// note keeps whether f floods, and reports whether another does.
func (l *floods) note(f *flow, floods bool, now time.Time) (another bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if floods {
		if l.at == nil {
			l.at = map[*flow]time.Time{}
		}
		l.at[f] = now
	} else {
		delete(l.at, f)
	}
	for g, at := range l.at {
		// One that has stopped since is not read any more, and says nothing.
		if g != f && now.Sub(at) < 3*floodWindow {
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
}
