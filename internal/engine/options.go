package engine

import (
	"context"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"catamaran/internal/agent"
	"catamaran/internal/api"
)

const (
	// optionsMost bounds what is kept of agents' own reports, one for each agent and folder.
	optionsMost = 64
	// optionsBound limits one question to an agent, which may have to start.
	optionsBound = 60 * time.Second
)

// optionsCache keeps what agents reported until they are asked again; the zero value is empty.
type optionsCache struct {
	flight singleflight.Group
	mu     sync.Mutex
	known  map[optionsKey]api.AgentOptions
}

// optionsKey: another version or another program may offer something else, and so may
// another folder, whose settings and commands an agent reads.
type optionsKey struct{ agent, version, path, dir string }

func (c *optionsCache) get(k optionsKey) (api.AgentOptions, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, ok := c.known[k]
	return o, ok
}

func (c *optionsCache) put(k optionsKey, o api.AgentOptions) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= optionsMost {
		c.known = map[optionsKey]api.AgentOptions{}
	}
	c.known[k] = o
}

// forget drops what was reported, for agents that are started in another way now.
func (c *optionsCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = nil
}

// AgentOptions tells what an agent offers in a project, asked once and then kept. Callers share one question.
func (e *Engine) AgentOptions(ctx context.Context, r api.AgentOptionsGet) (api.AgentOptions, error) {
	o, err := e.agentOptions(ctx, r)
	if err != nil {
		return o, e.agentError("ask the agent what it offers", err)
	}
	return o, nil
}

func (e *Engine) agentOptions(ctx context.Context, r api.AgentOptionsGet) (api.AgentOptions, error) {
	st, err := e.ready()
	if err != nil {
		return api.AgentOptions{}, err
	}
	p, err := e.project(ctx, st, r.ProjectID)
	if err != nil {
		return api.AgentOptions{}, err
	}
	driver, config, env, err := e.o.Agents.Resolve(ctx, r.AgentID)
	if err != nil {
		return api.AgentOptions{}, err
	}
	k := optionsKey{r.AgentID, config.Version, config.Path, p.Path}
	if o, ok := e.options.get(k); ok && !r.Refresh {
		return o, nil
	}
	// The question belongs to all who wait for it, so it does not end with one of them.
	asked := e.options.flight.DoChan(r.AgentID+"\x00"+p.Path, func() (any, error) {
		ctx, cancel := context.WithTimeout(e.life, optionsBound)
		defer cancel()
		o, err := driver.Options(ctx, agent.OpenOptions{Agent: config, Dir: p.Path, Env: env, Permission: api.PermissionSupervised, Sink: func(agent.Event) {}})
		if err != nil {
			return nil, err
		}
		o.AgentID = r.AgentID
		e.options.put(k, o)
		return o, nil
	})
	select {
	case a := <-asked:
		if a.Err != nil {
			return api.AgentOptions{}, a.Err
		}
		return a.Val.(api.AgentOptions), nil
	case <-ctx.Done():
		return api.AgentOptions{}, &api.Error{Code: api.CodeTimeout, Message: "The agent takes long to tell what it offers.", Hint: "Try again in a moment.", Retryable: true}
	}
}

// Upload keeps a file that a message may carry later.
func (e *Engine) Upload(_ context.Context, name string, r io.Reader) (api.Attachment, error) {
	if _, err := e.ready(); err != nil {
		return api.Attachment{}, err
	}
	a, err := e.files.Save(name, r)
	return a, e.clientError("keep the file", err)
}

// Attachment returns the path of a file that was uploaded: of a thread's message, or with threadID "" one not sent yet.
func (e *Engine) Attachment(threadID, id string) (string, api.Attachment, error) {
	path, a, err := e.files.Path(threadID, id)
	return path, a, e.clientError("find the file", err)
}
