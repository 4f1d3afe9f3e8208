// Package link turns a byte pipe between a desktop and a backend into a
// connection: an envelope line in, a hello line out (noise before it skipped),
// then multiplexed streams with heartbeats and a goodbye. It knows nothing of
// processes, WSL or HTTP. The owner side is the desktop, the peer side the backend.
package link

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"catamaran/internal/api"
)

var errSkeleton = errors.New("link: not built yet")

// Marker precedes the hello JSON on its line: "CATAMARAN-LINK/1 {json}\n". The
// marker is searched in the raw bytes, so noise in any encoding is skipped.
const Marker = "CATAMARAN-LINK/1 "

// Options tune a link; zero values mean the defaults.
type Options struct {
	// HelloTimeout bounds the wait for the hello; 0 waits as long as ctx lives.
	HelloTimeout time.Duration
	// Heartbeat is the interval of heartbeats (default 5 s), Lost the silence after
	// which the peer is lost (default 20 s of time in which this process ran).
	Heartbeat, Lost time.Duration
	// MaxNoise bounds what is skipped before the hello (default 256 KiB).
	MaxNoise int
	// Noise receives the skipped bytes; may be nil.
	Noise func([]byte)
}

// Connect plays the owner: writes the envelope to w, waits for the hello on r and
// starts the session. Errors: *api.Error (protocol mismatch, refusal),
// ErrNoise, io.ErrUnexpectedEOF, ctx's cause. r and w are closed on error.
func Connect(ctx context.Context, r io.ReadCloser, w io.WriteCloser, env api.Envelope, o Options) (*Session, error) {
	return nil, errSkeleton
}

// ReadEnvelope plays the peer's first half: reads the envelope line. It must not
// wait for more than the line.
func ReadEnvelope(r io.Reader) (api.Envelope, error) { return api.Envelope{}, errSkeleton }

// Accept plays the peer's second half: writes hello to w and starts the session.
// With hello.Refusal set it writes it and returns an error.
func Accept(r io.ReadCloser, w io.WriteCloser, hello api.Hello, o Options) (*Session, error) {
	return nil, errSkeleton
}

// ErrNoise: more than MaxNoise bytes came before a hello. ErrLost: the peer was
// silent. ErrGoodbye: the peer said goodbye, a clean end.
var (
	ErrNoise   = errors.New("no hello among the first output")
	ErrLost    = errors.New("peer silent")
	ErrGoodbye = errors.New("peer said goodbye")
)

// Session is an established link.
type Session struct{}

// Hello is the backend's hello (on both sides).
func (s *Session) Hello() api.Hello { return api.Hello{} }

// Open opens a stream to the other side.
func (s *Session) Open(ctx context.Context) (net.Conn, error) { return nil, errSkeleton }

// Listener accepts streams the other side opens (the backend serves HTTP on it).
func (s *Session) Listener() net.Listener { return nil }

// Goodbye tells the other side that the end is meant, waits for its acknowledgement until ctx ends, and closes.
func (s *Session) Goodbye(ctx context.Context) error { return errSkeleton }

// Close ends the session without a goodbye.
func (s *Session) Close() error { return nil }

// Done is closed when the session is over; Err then tells why (ErrGoodbye, ErrLost, io.EOF ...).
func (s *Session) Done() <-chan struct{} { return nil }
func (s *Session) Err() error            { return nil }

// RTT is the last heartbeat's round trip; 0 before the first.
func (s *Session) RTT() time.Duration { return 0 }
