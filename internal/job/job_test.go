package job

import (
	"context"
	"errors"
	"strings"
	"testing"

	"catamaran/internal/api"
)

func TestJob(t *testing.T) {
	t.Parallel()
	j := New()
	defer j.Close()
	step := make(chan struct{})
	st, err := j.Start(api.Job{ID: "a", Kind: "clone", Title: "T"}, func(ctx context.Context, b *Job) error {
		b.Progress("Receiving", 10)
		b.Write([]byte(strings.Repeat("x", outputMost) + "end\x1b[1m\n"))
		<-step
		b.Became("p")
		return nil
	})
	if err != nil || st.State != "running" {
		t.Fatalf("%+v %v", st, err)
	}
	s, err := j.Subscribe("a")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	close(step)
	var last api.Job
	for last.State == "" || last.State == "running" {
		f, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if f.Job != nil {
			last = *f.Job
		}
	}
	if last.State != "done" || last.ProjectID != "p" || last.Percent != 10 || len(last.Output) > outputMost || !strings.HasSuffix(last.Output, "end\n") || last.OutputBytes != outputMost+8 {
		t.Errorf("%s %+v", last.State, last)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	j := New()
	for id, tc := range map[string]struct {
		err  error
		code api.Code
	}{
		"a": {errors.New("x"), api.CodeInternal},
		"b": {context.DeadlineExceeded, api.CodeTimeout},
		"c": {&api.Error{Code: api.CodeGitAuth}, api.CodeGitAuth},
	} {
		if _, err := j.Start(api.Job{ID: id}, func(context.Context, *Job) error { return tc.err }); err != nil {
			t.Fatal(err)
		}
		st, err := j.Wait(t.Context(), id)
		if err != nil || st.State != "failed" || st.Error.Code != tc.code {
			t.Errorf("%+v %v", st, err)
		}
	}
	wait := func(ctx context.Context, _ *Job) error { <-ctx.Done(); return ctx.Err() }
	if _, err := j.Start(api.Job{ID: "w"}, wait); err != nil {
		t.Fatal(err)
	}
	if st, err := j.Cancel(t.Context(), "w"); err != nil || st.State != "cancelled" {
		t.Errorf("%+v %v", st, err)
	}
	if _, err := j.Cancel(t.Context(), "nothing"); api.CodeOf(err) != api.CodeNotFound {
		t.Error(err)
	}
	if st, err := j.Wait(t.Context(), "nothing"); st != nil || err != nil {
		t.Error(st, err)
	}
	for i := range Most {
		if _, err := j.Start(api.Job{ID: string(rune('A' + i))}, wait); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j.Start(api.Job{ID: "more"}, wait); api.CodeOf(err) != api.CodeConflict {
		t.Error(err)
	}
	j.Close()
	if _, err := j.Start(api.Job{ID: "late"}, wait); api.CodeOf(err) != api.CodeUnavailable {
		t.Error(err)
	}
}
