package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"catamaran/internal/api"
	"catamaran/internal/auth"
)

// client is the other end of a WebSocket.
type client struct {
	t  testing.TB
	ws *websocket.Conn
}

func dial(t testing.TB, url string, h http.Header) (*client, *http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ws, res, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(url, "http"), &websocket.DialOptions{HTTPHeader: h})
	if err != nil {
		return nil, res, err
	}
	ws.SetReadLimit(maxBody)
	t.Cleanup(func() { ws.CloseNow() })
	return &client{t: t, ws: ws}, res, nil
}

func (f *fixture) dial(path string) *client {
	f.t.Helper()
	c, _, err := dial(f.t, f.http.URL+path, http.Header{"Authorization": {"Bearer " + f.token()}})
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

func (c *client) send(f api.ClientFrame) {
	c.t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		c.t.Fatal(err)
	}
	c.sendRaw(websocket.MessageText, b)
}

func (c *client) sendRaw(kind websocket.MessageType, b []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	if err := c.ws.Write(ctx, kind, b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) read() (api.ServerFrame, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	return c.within(ctx)
}

func (c *client) within(ctx context.Context) (api.ServerFrame, error) {
	_, b, err := c.ws.Read(ctx)
	if err != nil {
		return api.ServerFrame{}, err
	}
	var f api.ServerFrame
	return f, json.Unmarshal(b, &f)
}

// want reads one frame of the type and id.
func (c *client) want(kind, id string) api.ServerFrame {
	c.t.Helper()
	f, err := c.read()
	if err != nil || f.Type != kind || f.ID != id {
		c.t.Fatalf("frame %+v, %v; want %s %q", f, err, kind, id)
	}
	return f
}

func TestSocketSignIn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	expired := f.o.Identity.Sign(Audience, time.Now().Add(-time.Hour))
	hello := func(token string) string { return fmt.Sprintf(`{"type":"hello","token":%q}`, token) }
	for name, tc := range map[string]struct {
		header, first string
		want          api.Code
	}{
		"header":           {header: f.token()},
		"hello":            {first: hello(f.token())},
		"expired header":   {header: expired, want: api.CodeTokenExpired},
		"expired hello":    {first: hello(expired), want: api.CodeTokenExpired},
		"hello without":    {first: `{"type":"hello"}`, want: api.CodeUnauthorized},
		"a call first":     {first: `{"type":"call","id":"1","method":"ping"}`, want: api.CodeUnauthorized},
		"garbage first":    {first: `nonsense`, want: api.CodeUnauthorized},
		"malformed header": {header: "x", want: api.CodeTokenMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			if tc.header != "" {
				h.Set("Authorization", "Bearer "+tc.header)
			}
			c, res, err := dial(t, f.http.URL+"/ws", h)
			if tc.header != "" && tc.want != "" {
				if err == nil || res == nil || res.StatusCode != 401 {
					t.Fatalf("upgraded: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tc.first != "" {
				c.sendRaw(websocket.MessageText, []byte(tc.first))
			}
			if tc.want == "" {
				if w := c.want(api.FrameWelcome, ""); w.Descriptor == nil || w.Descriptor.Phase != api.PhaseStarting {
					t.Fatalf("%+v", w)
				}
				return
			}
			if e := c.want(api.FrameError, "").Error; e == nil || e.Code != tc.want {
				t.Fatalf("%+v", e)
			}
			if _, err := c.read(); websocket.CloseStatus(err) != statusUnauthorized {
				t.Fatalf("closed with %v", err)
			}
		})
	}
}

func TestSocketFrames(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	c := f.dial("/ws")
	c.want(api.FrameWelcome, "")
	c.send(api.ClientFrame{Type: api.FrameHello, Token: "not looked at"})
	c.send(api.ClientFrame{Type: api.FramePing, ID: "p"})
	c.want(api.FramePong, "p")
	c.send(api.ClientFrame{Type: api.FrameCall, ID: "1", Method: api.MethodPing})
	if got := c.want(api.FrameResult, "1"); string(got.Result) != "{}" {
		t.Errorf("%s", got.Result)
	}
	c.send(api.ClientFrame{Type: api.FrameCall, ID: "2", Method: api.MethodFolderList, Params: json.RawMessage(`{"path":"/nowhere at all"}`)})
	if e := c.want(api.FrameError, "2").Error; e.Code != api.CodeNotFound {
		t.Errorf("%+v", e)
	}
	c.send(api.ClientFrame{Type: api.FrameCall, ID: "3", Method: api.MethodAgentList})
	if e := c.want(api.FrameError, "3").Error; e.Code != api.CodeNotReady || !e.Retryable {
		t.Errorf("%+v", e)
	}
	c.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "4", Topic: api.TopicShell})
	if e := c.want(api.FrameError, "4").Error; e.Code != api.CodeNotReady {
		t.Errorf("%+v", e)
	}
	c.send(api.ClientFrame{Type: "dance", ID: "5"})
	if e := c.want(api.FrameError, "5").Error; e.Code != api.CodeInvalid {
		t.Errorf("%+v", e)
	}
	c.send(api.ClientFrame{Type: api.FrameUnsubscribe, ID: "never"})
	c.sendRaw(websocket.MessageText, []byte(`{"type":`))
	c.want(api.FrameError, "")
	c.sendRaw(websocket.MessageBinary, []byte(`{"type":"ping"}`))
	c.want(api.FrameError, "")
	f.SetPhase(api.PhaseMigrating, nil)
	if w := c.want(api.FrameWelcome, ""); w.Descriptor.Phase != api.PhaseMigrating {
		t.Errorf("%+v", w.Descriptor)
	}
}

func TestSocketEndsWithTheServer(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	c := f.dial("/ws")
	c.want(api.FrameWelcome, "")
	silent := f.dial("/ws") // never reads, so it never answers the closing frame
	began := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- f.Close(t.Context()) }()
	if _, err := c.read(); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("closed with %v", err)
	}
	if err := <-ended; err != nil || time.Since(began) > 4*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	if _, res, err := dial(t, f.http.URL+"/ws", http.Header{"Authorization": {"Bearer " + f.token()}}); err == nil || res.StatusCode != 503 {
		t.Errorf("another connection: %v", err)
	}
	silent.ws.CloseNow()
}

// testHost is a host whose calls and streams the test holds in its hand.
type testHost struct {
	release chan struct{}
	running atomic.Int32
	most    atomic.Int32

	mu      sync.Mutex
	streams map[string]*testStream
}

type testStream struct {
	frames chan api.ServerFrame
	closed atomic.Bool
}

func (s *testStream) Next(ctx context.Context) (api.ServerFrame, error) {
	select {
	case f, ok := <-s.frames:
		if !ok {
			return f, io.EOF
		}
		return f, nil
	case <-ctx.Done():
		return api.ServerFrame{}, ctx.Err()
	}
}

func (s *testStream) Close() { s.closed.Store(true) }

func (h *testHost) authorize(string) error { return nil }
func (h *testHost) welcome() (api.ServerFrame, <-chan struct{}) {
	return api.ServerFrame{Type: api.FrameWelcome}, nil
}
func (h *testHost) call(ctx context.Context, method, _ string, _ []byte) (any, error) {
	n := h.running.Add(1)
	defer h.running.Add(-1)
	h.most.Store(max(h.most.Load(), n))
	select {
	case <-h.release:
		return api.Empty{}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
func (h *testHost) subscribe(topic string, _ *int64) (stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.streams[topic]; s != nil {
		return s, nil
	}
	return nil, errors.New("no such topic")
}
func (h *testHost) explain(_ string, err error) *api.Error {
	return auth.Explain(slog.New(slog.DiscardHandler), err)
}

func serveHost(t *testing.T, h *testHost) *client {
	t.Helper()
	var s sockets
	s.init(slog.New(slog.DiscardHandler))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, h) }))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.close(ctx); err != nil {
			t.Error(err)
		}
		srv.Close()
	})
	c, _, err := dial(t, srv.URL, http.Header{"Authorization": {"Bearer x"}})
	if err != nil {
		t.Fatal(err)
	}
	c.want(api.FrameWelcome, "")
	return c
}

func TestSocketBoundsCalls(t *testing.T) {
	t.Parallel()
	h := &testHost{release: make(chan struct{})}
	c := serveHost(t, h)
	const calls = 3 * maxCalls
	for i := range calls {
		c.send(api.ClientFrame{Type: api.FrameCall, ID: fmt.Sprint(i), Method: "wait"})
	}
	seen := map[string]bool{}
	for range calls {
		h.release <- struct{}{}
		f, err := c.read()
		if err != nil || f.Type != api.FrameResult || seen[f.ID] {
			t.Fatalf("%+v, %v", f, err)
		}
		seen[f.ID] = true
	}
	if most := h.most.Load(); most > maxCalls {
		t.Errorf("%d calls at once", most)
	}
}

func TestSocketSubscriptions(t *testing.T) {
	t.Parallel()
	a, b := &testStream{frames: make(chan api.ServerFrame)}, &testStream{frames: make(chan api.ServerFrame)}
	h := &testHost{streams: map[string]*testStream{"a": a, "b": b}}
	c := serveHost(t, h)
	c.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "1", Topic: "a"})
	c.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "2", Topic: "b"})
	a.frames <- api.ServerFrame{Type: api.FrameSnapshot, Seq: 7}
	if f := c.want(api.FrameSnapshot, "1"); f.Seq != 7 {
		t.Errorf("%+v", f)
	}
	b.frames <- api.ServerFrame{Type: api.FrameEvent}
	c.want(api.FrameEvent, "2")

	// A slow reader's resync ends the subscription; its id can be used again.
	b.frames <- api.ServerFrame{Type: api.FrameResync}
	c.want(api.FrameResync, "2")
	if !b.closed.Load() {
		t.Error("the stream stays open after a resync")
	}
	c.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "2", Topic: "nothing"})
	if e := c.want(api.FrameError, "2").Error; e.Code != api.CodeInternal || e.Ref == "" {
		t.Errorf("%+v", e)
	}
	c.send(api.ClientFrame{Type: api.FrameSubscribe, Topic: "a"})
	c.want(api.FrameError, "")

	// The same id replaces, and nothing comes of what was ended.
	h.mu.Lock()
	h.streams["a"] = &testStream{frames: make(chan api.ServerFrame, 1)}
	h.mu.Unlock()
	c.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "1", Topic: "a"})
	h.streams["a"].frames <- api.ServerFrame{Type: api.FrameSynchronized}
	c.want(api.FrameSynchronized, "1")
	if !a.closed.Load() {
		t.Error("the replaced stream stays open")
	}
	c.send(api.ClientFrame{Type: api.FrameUnsubscribe, ID: "1"})
	c.send(api.ClientFrame{Type: api.FramePing, ID: "after"})
	c.want(api.FramePong, "after")
	if !h.streams["a"].closed.Load() {
		t.Error("the stream stays open after unsubscribe")
	}

	// A source that ends is a reason to start over.
	h.mu.Lock()
	h.streams["b"] = &testStream{frames: make(chan api.ServerFrame)}
	h.mu.Unlock()
	close(h.streams["b"].frames)
	c.send(api.ClientFrame{Type: api.FrameSubscribe, ID: "3", Topic: "b"})
	c.want(api.FrameResync, "3")
}

func TestSocketBoundsSubscriptions(t *testing.T) {
	t.Parallel()
	a := &testStream{frames: make(chan api.ServerFrame)}
	c := serveHost(t, &testHost{streams: map[string]*testStream{"a": a}})
	for i := range maxSubscriptions + 1 {
		c.send(api.ClientFrame{Type: api.FrameSubscribe, ID: fmt.Sprint(i), Topic: "a"})
	}
	if e := c.want(api.FrameError, fmt.Sprint(maxSubscriptions)).Error; e.Code != api.CodeTooLarge {
		t.Errorf("%+v", e)
	}
}

func FuzzClientFrame(f *testing.F) {
	f.Add([]byte(`{"type":"call","id":"1","method":"ping","params":{}}`))
	f.Add([]byte(`{"type":"subscribe","id":"1","topic":"thread:x","after":-1}`))
	id, err := auth.LoadIdentity(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	fx := newFixture(f, nil)
	fx.o.Identity = id
	f.Fuzz(func(t *testing.T, b []byte) {
		var frame api.ClientFrame
		if json.Unmarshal(b, &frame) != nil || frame.Type != api.FrameCall || frame.Method == api.MethodFolderList {
			return
		}
		if _, err := fx.call(t.Context(), frame.Method, frame.CommandID, frame.Params); err != nil {
			if e := fx.explain(frame.Method, err); e.Code == "" || e.Message == "" {
				t.Fatalf("%+v", e)
			}
		}
	})
}
