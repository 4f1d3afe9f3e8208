// Package job runs what takes a while and is watched meanwhile: a clone, a set-up
// script. A job has a state, progress and the end of its output, is known until
// an hour after its end, and dies with the backend. It decides nothing about what
// it runs; packages review and worktree start them.
//
// Invariants: every job has a deadline of whoever started it; at most so many run
// at once, the rest are refused; output is bounded.
package job

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/proc"
	"catamaran/internal/topic"
)

const (
	// Most is how many run at once.
	Most = 32
	// keep is how long one is known after its end, and keepMost how many are.
	keep     = time.Hour
	keepMost = 200
	// outputMost bounds the output kept, in bytes; the end counts.
	outputMost = 32 << 10
	// every is how often a subscriber is told at most.
	every = 100 * time.Millisecond
)

// Jobs are the jobs of a backend. It is safe for concurrent use.
type Jobs struct {
	mu      sync.Mutex
	jobs    map[string]*Job
	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup
	active  int
	closed  bool
}

// New returns no jobs, and starts nothing.
func New() *Jobs {
	j := &Jobs{jobs: map[string]*Job{}}
	j.life, j.end = context.WithCancel(context.Background())
	return j
}

// Job is a running or ended job. Its methods may be called by the function that it runs.
type Job struct {
	topic  topic.Topic
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	state  api.Job
	output []byte
	total  int64
}

// NewID makes an id for a job.
func NewID() string { return "j_" + strings.ToLower(rand.Text()) }

// Start runs fn in the background as the job of head (ID, Kind, Title, ThreadID). fn
// gets a context that ends when the job is cancelled or the backend ends. Errors: *api.Error.
func (j *Jobs) Start(head api.Job, fn func(context.Context, *Job) error) (api.Job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return head, &api.Error{Code: api.CodeUnavailable, Message: "The backend is ending.", Retryable: true}
	case j.active >= Most:
		return head, &api.Error{Code: api.CodeConflict, Message: "Too many jobs run at once.", Hint: "Wait until one has ended, or cancel one.", Retryable: true}
	}
	if old := j.jobs[head.ID]; old != nil {
		if st := old.State(); st.State == "running" {
			return st, nil
		}
	}
	j.pruneLocked()
	ctx, cancel := context.WithCancel(j.life)
	head.State, head.StartedAt = "running", time.Now().UnixMilli()
	b := &Job{cancel: cancel, done: make(chan struct{}), state: head}
	b.publish()
	j.jobs[head.ID] = b
	j.active++
	j.running.Add(1)
	go func() {
		defer j.running.Done()
		defer cancel()
		err := fn(ctx, b)
		b.finish(err, ctx.Err() != nil)
		j.mu.Lock()
		j.active--
		j.mu.Unlock()
	}()
	return b.State(), nil
}

// pruneLocked forgets jobs that ended long ago.
func (j *Jobs) pruneLocked() {
	now := time.Now()
	for id, b := range j.jobs {
		if st := b.State(); st.EndedAt > 0 && (now.Sub(time.UnixMilli(st.EndedAt)) > keep || len(j.jobs) > keepMost) {
			delete(j.jobs, id)
		}
	}
}

func (j *Jobs) find(id string) (*Job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if b := j.jobs[id]; b != nil {
		return b, nil
	}
	return nil, &api.Error{Code: api.CodeNotFound, Message: "This job is not known (any more).", Hint: "Jobs are forgotten an hour after their end, and when the backend ends."}
}

// Subscribe shows a job's states, the last one too.
func (j *Jobs) Subscribe(id string) (*topic.Subscription, error) {
	b, err := j.find(id)
	if err != nil {
		return nil, err
	}
	return b.topic.Subscribe(every, nil), nil
}

// Cancel ends a job and waits for its end, at most until ctx ends.
func (j *Jobs) Cancel(ctx context.Context, id string) (api.Job, error) {
	b, err := j.find(id)
	if err != nil {
		return api.Job{}, err
	}
	b.cancel()
	select {
	case <-b.done:
	case <-ctx.Done():
		return b.State(), ctx.Err()
	}
	return b.State(), nil
}

// Wait waits for a job's end and returns its state; nil for one that is not known.
func (j *Jobs) Wait(ctx context.Context, id string) (*api.Job, error) {
	b, err := j.find(id)
	if err != nil {
		return nil, nil
	}
	select {
	case <-b.done:
		st := b.State()
		return &st, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close cancels every job and waits for them. It is idempotent.
func (j *Jobs) Close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.end()
	j.running.Wait()
}

// State is the job as it is now.
func (b *Job) State() api.Job {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stateLocked()
}

func (b *Job) stateLocked() api.Job {
	st := b.state
	st.Output, st.OutputBytes = proc.Text(b.output), b.total
	return st
}

func (b *Job) publish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := b.stateLocked()
	b.topic.Set(api.ServerFrame{Job: &st})
}

// Progress tells where it stands.
func (b *Job) Progress(phase string, percent int) {
	b.mu.Lock()
	same := b.state.Phase == phase && b.state.Percent == percent
	b.state.Phase, b.state.Percent = phase, percent
	b.mu.Unlock()
	if !same {
		b.publish()
	}
}

// Became tells the project that a clone became.
func (b *Job) Became(projectID string) {
	b.mu.Lock()
	b.state.ProjectID = projectID
	b.mu.Unlock()
}

// Write appends output.
func (b *Job) Write(p []byte) (int, error) {
	b.mu.Lock()
	b.total += int64(len(p))
	b.output = append(b.output, p...)
	if over := len(b.output) - outputMost; over > 0 {
		b.output = append(b.output[:0], b.output[over:]...)
	}
	b.mu.Unlock()
	b.publish()
	return len(p), nil
}

func (b *Job) finish(err error, cancelled bool) {
	b.mu.Lock()
	b.state.EndedAt = time.Now().UnixMilli()
	switch {
	case err == nil:
		b.state.State = "done"
	case cancelled:
		b.state.State = "cancelled"
		b.state.Error = &api.Error{Code: api.CodeCancelled, Message: "It was cancelled."}
	default:
		b.state.State = "failed"
		b.state.Error = api.AsError(err)
		if b.state.Error == nil {
			code := api.CodeInternal
			if errors.Is(err, context.DeadlineExceeded) {
				code = api.CodeTimeout
			}
			b.state.Error = &api.Error{Code: code, Message: "It failed: " + err.Error(), Hint: "Its output tells more."}
		}
	}
	b.mu.Unlock()
	b.publish()
	close(b.done)
}
