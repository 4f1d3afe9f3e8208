package link

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// The control stream is the owner's first stream: JSON objects, a line each,
// both ways. Types that are not known are ignored, so that later versions can
// say more.
type control struct {
	Type string `json:"type"`
	// Seq of a ping comes back in its pong.
	Seq uint64 `json:"seq,omitempty"`
}

const (
	controlPing       = "ping"
	controlPong       = "pong"
	controlGoodbye    = "goodbye"
	controlGoodbyeAck = "goodbye-ack"
)

// maxControl bounds a line of the control stream in bytes.
const maxControl = 4 << 10

var errControl = errors.New("the control stream does not follow the protocol")

// readControl reads one line from r, whose buffer bounds it to maxControl.
func readControl(r *bufio.Reader) (control, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			return control{}, fmt.Errorf("%w: a line longer than %d bytes", errControl, maxControl)
		}
		return control{}, err
	}
	var c control
	if err := json.Unmarshal(line, &c); err != nil {
		return control{}, fmt.Errorf("%w: a line that is not JSON", errControl)
	}
	return c, nil
}

// hear follows what the other side says on the control stream.
func (s *Session) hear(stream io.Reader) {
	defer s.running.Done()
	defer close(s.heard)
	r := bufio.NewReaderSize(stream, maxControl)
	for {
		c, err := readControl(r)
		if err != nil {
			s.finish(err)
			return
		}
		switch c.Type {
		case controlPing:
			s.say(control{Type: controlPong, Seq: c.Seq})
		case controlPong:
			s.ponged(c.Seq)
		case controlGoodbye:
			// Noted before it is answered: the answer lets the other side close.
			s.note(ErrGoodbye)
			s.acknowledge()
		case controlGoodbyeAck:
			s.note(ErrGoodbye)
			s.finish(ErrGoodbye)
			return
		}
	}
}

// say queues a heartbeat, or drops it when the queue is full: the pipe is
// stalled, and pulse deals with that.
func (s *Session) say(c control) {
	select {
	case s.beats <- c:
	default:
	}
}

// acknowledge queues the answer to a goodbye.
func (s *Session) acknowledge() { s.ackOnce.Do(func() { close(s.ackWanted) }) }

// speak writes heartbeats and goodbyes until the session is over. The last thing
// it writes is the answer to a goodbye.
func (s *Session) speak(stream net.Conn) {
	defer s.running.Done()
	goodbye := s.goodbyeWanted
	for {
		var c control
		select {
		case <-s.closing:
			return
		case <-s.ackWanted:
			c = control{Type: controlGoodbyeAck}
		case <-goodbye:
			goodbye = nil
			c = control{Type: controlGoodbye}
		case c = <-s.beats:
		}
		line, err := json.Marshal(c)
		if err == nil {
			_, err = stream.Write(append(line, '\n'))
		}
		if err != nil {
			return // the multiplexer has ended, and admit says why
		}
		if c.Type == controlGoodbyeAck {
			s.finish(ErrGoodbye)
			return
		}
	}
}

// beat sends a ping and judges the pipe at every tick.
func (s *Session) beat(o Options) {
	defer s.running.Done()
	ticks := o.ticks
	if ticks == nil {
		ticker := time.NewTicker(o.Heartbeat)
		defer ticker.Stop()
		ticks = ticker.C
	}
	health := newPulse(o)
	s.ping()
	for {
		select {
		case <-s.closing:
			return
		case <-ticks:
		}
		if err := health.tick(s.pipe.received.Load(), s.pipe.writes.Load()); err != nil {
			s.finish(err)
			return
		}
		s.ping()
	}
}

func newPulse(o Options) pulse {
	ticks := func(d time.Duration) int { return max(2, int((d+o.Heartbeat-1)/o.Heartbeat)) }
	return pulse{maxSilent: ticks(o.Lost), maxStuck: ticks(max(writeStuck, o.Lost))}
}

func (s *Session) ping() {
	s.pingMu.Lock()
	s.pingSeq++
	s.pingAt = time.Now()
	seq := s.pingSeq
	s.pingMu.Unlock()
	s.say(control{Type: controlPing, Seq: seq})
}

func (s *Session) ponged(seq uint64) {
	s.pingMu.Lock()
	defer s.pingMu.Unlock()
	if seq == s.pingSeq {
		// One nanosecond at least: 0 means that there was none yet.
		s.rtt.Store(int64(max(time.Since(s.pingAt), 1)))
	}
}
