package server

import (
	"context"
	"io"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/term"
)

// bulkSize is the most output in one message, in bytes: what one piece on the link takes, head included.
const bulkSize = 60 << 10

var errNoTerminals = &api.Error{Code: api.CodeUnavailable, Message: "This backend has no terminals."}

// terminalHost is a host that has terminals.
type terminalHost interface {
	// attach attaches a viewer for a subscription of topic terminal:<id>.
	attach(ctx context.Context, f api.ClientFrame) (*term.Viewer, error)
}

// bulk is one binary message; the writer says when b may be used again.
type bulk struct {
	b    []byte
	sent chan<- struct{}
}

func (b backendHost) attach(ctx context.Context, f api.ClientFrame) (*term.Viewer, error) {
	if err := b.s.ready(); err != nil {
		return nil, err
	}
	if b.s.o.Terminals == nil {
		return nil, errNoTerminals
	}
	if len(f.ID) > term.MaxFrameID {
		return nil, &api.Error{Code: api.CodeInvalid, Message: "A terminal's subscription has an id of at most 255 bytes."}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return b.s.o.Terminals.Attach(ctx, strings.TrimPrefix(f.Topic, api.TopicTerminal), f.After, f.Tail)
}

// pumpTerminal is pump for a terminal: heads as frames, bytes as binary messages.
// There is one message of a terminal with the writer at a time, so that output
// that cannot leave gathers in the history, not in a queue.
func (c *conn) pumpTerminal(ctx context.Context, h terminalHost, f api.ClientFrame, sub *subscription) *api.ServerFrame {
	v, err := h.attach(ctx, f)
	if err != nil {
		return &api.ServerFrame{Type: api.FrameError, ID: f.ID, Error: c.h.explain("subscribe", err)}
	}
	defer v.Close()
	sub.viewer.Store(v)
	defer sub.viewer.Store(nil)
	head := term.HeadSize(f.ID)
	buf := make([]byte, head+bulkSize)
	spare := make([]byte, head+bulkSize)
	sent := make(chan struct{}, 2)
	waiting := 0 // messages the writer has not given back
	put := func(b []byte) bool {
		select {
		case c.bulk <- bulk{b, sent}:
			waiting++
			return true
		case <-ctx.Done():
			return false
		}
	}
	// The writer may still have a buffer when this ends; it gives it back to nobody then.
	for {
		p, err := v.Next(ctx, buf[head:])
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return &api.ServerFrame{Type: api.FrameResync, ID: f.ID}
		}
		switch p.Kind {
		case term.PieceOutput:
			term.AppendHead(buf[:0], api.TerminalOutput, f.ID, p.Seq)
			if !put(buf[:head+p.N]) {
				return nil
			}
			if waiting == 2 {
				select {
				case <-sent:
					waiting--
				case <-ctx.Done():
					return nil
				}
			}
			buf, spare = spare, buf
		case term.PieceTaken:
			if !put(term.AppendHead(nil, api.TerminalTaken, f.ID, p.Seq)) {
				return nil
			}
			select {
			case <-sent:
				waiting--
			case <-ctx.Done():
				return nil
			}
		case term.PieceResync:
			return &api.ServerFrame{Type: api.FrameResync, ID: f.ID}
		default:
			// What is in the writer's hands comes before the head that follows it.
			for ; waiting > 0; waiting-- {
				select {
				case <-sent:
				case <-ctx.Done():
					return nil
				}
			}
			frame := api.ServerFrame{ID: f.ID, Seq: p.Seq}
			switch p.Kind {
			case term.PieceSnapshot:
				frame.Type, frame.Terminal = api.FrameSnapshot, &p.View
			case term.PieceInfo:
				frame.Type, frame.Terminal = api.FrameEvent, &p.View
			case term.PieceSynchronized:
				frame.Type = api.FrameSynchronized
			}
			c.send(ctx, frame)
		}
	}
}

// terminalFrame is a binary message of the client. One of a subscription that
// has just ended is no mistake.
func (c *conn) terminalFrame(ctx context.Context, b []byte) {
	f, err := term.ParseFrame(b)
	if err != nil || f.Kind != api.TerminalTyped && f.Kind != api.TerminalAck {
		c.fail(ctx, "", &api.Error{Code: api.CodeInvalid, Message: "A binary message is not a terminal's."})
		return
	}
	v := c.viewer(f.ID)
	if v == nil {
		return
	}
	if f.Kind == api.TerminalAck {
		err = v.Ack(f.Seq)
	} else {
		err = v.Type(f.Seq, f.Data)
	}
	c.refuse(ctx, f.ID, err)
}

func (c *conn) resize(ctx context.Context, f api.ClientFrame) {
	v := c.viewer(f.ID)
	if v == nil {
		return
	}
	c.refuse(ctx, f.ID, v.Resize(f.Cols, f.Rows, f.Focused))
}

// refuse ends a subscription whose client broke the rules, and says why.
func (c *conn) refuse(ctx context.Context, id string, err error) {
	if err == nil {
		return
	}
	c.unsubscribe(id)
	c.fail(ctx, id, c.h.explain("terminal", err))
}

func (c *conn) viewer(id string) *term.Viewer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sub := c.subs[id]; sub != nil {
		return sub.viewer.Load()
	}
	return nil
}

// terminalsStream is topic terminals: the whole list at every change; changes
// that come faster than they are read are one.
type terminalsStream struct {
	m       *term.Manager
	step    int
	changed <-chan struct{}
	closed  chan struct{}
}

func (s *Server) watchTerminals() (stream, error) {
	if s.o.Terminals == nil {
		return nil, errNoTerminals
	}
	return &terminalsStream{m: s.o.Terminals, closed: make(chan struct{})}, nil
}

func (t *terminalsStream) Next(ctx context.Context) (api.ServerFrame, error) {
	t.step++
	kind := api.FrameSnapshot
	switch t.step {
	case 1:
	case 2:
		return api.ServerFrame{Type: api.FrameSynchronized}, nil
	default:
		kind = api.FrameEvent
		select {
		case <-t.changed:
		case <-t.closed:
			return api.ServerFrame{}, io.EOF
		case <-ctx.Done():
			return api.ServerFrame{}, ctx.Err()
		}
	}
	list, changed, err := t.m.Watch(ctx)
	if err != nil {
		return api.ServerFrame{}, err
	}
	t.changed = changed
	return api.ServerFrame{Type: kind, Terminals: &list}, nil
}

// Close is called once, by the connection.
func (t *terminalsStream) Close() { close(t.closed) }
