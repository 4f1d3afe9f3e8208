package environment

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/link"
	"catamaran/internal/logfile"
)

const (
	backendHost = "127.0.0.1" // the backend's door wants a loopback name, whatever the pipe
	maxAnswer   = 1 << 20
	// callTimeout bounds one request to a backend; readiness repeats them as long as the process lives.
	callTimeout = 10 * time.Second
	readyMin    = 20 * time.Millisecond
	readyMax    = 500 * time.Millisecond
	// renewEarly is how long before its end a token is renewed, renewPause the least time between two renewals:
	// a backend that refuses every token must not be asked in a loop.
	renewEarly = time.Minute
	renewPause = 5 * time.Second
)

// errExited: the process ended while something was awaited from it.
var errExited = errors.New("the backend ended")

// connection is an established link with the session token got over it.
type connection struct {
	environment string
	session     *link.Session
	client      *http.Client
	// refused is closed when the backend takes neither the token nor its renewal; only a restart helps.
	refused chan struct{}

	mu         sync.Mutex
	credential string // one-time; "" once it was sent
	token      string
	expires    time.Time
	stale      bool // the backend answered 401 to token
	renewed    time.Time
	flight     *flight
	dead       bool
}

// flight is one exchange that all callers share.
type flight struct {
	done chan struct{}
	err  error
}

func newConnection(environment string, s *link.Session, credential string) *connection {
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.Open(ctx) },
		// A stream costs nothing to open; an idle one would only outlive its use.
		DisableKeepAlives:  true,
		DisableCompression: true,
	}
	return &connection{environment: environment, session: s, credential: credential, client: &http.Client{Transport: t, Timeout: callTimeout}, refused: make(chan struct{})}
}

func (c *connection) close() {
	c.session.Close()
	c.client.CloseIdleConnections()
}

func (c *connection) call(ctx context.Context, method, path string, in, out any) error {
	return c.request(ctx, "", method, path, in, out)
}

// request is call with a session token.
func (c *connection) request(ctx context.Context, token, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+backendHost+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		var e api.Error
		if json.Unmarshal(b, &e) == nil && e.Code != "" {
			return &e
		}
		return fmt.Errorf("%s %s: the backend answered %s", method, path, res.Status)
	}
	return json.Unmarshal(b, out)
}

// awaitReady asks for the descriptor as long as the process lives: there is no
// deadline, since only a person knows how long is too long (W5.4). It ends with
// nil when the backend is ready under the hello's environment id. progress gets
// what is waited for whenever that changes.
func (c *connection) awaitReady(ctx context.Context, exited <-chan struct{}, progress func(string)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-exited:
		case <-c.session.Done():
		case <-ctx.Done():
		}
		cancel(errExited)
	}()
	want := c.session.Hello().EnvironmentID
	if want == "" {
		return &api.Error{Code: api.CodeProtocolMismatch, Message: "the backend did not say which environment it is", Hint: "Install Catamaran again."}
	}
	said := ""
	say := func(words string) {
		if said != words {
			said = words
			progress(words)
		}
	}
	say("waiting until the backend is ready")
	for pause := readyMin; ; pause = min(2*pause, readyMax) {
		var d api.Descriptor
		err := c.call(ctx, http.MethodGet, "/api/descriptor", nil, &d)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil && d.EnvironmentID != want {
			return &api.Error{Code: api.CodeProtocolMismatch, Retryable: true, Message: "the backend changed its environment id while it started",
				Hint: "It is started again; if that keeps happening export diagnostics.", Details: "hello " + want + ", descriptor " + d.EnvironmentID}
		}
		switch {
		case err == nil && d.Phase == api.PhaseMigrating:
			say("the backend brings its database up to date")
		case err == nil && d.Phase == api.PhaseReady:
			return nil
		case err == nil && d.Phase == api.PhaseFailed:
			if d.Reason != nil {
				return d.Reason
			}
			return &api.Error{Code: api.CodeBackendExited, Message: "the backend could not get ready and gave no reason", Hint: "Look at its log.", Retryable: true}
		}
		// An error may be the backend's first moments; a dead one ends ctx.
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// sessionToken returns the session token, getting or renewing it when that is due. Concurrent callers share one exchange.
func (c *connection) sessionToken(ctx context.Context) (string, error) {
	for {
		c.mu.Lock()
		now := time.Now()
		if c.dead {
			c.mu.Unlock()
			return "", errUnauthorized()
		}
		if c.token != "" && !c.stale && now.Before(c.expires.Add(-renewEarly)) {
			defer c.mu.Unlock()
			return c.token, nil
		}
		if c.stale && now.Sub(c.renewed) < renewPause {
			defer c.mu.Unlock()
			return "", errUnauthorized()
		}
		f := c.flight
		if f == nil {
			f = &flight{done: make(chan struct{})}
			c.flight = f
			go c.obtain(f)
		}
		c.mu.Unlock()
		select {
		case <-f.done:
			if f.err != nil {
				return "", f.err
			}
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// obtain exchanges the credential, or the old token once the credential is used
// up. It has a deadline of its own: the caller who began it may give up while
// others wait.
func (c *connection) obtain(f *flight) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	c.mu.Lock()
	credential, old := c.credential, c.token
	c.mu.Unlock()
	var s api.Session
	var err error
	if credential != "" {
		err = c.call(ctx, http.MethodPost, "/api/session/exchange", api.SessionExchange{Credential: credential}, &s)
	} else {
		err = c.call(ctx, http.MethodPost, "/api/session/renew", api.SessionRenew{Token: old}, &s)
	}
	if err == nil && (s.Token == "" || s.EnvironmentID != c.session.Hello().EnvironmentID) {
		err = &api.Error{Code: api.CodeUnauthorized, Message: "the backend answered the sign-in for another environment", Hint: "Restart the environment."}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(f.done)
	c.flight = nil
	if err == nil {
		logfile.Secret(s.Token)
		c.credential, c.token, c.stale = "", s.Token, false
		c.renewed, c.expires = time.Now(), time.UnixMilli(s.ExpiresAt)
		if !c.expires.After(c.renewed.Add(renewEarly)) {
			// Clocks of a distro can be hours off (they are after a sleep): its 401 tells, not our clock.
			c.expires = c.renewed.Add(10 * renewEarly)
		}
		return
	}
	f.err = fmt.Errorf("sign in to %s: %w", c.environment, err)
	if api.AsError(err) != nil && !c.dead {
		// It answered, and refused. What we hold will not become valid again.
		c.dead = true
		close(c.refused)
	}
}

// refuse notes that the backend answered 401 to token.
func (c *connection) refuse(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if token != "" && token == c.token {
		c.stale = true
	}
}

func errUnauthorized() *api.Error {
	return &api.Error{Code: api.CodeUnauthorized, Message: "the backend refuses this desktop's session", Hint: "It is started anew; try again in a moment.", Retryable: true}
}
