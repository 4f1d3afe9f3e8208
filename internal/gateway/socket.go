package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"catamaran/internal/api"
	"catamaran/internal/auth"
)

// closeSignIn is the close code after a refused token: the page must sign in again instead of reconnecting.
const closeSignIn websocket.StatusCode = 4401

// accept upgrades a page's request and waits for its token. On failure it has
// answered and returns nil.
func (g *Gateway) accept(w http.ResponseWriter, r *http.Request) *wire {
	bearer := auth.Bearer(r)
	if bearer != "" {
		if err := g.verify(bearer); err != nil {
			auth.WriteError(w, err)
			return nil
		}
	}
	// The door has compared Origin with its list; Accept compares it with Host once more.
	below := &hijacker{ResponseWriter: w}
	ws, err := websocket.Accept(below, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return nil
	}
	c := &wire{ws, below.conn}
	if bearer == "" {
		if err := g.awaitHello(c); err != nil {
			end(c, closeSignIn, g.public(err, "socket hello"), g.base)
			return nil
		}
	}
	c.SetReadLimit(maxFrame)
	return c
}

// awaitHello reads the first frame, which must be a hello with a valid token.
func (g *Gateway) awaitHello(c *wire) error {
	ctx, cancel := context.WithTimeout(g.base, helloWait)
	defer cancel()
	c.SetReadLimit(maxHelloFrame)
	_, b, err := c.Read(ctx)
	if err != nil {
		return &api.Error{Code: api.CodeUnauthorized, Message: "No hello came on the WebSocket."}
	}
	var f api.ClientFrame
	if json.Unmarshal(b, &f) != nil || f.Type != api.FrameHello {
		return &api.Error{Code: api.CodeUnauthorized, Message: "The first frame on the WebSocket must be a hello with a token."}
	}
	return g.verify(f.Token)
}

// end says why and closes.
func end(c *wire, code websocket.StatusCode, e *api.Error, ctx context.Context) {
	_ = writeFrame(ctx, c, api.ServerFrame{Type: api.FrameError, Error: e})
	c.closeWithin(code, string(e.Code))
}

func writeFrame(ctx context.Context, c *wire, f api.ServerFrame) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	return c.Write(ctx, websocket.MessageText, b)
}

// pageSocket is one page's socket to the gateway itself. Its reader goroutine
// owns subs; writes are made one frame at a time by whoever has something, and a
// reader that takes none for writeWait loses the connection.
type pageSocket struct {
	g      *Gateway
	c      *wire
	ctx    context.Context
	cancel context.CancelFunc
	calls  chan struct{} // slots
	subs   map[string]context.CancelFunc
	work   sync.WaitGroup
}

// maxSubscriptions on one page socket.
const maxSubscriptions = 8

// socket is GET /ws.
func (g *Gateway) socket(w http.ResponseWriter, r *http.Request) {
	leave, ok := g.enter(true)
	if !ok {
		auth.WriteError(w, &api.Error{Code: api.CodeUnavailable, Message: "Too many connections are open.", Retryable: true})
		return
	}
	defer leave()
	c := g.accept(w, r)
	if c == nil {
		return
	}
	defer c.CloseNow()
	s := &pageSocket{g: g, c: c, calls: make(chan struct{}, maxCalls), subs: map[string]context.CancelFunc{}}
	// Not under base: a cancelled read cuts the connection, and the page is to be told first.
	s.ctx, s.cancel = context.WithCancel(context.Background())
	defer s.work.Wait()
	defer s.cancel()
	defer context.AfterFunc(g.base, func() {
		c.closeWithin(websocket.StatusGoingAway, reasonEnding)
		s.cancel()
	})()
	s.send(api.ServerFrame{Type: api.FrameWelcome})
	s.read()
}

const reasonEnding = "Catamaran is ending"

func (s *pageSocket) send(f api.ServerFrame) {
	if writeFrame(s.ctx, s.c, f) != nil {
		s.cancel()
	}
}

func (s *pageSocket) read() {
	for {
		_, b, err := s.c.Read(s.ctx)
		if err != nil {
			return
		}
		var f api.ClientFrame
		if json.Unmarshal(b, &f) != nil {
			end(s.c, websocket.StatusPolicyViolation, &api.Error{Code: api.CodeInvalid, Message: "A frame was not JSON."}, s.ctx)
			return
		}
		switch f.Type {
		case api.FramePing:
			s.send(api.ServerFrame{Type: api.FramePong, ID: f.ID})
		case api.FrameCall:
			s.call(f)
		case api.FrameSubscribe:
			s.subscribe(f)
		case api.FrameUnsubscribe:
			if stop := s.subs[f.ID]; stop != nil {
				stop()
				delete(s.subs, f.ID)
			}
		case api.FrameHello: // a client that sent the header as well
		default:
			s.send(api.ServerFrame{Type: api.FrameError, ID: f.ID, Error: &api.Error{
				Code: api.CodeInvalid, Message: "The gateway knows no frame of type " + printable(f.Type) + "."}})
		}
	}
}

func (s *pageSocket) call(f api.ClientFrame) {
	select {
	case s.calls <- struct{}{}:
	default:
		s.send(api.ServerFrame{Type: api.FrameError, ID: f.ID, Error: &api.Error{
			Code: api.CodeUnavailable, Message: "Too many calls are in flight.", Retryable: true}})
		return
	}
	s.work.Go(func() {
		defer func() { <-s.calls }()
		res, e := s.g.call(s.ctx, s.g.methods, f.Method, f.Params)
		if e != nil {
			s.send(api.ServerFrame{Type: api.FrameError, ID: f.ID, Error: e})
			return
		}
		b, err := json.Marshal(res)
		if err != nil {
			s.send(api.ServerFrame{Type: api.FrameError, ID: f.ID, Error: s.g.public(err, "encode "+f.Method)})
			return
		}
		s.send(api.ServerFrame{Type: api.FrameResult, ID: f.ID, Result: b})
	})
}

// subscribe follows topic environments. Watch coalesces, so a slow page gets
// fewer, newer states and never a queue.
func (s *pageSocket) subscribe(f api.ClientFrame) {
	var e *api.Error
	switch {
	case f.Topic != api.TopicEnvironments:
		e = &api.Error{Code: api.CodeNotFound, Message: "The gateway has no topic " + printable(f.Topic) + "."}
	case f.ID == "" || s.subs[f.ID] != nil:
		e = &api.Error{Code: api.CodeInvalid, Message: "A subscription needs an id of its own."}
	case len(s.subs) >= maxSubscriptions:
		e = &api.Error{Code: api.CodeUnavailable, Message: "Too many subscriptions are open on this connection."}
	}
	if e != nil {
		s.send(api.ServerFrame{Type: api.FrameError, ID: f.ID, Error: e})
		return
	}
	ctx, stop := context.WithCancel(s.ctx)
	s.subs[f.ID] = stop
	told := s.g.watchTold(ctx)
	s.work.Go(func() {
		first := true
		s.g.o.Environments.Watch(ctx, func(now api.Environments) {
			if ctx.Err() != nil {
				return
			}
			if !first {
				s.send(api.ServerFrame{Type: api.FrameEvent, ID: f.ID, Environments: &now})
				return
			}
			first = false
			s.send(api.ServerFrame{Type: api.FrameSnapshot, ID: f.ID, Environments: &now})
			s.send(api.ServerFrame{Type: api.FrameSynchronized, ID: f.ID})
		})
	})
	s.work.Go(func() {
		for {
			select {
			case frame := <-told:
				frame.ID = f.ID
				s.send(frame)
			case <-ctx.Done():
				return
			}
		}
	})
}
