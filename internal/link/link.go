// Package link turns a byte pipe between a desktop and a backend into a
// connection: an envelope line in, a hello line out (noise before it skipped),
// then multiplexed streams with heartbeats and a goodbye. It knows nothing of
// processes, WSL or HTTP. The owner side is the desktop, the peer side the
// backend; docs/protocol.md has the bytes.
//
// Invariants: the goroutine that reads the pipe never waits for a writer or for
// a consumer, so a stream that nobody reads stalls only itself; everything that
// is kept for a slow reader is bounded (one window a stream, maxStreams
// streams); nothing is judged by the clock on the wall, so a suspended machine
// does not lose its links; nothing of the envelope appears in an error.
package link

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"catamaran/internal/api"
)

// Marker precedes the hello JSON on its line: "CATAMARAN-LINK/1 {json}\n". The
// marker is searched in the raw bytes, so noise in any encoding is skipped.
const Marker = "CATAMARAN-LINK/1 "

const (
	defaultHeartbeat = 5 * time.Second
	defaultLost      = 20 * time.Second
	defaultMaxNoise  = 256 << 10
	// helloWrite bounds the writing of a hello that nobody reads.
	helloWrite = 30 * time.Second
)

// Options tune a link; zero values mean the defaults.
type Options struct {
	// HelloTimeout bounds the wait for the hello; 0 waits as long as ctx lives.
	// On the peer it bounds the writing of the hello; 0 means 30 s.
	HelloTimeout time.Duration
	// Heartbeat is the interval of heartbeats (default 5 s), Lost the silence after
	// which the peer is lost (default 20 s of time in which this process ran). Lost
	// counts in whole heartbeats, two at least.
	Heartbeat, Lost time.Duration
	// MaxNoise bounds what is skipped before the hello (default 256 KiB).
	MaxNoise int
	// Noise receives the skipped bytes; may be nil. It must not keep them.
	Noise func([]byte)

	// ticks replaces the clock of the heartbeats in tests.
	ticks <-chan time.Time
}

func (o Options) withDefaults() Options {
	if o.Heartbeat <= 0 {
		o.Heartbeat = defaultHeartbeat
	}
	if o.Lost <= 0 {
		o.Lost = defaultLost
	}
	if o.MaxNoise <= 0 {
		o.MaxNoise = defaultMaxNoise
	}
	return o
}

// ErrNoise: more than MaxNoise bytes came before a hello. ErrLost: the peer was
// silent, or took nothing any more. ErrGoodbye: a clean end, asked for by either side.
var (
	ErrNoise   = errors.New("no hello among the first output")
	ErrLost    = errors.New("peer silent")
	ErrGoodbye = errors.New("peer said goodbye")
)

// Connect plays the owner: writes the envelope to w, waits for the hello on r and
// starts the session. Errors: *api.Error (protocol mismatch, refusal),
// ErrNoise, io.ErrUnexpectedEOF, ctx's cause (context.DeadlineExceeded for
// HelloTimeout). r and w are closed on error, and at once when ctx ends; their
// Close must end a Read or Write that is under way. Once Connect has returned,
// ctx has no influence any more.
func Connect(ctx context.Context, r io.ReadCloser, w io.WriteCloser, env api.Envelope, o Options) (*Session, error) {
	o = o.withDefaults()
	if o.HelloTimeout > 0 {
		limited, cancel := context.WithTimeout(ctx, o.HelloTimeout)
		defer cancel()
		ctx = limited
	}
	s, err := connect(ctx, r, w, env, o)
	if err != nil {
		w.Close()
		r.Close()
		return nil, fmt.Errorf("connect link: %w", err)
	}
	return s, nil
}

func connect(ctx context.Context, r io.ReadCloser, w io.WriteCloser, env api.Envelope, o Options) (*Session, error) {
	line, err := json.Marshal(env)
	if err != nil {
		return nil, errors.New("the envelope cannot be written as JSON")
	}
	if len(line) >= api.MaxEnvelopeBytes {
		return nil, &api.Error{Code: api.CodeTooLarge,
			Message: fmt.Sprintf("the envelope has %d bytes, more than the %d a backend takes", len(line), api.MaxEnvelopeBytes),
			Hint:    "Forward fewer environment variables."}
	}
	stop := context.AfterFunc(ctx, func() {
		w.Close()
		r.Close()
	})
	defer stop()
	// Beside the reading: a backend may say more than a pipe holds before it
	// reads the envelope.
	written := make(chan error, 1)
	go func() {
		_, err := w.Write(append(line, '\n'))
		written <- err
	}()
	hello, rest, err := readHello(r, o)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	select {
	case err = <-written:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("write the envelope: %w", err)
	}
	s, err := newSession(r, w, rest, hello, true, o)
	if !stop() {
		if s != nil {
			s.Close()
		}
		return nil, context.Cause(ctx)
	}
	return s, err
}

// readHello reads until the hello and checks it; rest is what came after it in
// the same read.
func readHello(r io.Reader, o Options) (hello api.Hello, rest []byte, err error) {
	scan := helloScan{max: o.MaxNoise, noise: o.Noise}
	buf := make([]byte, 32<<10)
	for {
		n, rerr := r.Read(buf)
		found, err := scan.feed(buf[:n])
		if err != nil {
			return hello, nil, err
		}
		if found {
			hello = scan.hello
			break
		}
		if rerr != nil {
			scan.flush()
			if errors.Is(rerr, io.EOF) {
				rerr = io.ErrUnexpectedEOF
			}
			return hello, nil, fmt.Errorf("wait for the hello: %w", rerr)
		}
	}
	if hello.Refusal != nil {
		return hello, nil, hello.Refusal
	}
	if hello.Protocol != api.ProtocolVersion {
		return hello, nil, mismatch("backend", fmt.Sprint(hello.Protocol))
	}
	return hello, scan.buf, nil
}

// ReadEnvelope plays the peer's first half: reads the envelope line. It takes
// nothing behind the line from r (hence byte by byte: a few kilobytes, once). An
// envelope of another protocol version is returned together with an *api.Error
// of CodeProtocolMismatch, to be sent back as Hello.Refusal. An end before the
// line's end is io.EOF or io.ErrUnexpectedEOF. It waits as long as r does:
// stdin's end is the lifeline of a backend.
func ReadEnvelope(r io.Reader) (api.Envelope, error) {
	env, err := readEnvelope(r)
	if err != nil {
		return env, fmt.Errorf("read envelope: %w", err)
	}
	return env, nil
}

func readEnvelope(r io.Reader) (env api.Envelope, err error) {
	line, err := readLine(r, api.MaxEnvelopeBytes)
	if err != nil {
		return env, err
	}
	// The decoder's own words could quote a secret.
	if line = bytes.TrimSpace(line); len(line) == 0 || line[0] != '{' {
		return env, &api.Error{Code: api.CodeInvalid, Message: "the first line of the input is not an envelope",
			Hint: "This program is started by the Catamaran desktop."}
	}
	var version struct {
		Protocol int `json:"protocol"`
	}
	if err := json.Unmarshal(line, &version); err != nil {
		return env, &api.Error{Code: api.CodeInvalid, Message: "the envelope is not valid JSON"}
	}
	if version.Protocol != api.ProtocolVersion {
		env.Protocol = version.Protocol
		return env, mismatch("desktop", fmt.Sprint(version.Protocol))
	}
	if err := json.Unmarshal(line, &env); err != nil {
		return api.Envelope{}, &api.Error{Code: api.CodeInvalid, Message: "the envelope has a field of the wrong type"}
	}
	return env, nil
}

// readLine reads up to and without the next newline, at most limit bytes.
func readLine(r io.Reader, limit int) ([]byte, error) {
	var line []byte
	one := make([]byte, 1)
	for {
		n, err := r.Read(one)
		if n == 1 {
			if one[0] == '\n' {
				return line, nil
			}
			if line = append(line, one[0]); len(line) >= limit {
				return nil, &api.Error{Code: api.CodeTooLarge, Message: "the first line of the input is longer than any envelope"}
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) && len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

func mismatch(side, version string) *api.Error {
	return &api.Error{Code: api.CodeProtocolMismatch,
		Message: fmt.Sprintf("the %s speaks version %s of the link, this program speaks version %d", side, version, api.ProtocolVersion),
		Hint:    "Use a desktop and a backend of the same release."}
}

// Accept plays the peer's second half: writes hello to w and starts the session.
// hello.Protocol is filled in. With hello.Refusal set it writes it and returns
// it as the error. r and w are closed on error.
func Accept(r io.ReadCloser, w io.WriteCloser, hello api.Hello, o Options) (*Session, error) {
	s, err := accept(r, w, hello, o.withDefaults())
	if err != nil {
		w.Close()
		r.Close()
		return nil, fmt.Errorf("accept link: %w", err)
	}
	return s, nil
}

func accept(r io.ReadCloser, w io.WriteCloser, hello api.Hello, o Options) (*Session, error) {
	hello.Protocol = api.ProtocolVersion
	body, err := json.Marshal(hello)
	if err != nil {
		return nil, fmt.Errorf("write the hello as JSON: %w", err)
	}
	if len(body) > api.MaxHelloBytes {
		return nil, fmt.Errorf("the hello has %d bytes, more than %d", len(body), api.MaxHelloBytes)
	}
	limit := o.HelloTimeout
	if limit <= 0 {
		limit = helloWrite
	}
	late := time.AfterFunc(limit, func() {
		w.Close()
		r.Close()
	})
	// The newline in front ends whatever a profile left on the line.
	_, err = w.Write(fmt.Appendf(nil, "\n%s%s\n", Marker, body))
	if !late.Stop() {
		return nil, fmt.Errorf("write the hello: %w", context.DeadlineExceeded)
	}
	if err != nil {
		return nil, fmt.Errorf("write the hello: %w", err)
	}
	if hello.Refusal != nil {
		return nil, hello.Refusal
	}
	return newSession(r, w, nil, hello, false, o)
}
