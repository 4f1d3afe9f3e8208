package link

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// HTTP is what the link carries in the product: keep-alive, cancelled requests,
// a connection taken over, and a server that shuts down.
func TestHTTP(t *testing.T) {
	t.Parallel()
	a, b := pair(t, Options{}, Options{})
	cancelled := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Write(body)
	})
	mux.HandleFunc("GET /wait", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(cancelled)
	})
	mux.HandleFunc("GET /upgrade", func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(c, rw)
	})
	server := &http.Server{Handler: mux}
	served := make(chan error, 1)
	go func() { served <- server.Serve(b.Listener()) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return a.Open(ctx) }}
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	defer transport.CloseIdleConnections()

	var calls sync.WaitGroup
	for i := range 8 {
		calls.Go(func() {
			body := bytes.Repeat([]byte{byte(i)}, 1+i*50_000)
			for range 20 {
				resp, err := client.Post("http://backend/echo", "", bytes.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d of %d bytes, %v", len(got), len(body), err)
				}
			}
		})
	}
	calls.Wait()

	ctx, cancel := context.WithCancel(context.Background())
	request, _ := http.NewRequestWithContext(ctx, "GET", "http://backend/wait", nil)
	resp, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-cancelled:
	case <-time.After(time.Minute):
		t.Error("the server does not learn that a request was cancelled")
	}
	resp.Body.Close()

	request, _ = http.NewRequest("GET", "http://backend/upgrade", nil)
	request.Header.Set("Connection", "upgrade")
	request.Header.Set("Upgrade", "echo")
	resp, err = transport.RoundTrip(request) // a client with a timeout hides the connection
	if err != nil {
		t.Fatal(err)
	}
	both, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("status %d", resp.StatusCode)
	}
	io.WriteString(both, "ping")
	got := make([]byte, 4)
	if _, err := io.ReadFull(both, got); err != nil || string(got) != "ping" {
		t.Errorf("%q, %v", got, err)
	}
	both.Close()

	transport.CloseIdleConnections()
	shut, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	if err := server.Shutdown(shut); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("serve: %v", err)
	}
	if err := a.Goodbye(shut); err != nil {
		t.Error(err)
	}
}
