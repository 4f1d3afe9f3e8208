package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/auth"
)

// Bounds of a request to a backend.
const (
	dialWait     = 10 * time.Second
	answerWait   = 2 * time.Minute // from the request's end to the answer's header
	maxReplay    = 1 << 20         // a larger body is passed on as it comes and cannot be sent twice
	copyBuffer   = 32 << 10
	idleWait     = 90 * time.Second
	backendHost  = "127.0.0.1" // what the backend's own door sees
	statusReason = "the backend did not accept the desktop's session"
)

// pooled is the transport to one backend process.
type pooled struct {
	process string
	rt      *http.Transport
}

// transport returns the transport to the backend process that runs now. A new
// process gets a new one: a pooled connection of its predecessor is never used
// for it, even while the old one still drains.
func (g *Gateway) transport(id string) *http.Transport {
	process := ""
	for _, e := range g.o.Environments.Snapshot().Environments {
		if e.ID == id {
			process = fmt.Sprintf("%s/%d/%s", e.EnvironmentID, e.PID, e.Distro)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.transports[id]
	if p != nil && p.process == process {
		return p.rt
	}
	if p != nil {
		p.rt.CloseIdleConnections()
	}
	rt := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialWait)
			defer cancel()
			return g.o.Backends.Dial(ctx, id)
		},
		DisableCompression:    true,
		MaxIdleConnsPerHost:   16,
		MaxConnsPerHost:       128,
		IdleConnTimeout:       idleWait,
		ResponseHeaderTimeout: answerWait,
	}
	if process != "" { // an unknown environment must not grow the table
		g.transports[id] = &pooled{process: process, rt: rt}
	}
	return rt
}

// backendRoute splits /e/<id>/<rest>; rest keeps its escapes.
func backendRoute(u *url.URL) (id, rest string, ok bool) {
	s, ok := strings.CutPrefix(u.EscapedPath(), "/e/")
	if !ok {
		return "", "", false
	}
	seg, rest, ok := strings.Cut(s, "/")
	if !ok {
		return "", "", false
	}
	id, err := url.PathUnescape(seg)
	if err != nil || id == "" {
		return "", "", false
	}
	return id, "/" + rest, true
}

// forward passes a signed-in request on to a backend.
func (g *Gateway) forward(w http.ResponseWriter, r *http.Request) {
	id, rest, ok := backendRoute(r.URL)
	if !ok {
		auth.WriteError(w, &api.Error{Code: api.CodeNotFound, Message: "There is nothing at this address."})
		return
	}
	if r.ContentLength > 0 && r.ContentLength <= maxReplay {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReplay))
		if err != nil {
			auth.WriteError(w, bodyError(err))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	p := &httputil.ReverseProxy{
		Transport:     &session{g: g, id: id},
		BufferPool:    &copyBuffers,
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		Rewrite: func(pr *httputil.ProxyRequest) {
			out := pr.Out
			out.GetBody = pr.In.GetBody
			out.Host = backendHost
			path, _ := url.PathUnescape(rest)
			out.URL = &url.URL{Scheme: "http", Host: backendHost, Path: path, RawPath: rest, RawQuery: pr.In.URL.RawQuery}
			// The page's token ends here, and its origin was checked here.
			for _, h := range []string{"Authorization", "Cookie", "Origin", "Referer"} {
				out.Header.Del(h)
			}
			for h := range out.Header {
				if strings.HasPrefix(h, "Sec-Fetch-") {
					out.Header.Del(h)
				}
			}
		},
		ModifyResponse: func(res *http.Response) error {
			for h := range res.Header {
				if h == "Set-Cookie" || strings.HasPrefix(h, "Access-Control-") {
					res.Header.Del(h)
				}
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				return // nobody reads the answer any more
			}
			auth.WriteError(w, g.backendError(id, err))
		},
	}
	p.ServeHTTP(w, r)
}

// copyBuffers are what answers are copied with, which are small, mostly: of 32 KiB for each call
// the collector would have no end.
var copyBuffers buffers

type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[copyBuffer]byte); ok {
		return p[:]
	}
	return new([copyBuffer]byte)[:]
}

func (b *buffers) Put(p []byte) { b.pool.Put((*[copyBuffer]byte)(p)) }

// session adds the backend's token to each request and gets a fresh one, once, when it is refused.
type session struct {
	g  *Gateway
	id string
}

// errRefused: the backend answered 401 to the desktop's own token, twice or to a request that cannot be sent again.
var errRefused = errors.New(statusReason)

func (s *session) RoundTrip(req *http.Request) (*http.Response, error) {
	for attempt := 0; ; attempt++ {
		token, err := s.g.o.Backends.Token(req.Context(), s.id)
		if err != nil {
			return nil, err
		}
		out := req.Clone(req.Context())
		out.Header.Set("Authorization", "Bearer "+token)
		if attempt > 0 && req.GetBody != nil {
			if out.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		res, err := s.g.transport(s.id).RoundTrip(out)
		if err != nil || res.StatusCode != http.StatusUnauthorized {
			return res, err
		}
		// A refused request was not carried out, so it may be sent again whatever its method.
		io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
		res.Body.Close()
		s.g.o.Backends.Refused(s.id, token)
		replayable := req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
		if attempt > 0 || !replayable {
			return nil, errRefused
		}
	}
}

// backendError says why a backend could not be reached, in the supervisor's words where it has some.
func (g *Gateway) backendError(id string, err error) *api.Error {
	if e := api.AsError(err); e != nil {
		return e
	}
	for _, e := range g.o.Environments.Snapshot().Environments {
		if e.ID == id && e.State != api.EnvReady && e.State != api.EnvDegraded {
			return &api.Error{
				Code: api.CodeEnvironmentDown, Message: fmt.Sprintf("%s is not running (%s).", e.Name, e.State),
				Hint: "It can be started in Settings > Environments.", Retryable: e.State != api.EnvFailed && e.State != api.EnvOff,
			}
		}
	}
	if errors.Is(err, errRefused) {
		g.o.Log.Warn("a backend refused the desktop's session", "environment", id)
		return &api.Error{Code: api.CodeUnavailable, Message: "The environment is signing in again.", Hint: "Try again in a moment.", Retryable: true}
	}
	g.o.Log.Warn("request to a backend failed", "environment", id, "error", err)
	return &api.Error{
		Code: api.CodeUnavailable, Message: "The connection to the environment was lost before it answered.",
		Hint: "Try again in a moment.", Retryable: true,
	}
}
