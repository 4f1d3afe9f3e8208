package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"catamaran/internal/api"
	"catamaran/internal/auth"
	"catamaran/internal/term"
)

const (
	// helloTimeout bounds the wait for the first frame where the upgrade carried no token.
	helloTimeout = 10 * time.Second
	// writeTimeout bounds one message; a client that takes longer is gone.
	writeTimeout = 30 * time.Second
	// maxCalls is how many calls of one connection run at once; the next one waits, and with it the reading.
	maxCalls = 32
	// maxSubscriptions bounds the subscriptions of one connection.
	maxSubscriptions = 256
	// outQueue is how many frames wait for the writer; a full queue holds up those who send.
	outQueue = 64
	// statusUnauthorized closes a connection whose token is not taken: the client signs in again instead of reconnecting.
	statusUnauthorized = websocket.StatusCode(4401)
)

// host is what a WebSocket talks to: a backend, or the stand-alone door.
type host interface {
	authorize(token string) error
	// welcome returns the frame to greet with, and a channel that is closed when it has changed.
	welcome() (api.ServerFrame, <-chan struct{})
	call(ctx context.Context, method, commandID string, params []byte) (any, error)
	subscribe(topic string, after *int64) (stream, error)
	explain(method string, err error) *api.Error
}

// stream is an attached subscription; engine.Subscription is one.
type stream interface {
	Next(ctx context.Context) (api.ServerFrame, error)
	Close()
}

// sockets knows the open connections, to end them all.
type sockets struct {
	log    *slog.Logger
	ending context.Context
	end    context.CancelFunc

	mu     sync.Mutex
	closed bool
	open   sync.WaitGroup
}

func (s *sockets) init(log *slog.Logger) {
	s.log = log
	s.ending, s.end = context.WithCancel(context.Background())
}

func (s *sockets) close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end()
	done := make(chan struct{})
	go func() {
		s.open.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *sockets) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.open.Add(1)
	return true
}

// serve takes one connection from its upgrade to its end.
func (s *sockets) serve(w http.ResponseWriter, r *http.Request, h host) {
	if !s.enter() {
		auth.WriteError(w, &api.Error{Code: api.CodeUnavailable, Message: "The backend is ending.", Retryable: true})
		return
	}
	defer s.open.Done()
	known := false
	if token := auth.Bearer(r); token != "" {
		if err := h.authorize(token); err != nil {
			auth.WriteError(w, h.explain(pathSocket, err))
			return
		}
		known = true
	}
	// auth.Door has looked at Origin where there is a port; on the link the
	// other end is the desktop's gateway, whose own door did.
	below := &hijacker{ResponseWriter: w}
	ws, err := websocket.Accept(below, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		s.log.Debug("websocket refused", "err", err.Error())
		return
	}
	ws.SetReadLimit(maxBody)
	ctx, cancel := context.WithCancel(r.Context())
	c := &conn{ws: ws, h: h, log: s.log, out: make(chan []byte, outQueue), bulk: make(chan bulk), calls: make(chan struct{}, maxCalls), subs: map[string]*subscription{}, cancel: cancel}
	stop := context.AfterFunc(s.ending, func() {
		// Close waits five seconds for a peer that does not answer; it gets one.
		hard := time.AfterFunc(time.Second, func() { below.conn.Close() })
		defer hard.Stop()
		_ = ws.Close(websocket.StatusGoingAway, "the backend is ending")
		cancel()
	})
	defer stop()
	c.run(ctx, known)
	_ = ws.CloseNow()
}

// hijacker keeps hold of the connection below a WebSocket, which itself cannot be
// cut while it waits for its peer's closing frame.
type hijacker struct {
	http.ResponseWriter
	conn net.Conn
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	h.conn = conn
	return conn, rw, err
}

// conn is one connection. The goroutine of run reads; one other writes.
type conn struct {
	ws     *websocket.Conn
	h      host
	log    *slog.Logger
	out    chan []byte
	bulk   chan bulk // bytes of terminals; whatever is in out goes first
	calls  chan struct{}
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	subs map[string]*subscription
}

type subscription struct {
	cancel context.CancelFunc
	done   chan struct{}
	// viewer is set while the subscription is attached to a terminal.
	viewer atomic.Pointer[term.Viewer]
}

func (c *conn) run(ctx context.Context, known bool) {
	defer c.wg.Wait()
	defer c.cancel()
	if !known {
		if err := c.hello(ctx); err != nil {
			e := c.h.explain(pathSocket, err)
			if b, merr := json.Marshal(api.ServerFrame{Type: api.FrameError, Error: e}); merr == nil {
				c.write(ctx, websocket.MessageText, b)
			}
			_ = c.ws.Close(statusUnauthorized, string(e.Code))
			return
		}
	}
	c.wg.Go(func() {
		c.deliver(ctx)
		c.cancel()
	})
	welcome, changed := c.h.welcome()
	c.send(ctx, welcome)
	c.wg.Go(func() { c.watch(ctx, changed) })
	for {
		kind, b, err := c.ws.Read(ctx)
		if err != nil {
			return
		}
		if kind == websocket.MessageBinary {
			c.terminalFrame(ctx, b)
			continue
		}
		var f api.ClientFrame
		if json.Unmarshal(b, &f) != nil {
			c.fail(ctx, "", &api.Error{Code: api.CodeInvalid, Message: "A message is not a frame."})
			continue
		}
		c.frame(ctx, f)
	}
}

// hello waits for the first frame, which must bring a token.
func (c *conn) hello(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	_, b, err := c.ws.Read(ctx)
	if err != nil {
		return &api.Error{Code: api.CodeUnauthorized, Message: "The connection did not say who it is."}
	}
	var f api.ClientFrame
	if json.Unmarshal(b, &f) != nil || f.Type != api.FrameHello {
		return &api.Error{Code: api.CodeUnauthorized, Message: "The first message must be a hello with a token."}
	}
	return c.h.authorize(f.Token)
}

// watch tells the client of every change of phase with another welcome.
func (c *conn) watch(ctx context.Context, changed <-chan struct{}) {
	for {
		select {
		case <-changed:
			var f api.ServerFrame
			f, changed = c.h.welcome()
			c.send(ctx, f)
		case <-ctx.Done():
			return
		}
	}
}

// deliver writes what there is until the connection ends.
func (c *conn) deliver(ctx context.Context) {
	for {
		select {
		case b := <-c.out:
			if !c.write(ctx, websocket.MessageText, b) {
				return
			}
			continue
		default:
		}
		select {
		case b := <-c.out:
			if !c.write(ctx, websocket.MessageText, b) {
				return
			}
		case m := <-c.bulk:
			ok := c.write(ctx, websocket.MessageBinary, m.b)
			m.sent <- struct{}{}
			if !ok {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (c *conn) write(ctx context.Context, kind websocket.MessageType, b []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return c.ws.Write(ctx, kind, b) == nil
}

// send queues a frame; it waits while the queue is full and gives up with the connection.
func (c *conn) send(ctx context.Context, f api.ServerFrame) {
	b, err := json.Marshal(f)
	if err != nil {
		e := c.h.explain(pathSocket, err)
		b, _ = json.Marshal(api.ServerFrame{Type: api.FrameError, ID: f.ID, Error: e})
	}
	select {
	case c.out <- b:
	case <-ctx.Done():
	}
}

func (c *conn) fail(ctx context.Context, id string, e *api.Error) {
	c.send(ctx, api.ServerFrame{Type: api.FrameError, ID: id, Error: e})
}

func (c *conn) frame(ctx context.Context, f api.ClientFrame) {
	switch f.Type {
	case api.FrameCall:
		select {
		case c.calls <- struct{}{}:
		case <-ctx.Done():
			return
		}
		c.wg.Go(func() {
			defer func() { <-c.calls }()
			c.answer(ctx, f)
		})
	case api.FrameSubscribe:
		c.subscribe(ctx, f)
	case api.FrameUnsubscribe:
		c.unsubscribe(f.ID)
	case api.FrameResize:
		c.resize(ctx, f)
	case api.FramePing:
		c.send(ctx, api.ServerFrame{Type: api.FramePong, ID: f.ID})
	case api.FrameHello:
		// The upgrade brought a token already, or this is the second one.
	default:
		c.fail(ctx, f.ID, &api.Error{Code: api.CodeInvalid, Message: "This kind of message is not known."})
	}
}

func (c *conn) answer(ctx context.Context, f api.ClientFrame) {
	res, err := c.h.call(ctx, f.Method, f.CommandID, f.Params)
	var raw json.RawMessage
	if err == nil {
		raw, err = json.Marshal(res)
	}
	if err != nil {
		c.fail(ctx, f.ID, c.h.explain(f.Method, err))
		return
	}
	c.send(ctx, api.ServerFrame{Type: api.FrameResult, ID: f.ID, Result: raw})
}

// subscribe attaches to a topic. A subscription of the same id is replaced, and
// nothing of the old one comes after this.
func (c *conn) subscribe(ctx context.Context, f api.ClientFrame) {
	if f.ID == "" {
		c.fail(ctx, "", &api.Error{Code: api.CodeInvalid, Message: "A subscription needs an id."})
		return
	}
	c.unsubscribe(f.ID)
	conn := ctx
	ctx, cancel := context.WithCancel(conn)
	sub := &subscription{cancel: cancel, done: make(chan struct{})}
	c.mu.Lock()
	full := len(c.subs) >= maxSubscriptions
	if !full {
		c.subs[f.ID] = sub
	}
	c.mu.Unlock()
	if full {
		cancel()
		c.fail(conn, f.ID, &api.Error{Code: api.CodeTooLarge, Message: "There are too many subscriptions on this connection."})
		return
	}
	c.wg.Go(func() {
		defer cancel()
		defer close(sub.done)
		// Whatever ended it, its place is free before the client hears of it.
		last := c.pump(ctx, f, sub)
		c.mu.Lock()
		delete(c.subs, f.ID)
		c.mu.Unlock()
		if last != nil {
			c.send(ctx, *last)
		}
	})
}

func (c *conn) unsubscribe(id string) {
	c.mu.Lock()
	sub := c.subs[id]
	c.mu.Unlock()
	if sub != nil {
		sub.cancel()
		<-sub.done
	}
}

// pump forwards a subscription's frames until it ends and returns the frame
// that tells the client so, if there is one to tell.
func (c *conn) pump(ctx context.Context, f api.ClientFrame, sub *subscription) *api.ServerFrame {
	if th, ok := c.h.(terminalHost); ok && strings.HasPrefix(f.Topic, api.TopicTerminal) {
		return c.pumpTerminal(ctx, th, f, sub)
	}
	st, err := c.h.subscribe(f.Topic, f.After)
	if err != nil {
		return &api.ServerFrame{Type: api.FrameError, ID: f.ID, Error: c.h.explain("subscribe", err)}
	}
	defer st.Close()
	for {
		frame, err := st.Next(ctx)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, context.Canceled) {
				return nil
			}
			// The source ended: the client starts over.
			return &api.ServerFrame{Type: api.FrameResync, ID: f.ID}
		}
		frame.ID = f.ID
		if frame.Type == api.FrameResync {
			return &frame
		}
		c.send(ctx, frame)
	}
}

// backendHost is a Server as a WebSocket sees it.
type backendHost struct{ s *Server }

func (b backendHost) authorize(token string) error { return b.s.authorize(token) }

func (b backendHost) welcome() (api.ServerFrame, <-chan struct{}) {
	d, changed := b.s.Descriptor()
	return api.ServerFrame{Type: api.FrameWelcome, Descriptor: &d}, changed
}

func (b backendHost) call(ctx context.Context, method, commandID string, params []byte) (any, error) {
	return b.s.call(ctx, method, commandID, params)
}

func (b backendHost) subscribe(topic string, after *int64) (stream, error) {
	if err := b.s.ready(); err != nil {
		return nil, err
	}
	if topic == api.TopicTerminals {
		return b.s.watchTerminals()
	}
	if d := b.s.o.Review; d != nil {
		if st, ok, err := d.Subscribe(topic); err != nil {
			return nil, err
		} else if ok {
			return st, nil
		}
	}
	return b.s.o.Engine.Subscribe(topic, after)
}

func (b backendHost) explain(method string, err error) *api.Error { return b.s.explain(method, err) }
