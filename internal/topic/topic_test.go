package topic

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"catamaran/internal/api"
)

func job(state string) api.ServerFrame { return api.ServerFrame{Job: &api.Job{State: state}} }

func TestNewestState(t *testing.T) {
	t.Parallel()
	var top Topic
	left := 0
	s := top.Subscribe(0, func() { left++ })
	next := func(kind, state string) {
		t.Helper()
		f, err := s.Next(t.Context())
		if err != nil || f.Type != kind || state != "" && f.Job.State != state {
			t.Fatalf("%+v %v, want %s %s", f, err, kind, state)
		}
	}
	top.Set(job("a"))
	next(api.FrameSnapshot, "a")
	next(api.FrameSynchronized, "")
	top.Set(job("b"))
	top.Set(job("c"))
	next(api.FrameEvent, "c")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	top.Set(job("d"))
	next(api.FrameEvent, "d")
	s.Close()
	s.Close()
	if _, err := s.Next(t.Context()); err != io.EOF {
		t.Fatal(err)
	}
	if left != 1 {
		t.Errorf("left %d times", left)
	}
}

func TestCloseEndsAWait(t *testing.T) {
	t.Parallel()
	var top Topic
	s := top.Subscribe(time.Hour, nil)
	done := make(chan error)
	go func() {
		_, err := s.Next(context.Background())
		done <- err
	}()
	s.Close()
	if err := <-done; err != io.EOF {
		t.Fatal(err)
	}
}
