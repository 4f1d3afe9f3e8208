package link

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

// writePiece is the most that one stream has queued at a time: a call on
// another stream waits for that much of each bulk transfer, not for whole windows.
const writePiece = 64 << 10

// stream makes a multiplexer's stream behave as a net.Conn does elsewhere: Close
// ends reads too, deadlines give os.ErrDeadlineExceeded, and the end of the
// session is told from the end of the stream.
type stream struct {
	*yamux.Stream
	session *Session
	closed  atomic.Bool
	writing sync.Mutex // keeps the pieces of one Write together
}

func (s *stream) Read(b []byte) (int, error) {
	if s.closed.Load() {
		return 0, net.ErrClosed
	}
	n, err := s.Stream.Read(b)
	if err == nil || n > 0 {
		return n, nil
	}
	return 0, s.translate(err)
}

func (s *stream) Write(b []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	total := 0
	for {
		if s.closed.Load() {
			return total, net.ErrClosed
		}
		n, err := s.Stream.Write(b[total:min(len(b), total+writePiece)])
		total += n
		if err != nil {
			return total, s.translate(err)
		}
		if total == len(b) {
			return total, nil
		}
	}
}

// translate: once the session has ended, that is the reason for whatever fails.
// A stream that the other side finished before shows the session's end too.
func (s *stream) translate(err error) error {
	switch {
	case s.closed.Load():
		return net.ErrClosed
	case s.session.ended():
		return s.session.explain(err)
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.Is(err, yamux.ErrTimeout):
		return os.ErrDeadlineExceeded
	case errors.Is(err, yamux.ErrStreamClosed):
		return net.ErrClosed
	}
	return err
}

// past is a deadline that has expired.
var past = time.Unix(1, 0)

func (s *stream) SetDeadline(t time.Time) error      { return s.deadline(t, s.Stream.SetDeadline) }
func (s *stream) SetReadDeadline(t time.Time) error  { return s.deadline(t, s.Stream.SetReadDeadline) }
func (s *stream) SetWriteDeadline(t time.Time) error { return s.deadline(t, s.Stream.SetWriteDeadline) }

func (s *stream) deadline(t time.Time, set func(time.Time) error) error {
	err := set(t)
	if s.closed.Load() || s.session.ended() {
		s.Stream.SetDeadline(past) // as Close and wake have left it
	}
	return err
}

// Close ends both directions. What was written before is still delivered.
func (s *stream) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.session.forget(s)
	s.Stream.SetDeadline(past) // wakes whoever reads or writes
	return s.Stream.Close()
}

func (s *stream) LocalAddr() net.Addr  { return address{} }
func (s *stream) RemoteAddr() net.Addr { return address{} }

// address is that of every stream: there is nothing to tell them apart by.
type address struct{}

func (address) Network() string { return "link" }
func (address) String() string  { return "link" }

// listener hands out the streams the other side opens.
type listener struct {
	session *Session
	once    sync.Once
	closed  chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.session.incoming:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-l.session.done:
		return nil, fmt.Errorf("%w: %w", net.ErrClosed, l.session.Err())
	}
}

// Close refuses the streams that wait and those to come; the session goes on.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.session.turnAway()
	})
	return nil
}

func (l *listener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

func (l *listener) Addr() net.Addr { return address{} }
