package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/coder/websocket"

	"catamaran/internal/api"
	"catamaran/internal/auth"
)

// backendSocket is GET /e/<id>/ws: the page's socket, joined to a socket of the
// backend. Each direction holds one frame at most; a side that takes no frame
// for writeWait ends both.
func (g *Gateway) backendSocket(w http.ResponseWriter, r *http.Request) {
	id, _, ok := backendRoute(r.URL)
	leave, free := g.enter(true)
	if !free {
		auth.WriteError(w, &api.Error{Code: api.CodeUnavailable, Message: "Too many connections are open.", Retryable: true})
		return
	}
	defer leave()
	if !ok {
		auth.WriteError(w, &api.Error{Code: api.CodeNotFound, Message: "There is nothing at this address."})
		return
	}
	page := g.accept(w, r)
	if page == nil {
		return
	}
	defer page.CloseNow()
	backend, err := g.dialSocket(id)
	if err != nil {
		end(page, websocket.StatusTryAgainLater, g.backendError(id, err), g.base)
		return
	}
	defer backend.CloseNow()
	backend.SetReadLimit(maxFrame)
	g.join(page, backend)
}

// dialSocket opens /ws of a backend with the desktop's token; a refused token is exchanged once.
func (g *Gateway) dialSocket(id string) (*wire, error) {
	ctx, cancel := context.WithTimeout(g.base, dialWait)
	defer cancel()
	for attempt := 0; ; attempt++ {
		token, err := g.o.Backends.Token(ctx, id)
		if err != nil {
			return nil, err
		}
		up := &upgrader{RoundTripper: g.transport(id)}
		c, res, err := websocket.Dial(ctx, "ws://"+backendHost+"/ws", &websocket.DialOptions{
			HTTPClient:      &http.Client{Transport: up},
			HTTPHeader:      http.Header{"Authorization": {"Bearer " + token}},
			CompressionMode: websocket.CompressionDisabled,
		})
		if err == nil {
			return &wire{c, up.stream}, nil
		}
		if res == nil || res.StatusCode != http.StatusUnauthorized {
			return nil, err
		}
		g.o.Backends.Refused(id, token)
		if attempt > 0 {
			return nil, errRefused
		}
	}
}

// join copies frames both ways until one side ends, then ends the other with the same code.
func (g *Gateway) join(page, backend *wire) {
	// Not under base: a cancelled read cuts the connection, and the page is to be told first.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	type ended struct {
		err  error
		from *wire
	}
	done := make(chan ended, 2)
	pump := func(from, to *wire) {
		done <- ended{copyFrames(ctx, from, to), from}
	}
	go pump(page, backend)
	go pump(backend, page)
	pumps := 2
	select {
	case first := <-done:
		pumps--
		other, lost := backend, websocket.StatusGoingAway
		if first.from == backend {
			// The page reconnects after this code; what it missed is replayed by cursor.
			other, lost = page, websocket.StatusServiceRestart
		}
		code, reason := passedOn(first.err, lost)
		other.closeWithin(code, reason)
	case <-g.base.Done():
		page.closeWithin(websocket.StatusGoingAway, reasonEnding)
	}
	cancel()
	page.CloseNow()
	backend.CloseNow()
	for range pumps {
		<-done
	}
}

// frameBuffer is what is kept for the next frame; a terminal's are no longer than this.
const frameBuffer = 64 << 10

// copyFrames returns when from or to ends; the error is from's close where it said one.
func copyFrames(ctx context.Context, from, to *wire) error {
	var buf []byte
	for {
		kind, r, err := from.Reader(ctx)
		if err != nil {
			return err
		}
		if buf, err = readFrame(r, buf[:0]); err != nil {
			return err
		}
		if err := writeWithin(ctx, to, kind, buf); err != nil {
			return err
		}
		if cap(buf) > frameBuffer {
			buf = nil
		}
	}
}

// readFrame appends a whole frame to buf.
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			// Most frames are small; one that is not is a terminal's, or rare.
			grown := make([]byte, len(buf), max(4<<10, min(frameBuffer, 16*cap(buf)), 2*cap(buf)))
			copy(grown, buf)
			buf = grown
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

func writeWithin(ctx context.Context, c *wire, kind websocket.MessageType, b []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	return c.Write(ctx, kind, b)
}

// passedOn is what the other side is closed with: the same code where the wire may carry it.
func passedOn(err error, lost websocket.StatusCode) (websocket.StatusCode, string) {
	var ce websocket.CloseError
	if !errors.As(err, &ce) {
		return lost, ""
	}
	switch ce.Code {
	case websocket.StatusNoStatusRcvd:
		return websocket.StatusNormalClosure, ""
	case websocket.StatusAbnormalClosure, websocket.StatusTLSHandshake:
		return lost, ""
	}
	return ce.Code, ce.Reason
}
