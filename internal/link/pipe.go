package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// readAhead is the size of a read from the pipe: the multiplexer asks for 4 KiB
// at a time, which would be a system call for each.
const readAhead = 64 << 10

// pipe is the byte pipe under the multiplexer. It counts what moves, so that
// silence is noticed, and keeps the first error, which says why the link ended.
type pipe struct {
	r io.ReadCloser
	w io.WriteCloser

	// Of the one reading goroutine.
	ahead []byte // read, not yet taken
	space []byte
	ended error // came together with the last bytes

	frame []byte // of the one writing goroutine: a header that waits for its body

	received atomic.Uint64 // reads that brought something
	writes   atomic.Uint64 // odd while a write is under way

	mu  sync.Mutex
	err error

	readEnded chan struct{}
	ending    sync.Once
	closed    chan struct{}
	closing   sync.Once
	// onEnd is called, any number of times, before the multiplexer learns that
	// the pipe has ended.
	onEnd func()
}

// drainGrace bounds how long a failed write waits for the reader to reach the end.
const drainGrace = time.Second

func newPipe(r io.ReadCloser, w io.WriteCloser, rest []byte, onEnd func()) *pipe {
	return &pipe{r: r, w: w, ahead: rest, onEnd: onEnd, readEnded: make(chan struct{}), closed: make(chan struct{})}
}

func (p *pipe) Read(b []byte) (int, error) {
	if len(p.ahead) == 0 {
		if p.ended != nil {
			return 0, p.end(p.ended)
		}
		into := b
		if len(b) < readAhead {
			if p.space == nil {
				p.space = make([]byte, readAhead)
			}
			into = p.space
		}
		n, err := p.r.Read(into)
		p.ended = err
		if n > 0 {
			p.received.Add(1)
		} else if err != nil {
			return 0, p.end(err)
		}
		if len(b) >= readAhead {
			return n, nil
		}
		p.ahead = p.space[:n]
	}
	n := copy(b, p.ahead)
	p.ahead = p.ahead[n:]
	return n, nil
}

// end notes the end of the reading side. A reset socket is as good as an end.
func (p *pipe) end(err error) error {
	if err != io.EOF {
		err = fmt.Errorf("%w (read: %v)", io.EOF, err)
	}
	p.fail(err)
	p.ending.Do(func() { close(p.readEnded) })
	p.onEnd()
	return err
}

// Write sends a data frame's header together with its body, which the
// multiplexer writes right after it: else every small message would wake the
// other side, and each relay on the way, twice.
func (p *pipe) Write(b []byte) (int, error) {
	if len(p.frame) == 0 && opensFrame(b) {
		p.frame = append(p.frame, b...)
		return len(b), nil
	}
	out := b
	if len(p.frame) > 0 {
		p.frame = append(p.frame, b...)
		out, p.frame = p.frame, p.frame[:0]
	}
	p.writes.Add(1)
	n, err := p.w.Write(out)
	p.writes.Add(1)
	if err == nil {
		return len(b), nil
	}
	// Nobody reads the other end any more, but what it said last, a goodbye
	// perhaps, may still be on its way in, and this error closes everything.
	grace := time.NewTimer(drainGrace)
	defer grace.Stop()
	select {
	case <-p.readEnded:
	case <-p.closed:
	case <-grace.C:
	}
	err = fmt.Errorf("%w (write: %v)", io.EOF, err)
	p.fail(err)
	p.onEnd()
	return min(n, len(b)), err
}

// opensFrame reports whether b is the header of a data frame with a body: 12
// bytes, of which the second is the type (0 is data) and the last four the length.
func opensFrame(b []byte) bool {
	return len(b) == 12 && b[1] == 0 && binary.BigEndian.Uint32(b[8:]) > 0
}

func (p *pipe) Close() error {
	p.closing.Do(func() {
		close(p.closed)
		p.onEnd()
		p.w.Close()
		p.r.Close()
	})
	return nil
}

func (p *pipe) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

// reason is the first error; nil before it.
func (p *pipe) reason() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// pulse decides from ticks whether the other side is lost. It knows no clock: a
// tick that comes late, because the machine slept or this process was stopped,
// still counts as one.
type pulse struct {
	silent, stuck           int // ticks without a byte in, with the same write under way
	maxSilent, maxStuck     int
	lastReceived, lastWrite uint64
}

var errStuck = errors.New("it takes no more data")

// tick takes the pipe's counters; the error is nil while the peer is there.
func (p *pulse) tick(received, writes uint64) error {
	if received == p.lastReceived {
		p.silent++
	} else {
		p.silent, p.lastReceived = 0, received
	}
	if writes%2 == 1 && writes == p.lastWrite {
		p.stuck++
	} else {
		p.stuck, p.lastWrite = 0, writes
	}
	switch {
	case p.silent >= p.maxSilent:
		return ErrLost
	case p.stuck >= p.maxStuck:
		return fmt.Errorf("%w: %w", ErrLost, errStuck)
	}
	return nil
}
