// Package jsonl is one end of a JSON-RPC conversation of one message a line, as
// coding agents speak it on their standard streams: ACP with the "jsonrpc"
// member, Codex without, others in words of their own (Dialect). Both ends may
// call. It knows no protocol's methods, starts no process and logs nothing; the
// drivers and the demo agent use it.
//
// Invariants: messages reach the handler one at a time in the order they were
// sent, and the answer to a call is delivered only after everything before it
// has been handled. Nothing is queued on the reading side: a slow handler stops
// the reading, which stops the other end (back-pressure, never overflow). A line
// that is no message is reported and skipped. A write that does not finish in
// time ends the peer, so that an end that stopped reading cannot wedge its owner.
package jsonl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// Bounds used where Options leave them zero.
const (
	DefaultMaxLine      = 64 << 20
	DefaultWriteTimeout = 30 * time.Second
)

// Error codes of JSON-RPC 2.0.
const (
	CodeParse          = -32700
	CodeInvalidRequest = -32600
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603
)

var (
	// ErrClosed is wrapped by every error that comes from the peer having ended.
	ErrClosed = errors.New("the connection has ended")
	// ErrWriteTimeout is the cause when the other end stopped reading.
	ErrWriteTimeout = errors.New("the other end does not read")
	// ErrLineTooLong is given to Options.Garbage for a line over the bound.
	ErrLineTooLong = errors.New("line too long")
	// ErrNoMessage is given to Options.Garbage for JSON that is neither call, notification nor answer.
	ErrNoMessage = errors.New("not a message")
)

// Error is the error member of an answer.
type Error struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

func (e *Error) Error() string {
	if e.Message == "" {
		return "error " + strconv.Itoa(e.Code)
	}
	return fmt.Sprintf("%s (%d)", e.Message, e.Code)
}

// Message is a call (ID set) or a notification (ID nil) of the other end.
type Message struct {
	// ID is kept as it was written, number or string; give it to Respond.
	ID     json.RawMessage
	Method string
	Params json.RawMessage
}

// Options describe one end.
type Options struct {
	// Reader and Writer are the two directions. Close closes those that are io.Closer.
	Reader io.Reader
	Writer io.Writer
	// Bare leaves out the "jsonrpc":"2.0" member (Codex).
	Bare bool
	// Dialect says the same in other words; nil means JSON-RPC.
	Dialect *Dialect
	// MaxLine bounds a line in bytes; a longer one is skipped and reported.
	MaxLine int
	// WriteTimeout bounds one write.
	WriteTimeout time.Duration
	// Handle gets calls and notifications in order, from the goroutine that reads. It
	// may Respond and Notify but must not wait for a Call: its answer could not be read.
	Handle func(Message)
	// Garbage gets every skipped line, cut to GarbageBytes, with the reason. May be nil.
	Garbage func(line []byte, reason error)
}

// Dialect is another wire form of calls, answers and notifications.
type Dialect struct {
	// Decode reads one line. An error makes it garbage.
	Decode func(line []byte) (Incoming, error)
	// Encode returns what is written, as one line of JSON, for a message.
	Encode func(Outgoing) any
}

// Incoming is a message of the other end: a call has Method and ID, a
// notification has Method, an answer has ID and Result or Error.
type Incoming struct {
	ID     json.RawMessage `json:"id"`
	Method json.RawMessage `json:"method"` // a JSON string
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// Outgoing is a message of this end, like Incoming. The ids of its own calls are
// whole numbers.
type Outgoing struct {
	JSONRPC string           `json:"jsonrpc,omitempty"`
	ID      json.RawMessage  `json:"id,omitempty"`
	Method  string           `json:"method,omitempty"`
	Params  any              `json:"params,omitempty"`
	Result  *json.RawMessage `json:"result,omitempty"`
	Error   *Error           `json:"error,omitempty"`
}

// GarbageBytes bounds what Options.Garbage is shown of a line.
const GarbageBytes = 512

// Peer is one end. Its methods are safe for concurrent use.
type Peer struct {
	o       Options
	writes  chan queued
	answers chan queued   // holds maxAnswers
	done    chan struct{} // closed when the peer has ended
	ended   chan struct{} // closed when Run has returned

	mu      sync.Mutex
	next    int64
	pending map[string]chan answer
	started bool
	err     error // set before done is closed
	closed  bool
}

// maxAnswers is how many answers may wait to be written. Answering from the
// handler must not stop the reading, or two ends that call each other a lot would
// wait for each other; beyond the bound it does, and the write timeout decides.
const maxAnswers = 256

type queued struct {
	line    []byte
	written chan error // capacity 1
}

type answer struct {
	result json.RawMessage
	err    error
}

// New validates the options; Run starts the peer.
func New(o Options) (*Peer, error) {
	if o.Reader == nil || o.Writer == nil || o.Handle == nil {
		return nil, errors.New("jsonl: reader, writer and handler are needed")
	}
	if o.MaxLine <= 0 {
		o.MaxLine = DefaultMaxLine
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = DefaultWriteTimeout
	}
	if o.Garbage == nil {
		o.Garbage = func([]byte, error) {}
	}
	return &Peer{
		o: o, writes: make(chan queued), answers: make(chan queued, maxAnswers),
		done: make(chan struct{}), ended: make(chan struct{}), pending: map[string]chan answer{},
	}, nil
}

// Run reads until the stream ends, fails, or Close is called. It returns nil at
// the end of the stream and after Close. It may be called once.
func (p *Peer) Run(ctx context.Context) error {
	p.mu.Lock()
	if p.started {
		p.mu.Unlock()
		return errors.New("jsonl: Run was called twice")
	}
	p.started = true
	p.mu.Unlock()
	defer close(p.ended)

	var writer sync.WaitGroup
	writer.Go(p.write)
	stop := context.AfterFunc(ctx, func() { p.end(context.Cause(ctx)) })
	defer stop()

	err := p.read()
	p.end(err)
	writer.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || errors.Is(p.err, io.EOF) {
		return nil
	}
	return p.err
}

// Done is closed when the peer has ended.
func (p *Peer) Done() <-chan struct{} { return p.done }

// Err tells why the peer ended: io.EOF at the end of the stream; nil before Done.
func (p *Peer) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Close ends the peer and waits for Run. A Reader or Writer that is no io.Closer
// must have been ended by its owner, or Close waits for it.
func (p *Peer) Close() error {
	p.mu.Lock()
	p.closed = true
	started := p.started
	p.mu.Unlock()
	p.end(ErrClosed)
	if started {
		<-p.ended
	}
	return nil
}

// end makes the peer end once, with a cause: pending calls fail, streams close.
func (p *Peer) end(cause error) {
	p.mu.Lock()
	if p.err != nil {
		p.mu.Unlock()
		return
	}
	if cause == nil {
		cause = io.EOF
	}
	p.err = cause
	pending := p.pending
	p.pending = nil
	close(p.done)
	p.mu.Unlock()
	for _, c := range pending {
		c <- answer{err: p.endError()}
	}
	if c, ok := p.o.Writer.(io.Closer); ok {
		_ = c.Close()
	}
	if c, ok := p.o.Reader.(io.Closer); ok {
		_ = c.Close()
	}
}

func (p *Peer) endError() error {
	err := p.Err()
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, ErrClosed) {
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrClosed, err)
}

// Call sends a call and waits for its answer, ctx, or the end of the peer. An
// error answer is an *Error. After ctx ended a late answer is ignored.
func (p *Peer) Call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	p.mu.Lock()
	if p.err != nil {
		p.mu.Unlock()
		return nil, fmt.Errorf("%s: %w", method, p.endError())
	}
	id := strconv.FormatInt(p.next, 10)
	p.next++
	c := make(chan answer, 1)
	p.pending[id] = c
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.pending, id)
		p.mu.Unlock()
	}()
	if err := p.send(ctx, Outgoing{ID: json.RawMessage(id), Method: method, Params: params}); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	select {
	case a := <-c:
		if a.err != nil {
			return nil, fmt.Errorf("%s: %w", method, a.err)
		}
		return a.result, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", method, context.Cause(ctx))
	}
}

// Notify sends a notification and waits until it is written.
func (p *Peer) Notify(ctx context.Context, method string, params any) error {
	if err := p.send(ctx, Outgoing{Method: method, Params: params}); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// Respond answers the call id with a result. It does not wait for the writing.
func (p *Peer) Respond(id json.RawMessage, result any) error {
	raw, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	r := json.RawMessage(raw)
	return p.answer(Outgoing{ID: id, Result: &r})
}

// RespondError answers the call id with an error. It does not wait for the writing.
func (p *Peer) RespondError(id json.RawMessage, code int, message string) error {
	return p.answer(Outgoing{ID: id, Error: &Error{Code: code, Message: message}})
}

func (p *Peer) answer(w Outgoing) error {
	line, err := p.encode(w)
	if err != nil {
		return err
	}
	select {
	case p.answers <- queued{line: line, written: make(chan error, 1)}:
		return nil
	case <-p.done:
		return p.endError()
	}
}

func (p *Peer) encode(w Outgoing) ([]byte, error) {
	var v any = w
	switch {
	case p.o.Dialect != nil:
		v = p.o.Dialect.Encode(w)
	case !p.o.Bare:
		w.JSONRPC = "2.0"
		v = w
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b) // ends the value with the newline the format wants
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return b.Bytes(), nil
}

// send encodes and writes one message. The writing itself is bounded by
// WriteTimeout even where ctx has no deadline.
func (p *Peer) send(ctx context.Context, w Outgoing) error {
	line, err := p.encode(w)
	if err != nil {
		return err
	}
	out := queued{line: line, written: make(chan error, 1)}
	// The wait includes that of writes before this one, each of which has its own bound.
	select {
	case p.writes <- out:
	case <-p.done:
		return p.endError()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-out.written:
		return err
	case <-p.done:
		return p.endError()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *Peer) write() {
	for {
		var out queued
		select {
		case <-p.done:
			return
		case out = <-p.answers:
		case out = <-p.writes:
		}
		timer := time.AfterFunc(p.o.WriteTimeout, func() { p.end(ErrWriteTimeout) })
		_, err := p.o.Writer.Write(out.line)
		timer.Stop()
		if err != nil {
			p.end(fmt.Errorf("write: %w", err))
			err = p.endError()
		}
		out.written <- err
	}
}
