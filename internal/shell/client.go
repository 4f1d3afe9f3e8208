package shell

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"catamaran/internal/api"
)

// ErrNotRunning: no desktop answers for the state folder.
var ErrNotRunning = errors.New("the desktop app is not running")

// maxAnswer bounds an answer of the running desktop.
const maxAnswer = 16 << 20

// Client calls the running desktop of one state folder.
type Client struct{ http *http.Client }

// NewClient returns a client; it connects with the first call.
func NewClient(dir string) *Client {
	return &Client{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, probeWait)
			defer cancel()
			c, err := dialControl(ctx, dir)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
			}
			return c, nil
		},
		DisableKeepAlives: true,
		// A mode change answers when it has ended; the supervisor bounds it.
		ResponseHeaderTimeout: 15 * time.Minute,
	}}}
}

// Call makes one call; res may be nil. Errors: ErrNotRunning, *api.Error, or what went wrong on the way.
func (c *Client) Call(ctx context.Context, method string, req, res any) error {
	b, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("call %s: %w", method, err)
	}
	body, err := c.post(ctx, method, "/api/call/"+method, b)
	if err != nil || res == nil {
		return err
	}
	if err := json.Unmarshal(body, res); err != nil {
		return fmt.Errorf("call %s: read answer: %w", method, err)
	}
	return nil
}

// Diagnostics fetches the diagnostics archive, a zip. Errors as of Call.
func (c *Client) Diagnostics(ctx context.Context) ([]byte, error) {
	return c.post(ctx, "diagnostics", "/api/diagnostics", []byte("{}"))
}

func (c *Client) post(ctx context.Context, what, path string, b []byte) ([]byte, error) {
	hr, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://desktop"+path, bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", what, err)
	}
	hr.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(hr)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", what, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errors.New("the answer is too long")
	}
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", what, err)
	}
	if resp.StatusCode != http.StatusOK {
		var e api.Error
		if json.Unmarshal(body, &e) != nil || e.Code == "" {
			return nil, fmt.Errorf("call %s: the desktop answered %s", what, resp.Status)
		}
		return nil, &e
	}
	return body, nil
}
