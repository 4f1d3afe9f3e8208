package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"

	"catamaran/internal/api"
)

const (
	// maxStreams bounds the streams that are open at a time; one more is refused
	// by closing it.
	maxStreams = 1024
	// acceptQueue bounds the streams that wait for the listener; likewise.
	acceptQueue = 256
	window      = 1 << 20
	// writeStuck is how long, in time this process ran, one write may make no progress.
	writeStuck = 60 * time.Second
	streamOpen = 75 * time.Second
	// streamClose is how long a stream that is closed here waits for the other
	// side to close it too.
	streamClose = 5 * time.Minute
	// closeGrace bounds the wait for a pipe whose Close does not end its Read.
	closeGrace = 2 * time.Second
)

// Session is an established link.
type Session struct {
	hello api.Hello
	mux   *yamux.Session
	pipe  *pipe

	incoming chan net.Conn
	listener *listener

	beats         chan control
	goodbyeWanted chan struct{}
	goodbyeOnce   sync.Once
	ackWanted     chan struct{}
	ackOnce       sync.Once
	heard         chan struct{} // the control stream has been read to its end

	pingMu  sync.Mutex
	pingSeq uint64
	pingAt  time.Time
	rtt     atomic.Int64

	streamsMu sync.Mutex
	streams   map[*stream]struct{} // open ones; nil once the session ends

	errMu   sync.Mutex
	err     error
	closing chan struct{} // the end has begun
	once    sync.Once
	done    chan struct{} // the pipe is closed
	running sync.WaitGroup
}

func newSession(r io.ReadCloser, w io.WriteCloser, rest []byte, hello api.Hello, owner bool, o Options) (*Session, error) {
	s := &Session{
		hello: hello, streams: map[*stream]struct{}{},
		incoming: make(chan net.Conn, acceptQueue), beats: make(chan control, 8),
		goodbyeWanted: make(chan struct{}), ackWanted: make(chan struct{}),
		heard: make(chan struct{}), closing: make(chan struct{}), done: make(chan struct{}),
	}
	s.pipe = newPipe(r, w, rest, s.wake)
	s.listener = &listener{session: s, closed: make(chan struct{})}
	config := &yamux.Config{
		AcceptBacklog: 256, MaxStreamWindowSize: window,
		StreamOpenTimeout: streamOpen, StreamCloseTimeout: streamClose,
		// Out of the way: its clock runs on while the machine sleeps. pulse ends
		// the session after 60 s of running time in which a write is stuck.
		ConnectionWriteTimeout: 365 * 24 * time.Hour,
		KeepAliveInterval:      time.Hour, // only checked to be positive
		LogOutput:              io.Discard,
	}
	var err error
	if owner {
		s.mux, err = yamux.Client(s.pipe, config)
	} else {
		s.mux, err = yamux.Server(s.pipe, config)
	}
	if err != nil {
		return nil, fmt.Errorf("start multiplexer: %w", err)
	}
	if owner {
		opened, err := s.mux.OpenStream()
		if err != nil {
			reason := s.pipe.reason()
			s.mux.Close()
			if reason != nil {
				err = reason
			}
			return nil, fmt.Errorf("open the control stream: %w", err)
		}
		s.converse(s.adopt(opened))
	}
	s.running.Add(2)
	go s.admit(owner)
	go s.beat(o)
	return s, nil
}

func (s *Session) converse(c net.Conn) {
	s.running.Add(2)
	go s.hear(c)
	go s.speak(c)
}

// admit accepts streams, always at once: the other side may only have so many
// unanswered.
func (s *Session) admit(owner bool) {
	defer s.running.Done()
	talking := owner
	for {
		opened, err := s.mux.AcceptStream()
		if err != nil {
			if talking {
				// The last that came in may be a goodbye that nobody has looked at.
				<-s.heard
			}
			s.finish(err)
			return
		}
		c := s.adopt(opened)
		if !talking && opened.StreamID() == 1 {
			talking = true
			s.converse(c)
			continue
		}
		if s.mux.NumStreams() > maxStreams || s.listener.isClosed() {
			c.Close()
			continue
		}
		select {
		case s.incoming <- c:
		default:
			c.Close()
		}
	}
}

// Hello is the backend's hello (on both sides).
func (s *Session) Hello() api.Hello { return s.hello }

// Open opens a stream to the other side. Reads and writes of it end with an
// error when the session does. Closing it ends both directions.
func (s *Session) Open(ctx context.Context) (net.Conn, error) {
	type result struct {
		stream *yamux.Stream
		err    error
	}
	opened := make(chan result, 1)
	go func() {
		stream, err := s.mux.OpenStream()
		opened <- result{stream, err}
	}()
	select {
	case r := <-opened:
		if r.err != nil {
			return nil, fmt.Errorf("open stream: %w", s.explain(r.err))
		}
		return s.adopt(r.stream), nil
	case <-ctx.Done():
		go func() {
			if r := <-opened; r.err == nil {
				r.stream.Close()
			}
		}()
		return nil, fmt.Errorf("open stream: %w", context.Cause(ctx))
	}
}

// Listener accepts streams the other side opens (the backend serves HTTP on
// it). 256 may wait to be accepted, further ones are closed. Accept's error
// wraps net.ErrClosed and, once the session is over, what Err says.
func (s *Session) Listener() net.Listener { return s.listener }

// Goodbye tells the other side that the end is meant, waits for its
// acknowledgement until ctx ends, and closes. nil means acknowledged.
func (s *Session) Goodbye(ctx context.Context) error {
	s.goodbyeOnce.Do(func() { close(s.goodbyeWanted) })
	var err error
	select {
	case <-s.closing:
	case <-ctx.Done():
		err = context.Cause(ctx)
		s.finish(net.ErrClosed)
	}
	s.Close()
	if ended := s.Err(); err == nil && !errors.Is(ended, ErrGoodbye) {
		err = ended
	}
	if err != nil {
		return fmt.Errorf("say goodbye: %w", err)
	}
	return nil
}

// Close ends the session without a goodbye and waits until it is over.
func (s *Session) Close() error {
	s.finish(net.ErrClosed)
	<-s.done
	s.running.Wait()
	return nil
}

// Done is closed when the session is over; Err then tells why.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err is nil before Done. After it: ErrGoodbye for a clean end, ErrLost for a
// silent peer, io.EOF (wrapped, perhaps) when the pipe ended, net.ErrClosed
// after Close, else what broke the protocol.
func (s *Session) Err() error {
	select {
	case <-s.done:
	default:
		return nil
	}
	s.errMu.Lock()
	defer s.errMu.Unlock()
	return s.err
}

// RTT is the last heartbeat's round trip; 0 before the first.
func (s *Session) RTT() time.Duration { return time.Duration(s.rtt.Load()) }

// note keeps err as the session's if it is the first.
func (s *Session) note(err error) {
	s.errMu.Lock()
	defer s.errMu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// finish begins the end of the session; only the first call counts. It does not wait.
func (s *Session) finish(err error) {
	s.once.Do(func() {
		// The multiplexer passes the pipe's end on in words of its own.
		if reason := s.pipe.reason(); reason != nil && !meant(err) {
			err = reason
		}
		s.note(err)
		s.wake()
		close(s.closing)
		go func() {
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				s.mux.Close()
			}()
			grace := time.NewTimer(closeGrace)
			defer grace.Stop()
			select {
			case <-ended:
			case <-grace.C:
			}
			s.turnAway()
			close(s.done)
		}()
	})
}

func (s *Session) adopt(opened *yamux.Stream) *stream {
	c := &stream{Stream: opened, session: s}
	s.streamsMu.Lock()
	defer s.streamsMu.Unlock()
	if s.streams == nil {
		opened.SetDeadline(past)
	} else {
		s.streams[c] = struct{}{}
	}
	return c
}

func (s *Session) forget(c *stream) {
	s.streamsMu.Lock()
	defer s.streamsMu.Unlock()
	delete(s.streams, c)
}

func (s *Session) ended() bool {
	s.streamsMu.Lock()
	defer s.streamsMu.Unlock()
	return s.streams == nil
}

// wake ends every wait in Read and Write with the multiplexer's timeout; what
// has come in can still be read. It has to happen before the multiplexer closes
// itself: from then on its waiting streams spin, and keep it from getting done.
func (s *Session) wake() {
	s.streamsMu.Lock()
	defer s.streamsMu.Unlock()
	for c := range s.streams {
		c.Stream.SetDeadline(past)
	}
	s.streams = nil
}

// meant reports whether err was decided here, not found at the pipe.
func meant(err error) bool {
	return errors.Is(err, ErrGoodbye) || errors.Is(err, ErrLost) || errors.Is(err, net.ErrClosed)
}

// turnAway drops the streams nobody has accepted.
func (s *Session) turnAway() {
	for {
		select {
		case c := <-s.incoming:
			c.Close()
		default:
			return
		}
	}
}

// explain turns an error of the multiplexer into the session's, once that is over.
func (s *Session) explain(err error) error {
	if !s.ended() {
		return err
	}
	s.errMu.Lock()
	defer s.errMu.Unlock()
	reason := s.err
	if reason == nil {
		reason = s.pipe.reason()
	}
	if reason == nil {
		reason = net.ErrClosed
	}
	return fmt.Errorf("link ended: %w", reason)
}
