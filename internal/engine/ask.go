package engine

import (
	"context"
	"strings"
	"sync"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/api"
)

const (
	// askBound limits one question to an agent outside any thread, start and end included.
	askBound = 100 * time.Second
	// answerMost bounds its answer, in bytes.
	answerMost = 64 << 10
)

// Once carries fn out once for a command id, as the engine's own commands are: the
// same id gets the same answer.
func Once[T any](e *Engine, ctx context.Context, id, method string, fn func() (T, error)) (T, error) {
	return run(e, ctx, id, method, func(*command) (T, error) { return fn() })
}

// Ask puts one question to an agent in a session of its own, which belongs to no
// thread, and returns its last message. Whatever it wants to do is declined. Errors
// are *api.Error.
func (e *Engine) Ask(ctx context.Context, agentID, dir, question string) (string, error) {
	text, err := e.ask(ctx, agentID, dir, question)
	if err != nil {
		return "", e.agentError("ask the agent", err)
	}
	return text, nil
}

func (e *Engine) ask(ctx context.Context, agentID, dir, question string) (string, error) {
	if _, err := e.ready(); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, askBound)
	defer cancel()
	stop := context.AfterFunc(e.life, cancel)
	defer stop()
	driver, config, env, err := e.o.Agents.Resolve(ctx, agentID)
	if err != nil {
		return "", err
	}
	var l listener
	s, err := driver.Open(ctx, agent.OpenOptions{Agent: config, Dir: dir, Env: env, Permission: api.PermissionSupervised, Sink: l.event})
	if err != nil {
		return "", err
	}
	l.mu.Lock()
	l.decline = func(id string) {
		go func() {
			if err := s.Answer(id, ""); err != nil {
				cancel() // it would wait for ever
			}
		}()
	}
	waiting := l.asked
	l.asked = nil
	l.mu.Unlock()
	for _, id := range waiting {
		l.decline(id)
	}
	_, err = s.Prompt(ctx, agent.Input{Text: question})
	end, done := e.closeBound()
	defer done()
	if cerr := s.Close(end); cerr != nil {
		e.log.Error("end an agent that was asked", "agent", agentID, "error", cerr)
	}
	if err != nil {
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.text.String()), nil
}

// listener keeps the last message of an agent and declines what it asks for.
type listener struct {
	mu      sync.Mutex
	id      string
	cut     bool
	text    strings.Builder
	asked   []string // before decline is known
	decline func(id string)
}

func (l *listener) event(ev agent.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch ev.Kind {
	case agent.KindMessage:
		if ev.ID != l.id || l.cut {
			l.id, l.cut = ev.ID, false
			l.text.Reset()
		}
		if l.text.Len() < answerMost {
			l.text.WriteString(clean(ev.Append))
		}
	case agent.KindTool:
		l.cut = true // what it says after a tool is another message, whatever id it has
	case agent.KindApproval, agent.KindQuestion:
		if l.decline != nil {
			l.decline(ev.ID)
		} else {
			l.asked = append(l.asked, ev.ID)
		}
	}
}
