package gateway

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// wire is a WebSocket that can be cut. The WebSocket by itself cannot be: while it
// waits for its peer's closing frame, five seconds, CloseNow only waits along.
type wire struct {
	*websocket.Conn
	below io.Closer
}

// closeWithin closes with a code; a peer that does not answer the close is cut off.
func (w *wire) closeWithin(code websocket.StatusCode, reason string) {
	t := time.AfterFunc(closeWait, func() { _ = w.below.Close() })
	defer t.Stop()
	_ = w.Close(code, reason)
}

// hijacker keeps hold of the connection that an upgrade takes over.
type hijacker struct {
	http.ResponseWriter
	conn net.Conn
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	h.conn = conn
	return conn, rw, err
}

// upgrader keeps hold of the stream that a backend's 101 comes with.
type upgrader struct {
	http.RoundTripper
	stream io.Closer
}

func (u *upgrader) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := u.RoundTripper.RoundTrip(r)
	if err == nil {
		u.stream = res.Body
	}
	return res, err
}
