// Package termtest is a client of terminals over a WebSocket, for tests and
// benchmarks: it subscribes, checks the numbers of what comes, acknowledges it
// and types. It draws nothing.
package termtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/coder/websocket"

	"catamaran/internal/api"
	"catamaran/internal/term"
)

// Screen is one subscription on a connection of its own. One goroutine uses it.
type Screen struct {
	ws *websocket.Conn
	id string
	// Seq is the number of the next byte, View the head as it was told last.
	Seq  int64
	View api.TerminalView
	// Output is told of the bytes as they come; they are valid until it returns.
	Output func(b []byte)
	typed  int64
	acked  int64
	text   []byte
	buf    bytes.Buffer
}

// keep is how much of the output Sees looks back on.
const keep = 64 << 10

// Subscribe subscribes to a terminal, after a number or, with nil, from the
// beginning, and waits for its head. Frames of others that come before are dropped.
func Subscribe(ctx context.Context, ws *websocket.Conn, terminalID string, after *int64) (*Screen, error) {
	ws.SetReadLimit(16 << 20)
	s := &Screen{ws: ws, id: "t"}
	if after != nil {
		s.Seq, s.acked = *after, *after
	}
	if err := s.send(ctx, api.ClientFrame{Type: api.FrameSubscribe, ID: s.id, Topic: api.TopicTerminal + terminalID, After: after}); err != nil {
		return nil, err
	}
	for s.View.Terminal.ID == "" {
		if _, err := s.Next(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Screen) send(ctx context.Context, f api.ClientFrame) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return s.ws.Write(ctx, websocket.MessageText, b)
}

// Next takes one message in and returns the type of the frame, "" for bytes.
func (s *Screen) Next(ctx context.Context) (string, error) {
	kind, r, err := s.ws.Reader(ctx)
	if err != nil {
		return "", err
	}
	s.buf.Reset()
	if _, err := s.buf.ReadFrom(r); err != nil {
		return "", err
	}
	if kind == websocket.MessageText {
		return s.frame(s.buf.Bytes())
	}
	f, err := term.ParseFrame(s.buf.Bytes())
	if err != nil || f.ID != s.id || f.Kind != api.TerminalOutput {
		return "", err
	}
	if f.Seq != s.Seq {
		return "", fmt.Errorf("output begins at %d, not at %d", f.Seq, s.Seq)
	}
	s.Seq += int64(len(f.Data))
	if s.Output != nil {
		s.Output(f.Data)
	} else {
		s.text = append(s.text, f.Data...)
		if len(s.text) > 2*keep {
			s.text = append(s.text[:0], s.text[len(s.text)-keep:]...)
		}
	}
	// As a page does: now and then in a flood, at once at the end of one.
	if s.Seq-s.acked < api.TerminalWindow/8 && len(f.Data) > 32<<10 {
		return "", nil
	}
	s.acked = s.Seq
	return "", s.ws.Write(ctx, websocket.MessageBinary, term.AppendHead(nil, api.TerminalAck, s.id, s.Seq))
}

func (s *Screen) frame(b []byte) (string, error) {
	var f api.ServerFrame
	if err := json.Unmarshal(b, &f); err != nil {
		return "", err
	}
	if f.Type == api.FrameError {
		return f.Type, f.Error
	}
	if f.ID != s.id {
		return f.Type, nil
	}
	if f.Terminal != nil {
		s.View = *f.Terminal
	}
	if f.Type == api.FrameSnapshot {
		s.Seq, s.acked, s.text = f.Seq, f.Seq, nil
	}
	return f.Type, nil
}

// Type types text.
func (s *Screen) Type(ctx context.Context, text string) error {
	b := append(term.AppendHead(nil, api.TerminalTyped, s.id, s.typed), text...)
	s.typed += int64(len(text))
	return s.ws.Write(ctx, websocket.MessageBinary, b)
}

// Resize tells the size and that the person is here.
func (s *Screen) Resize(ctx context.Context, cols, rows int) error {
	return s.send(ctx, api.ClientFrame{Type: api.FrameResize, ID: s.id, Cols: cols, Rows: rows, Focused: true})
}

// Sees takes messages in until the output since the last Sees has text.
func (s *Screen) Sees(ctx context.Context, text string) error {
	for {
		if i := bytes.Index(s.text, []byte(text)); i >= 0 {
			s.text = s.text[i+len(text):]
			return nil
		}
		if _, err := s.Next(ctx); err != nil {
			return fmt.Errorf("%q did not come: %w; the end of what came: %q", text, err, s.text[max(0, len(s.text)-400):])
		}
	}
}

// Until takes messages in until the head is as wanted.
func (s *Screen) Until(ctx context.Context, ok func(v api.TerminalView) bool) error {
	for !ok(s.View) {
		if _, err := s.Next(ctx); err != nil {
			return fmt.Errorf("the head stays %+v: %w", s.View, err)
		}
	}
	return nil
}
