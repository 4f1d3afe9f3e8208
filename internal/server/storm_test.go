package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/auth"
	"catamaran/internal/engine"
)

// A backend that many windows come back to at once answers all of them, again and
// again; what happens then reaches each, and what is cut leaves nothing behind.
func TestReconnectStorm(t *testing.T) {
	t.Parallel()
	const sockets, storms = 200, 3
	id, err := auth.LoadIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var s *Server
	ready := make(chan struct{})
	e, err := engine.New(engine.Options{DataDir: t.TempDir(), Agents: noAgents{}, Phase: func(p api.Phase, r *api.Error) {
		s.SetPhase(p, r)
		if p == api.PhaseReady {
			close(ready)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if s, err = New(Options{Engine: e, Identity: id, Codes: auth.NewCodes(time.Minute), Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	defer func() { end(); <-ended }()
	<-ready
	web := httptest.NewServer(s)
	defer web.Close()
	header := http.Header{"Authorization": {"Bearer " + id.Sign(Audience, time.Now().Add(time.Hour))}}

	p, err := e.AddProject(ctx, "", api.ProjectAdd{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	th, err := e.CreateThread(ctx, "", api.ThreadCreate{ProjectID: p.ID, AgentID: "demo", Title: "before"})
	if err != nil {
		t.Fatal(err)
	}
	cursors := make([]atomic.Int64, sockets)
	for storm := range storms {
		var all sync.WaitGroup
		clients := make([]*client, sockets)
		for i := range sockets {
			all.Go(func() {
				c, _, err := dialWithin(ctx, t, web.URL+"/ws", header)
				if err != nil {
					t.Errorf("socket %d: %v", i, err)
					return
				}
				clients[i] = c
				f := api.ClientFrame{Type: api.FrameSubscribe, ID: "t", Topic: api.TopicThread + th.ID}
				if after := cursors[i].Load(); after > 0 {
					f.After = &after
				}
				c.send(f)
				seq, err := until(c, func(f api.ServerFrame) bool { return f.Type == api.FrameSynchronized })
				if err != nil {
					t.Errorf("socket %d: %v", i, err)
				}
				cursors[i].Store(seq)
			})
		}
		all.Wait()
		if t.Failed() {
			return
		}
		title := fmt.Sprint("storm ", storm)
		if _, err := e.RenameThread(ctx, "", api.ThreadRename{ThreadID: th.ID, Title: title}); err != nil {
			t.Fatal(err)
		}
		for i, c := range clients {
			all.Go(func() {
				seq, err := until(c, func(f api.ServerFrame) bool {
					return f.Event != nil && f.Event.Thread != nil && f.Event.Thread.Title == title
				})
				if err != nil {
					t.Errorf("socket %d does not hear of the title: %v", i, err)
				}
				cursors[i].Store(seq)
				c.ws.CloseNow()
			})
		}
		all.Wait()
	}
}

func dialWithin(ctx context.Context, t *testing.T, url string, h http.Header) (*client, *http.Response, error) {
	for try := 0; ; try++ {
		c, res, err := dial(t, url, h)
		if err == nil || try == 5 || ctx.Err() != nil {
			return c, res, err
		}
	}
}

// until reads frames until one is wanted, and returns its sequence number.
func until(c *client, want func(api.ServerFrame) bool) (int64, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Minute)
	defer cancel()
	for {
		f, err := c.within(ctx)
		if err != nil {
			return 0, err
		}
		if f.Type == api.FrameError || f.Type == api.FrameResync {
			return 0, fmt.Errorf("%s: %+v", f.Type, f.Error)
		}
		if want(f) {
			return f.Seq, nil
		}
	}
}
