package codex

import (
	"context"
	"errors"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/agent/lenient"
)

// defaultsTimeout is how long a turn waits to learn what Codex takes unasked.
const defaultsTimeout = 5 * time.Second

// settings are the parameters of a turn that say how it runs. Codex keeps them with the
// thread, also over a restart, so what is not chosen any more is set back by name.
func (s *session) settings(ctx context.Context, to agent.Settings) (object, error) {
	p := policyOf(s.o.Permission)
	params := object{}
	if p.turn != nil {
		params["approvalPolicy"], params["sandboxPolicy"] = p.approval, p.turn
	}
	s.mu.Lock()
	told, own, resumed := s.told, s.own, s.info.Resumed
	s.mu.Unlock()
	first := told == nil
	if first {
		told = &agent.Settings{}
	}
	// Of a thread that goes on it is not known what was chosen before.
	named := func(to, told string) bool { return to != "" || told != "" || first && resumed }
	model, effort := lenient.Or(to.Model, own.Model), lenient.Or(to.Effort, own.Effort)
	if to.Model == "" && named("", told.Model) || to.Effort == "" && named("", told.Effort) {
		d, err := s.defaults(ctx)
		if err != nil {
			return nil, err
		}
		model, effort = lenient.Or(to.Model, lenient.Or(d.Model, own.Model)), lenient.Or(to.Effort, lenient.Or(d.Effort, own.Effort))
	}
	if (to.Plan || told.Plan || first && resumed) && model != "" {
		// It takes the place of model and effort.
		chosen := object{"model": model, "reasoning_effort": nil, "developer_instructions": nil}
		if effort != "" {
			chosen["reasoning_effort"] = effort
		}
		params["collaborationMode"] = object{"mode": map[bool]string{true: "plan", false: "default"}[to.Plan], "settings": chosen}
	} else {
		if model != "" && named(to.Model, told.Model) {
			params["model"] = model
		}
		if effort != "" && named(to.Effort, told.Effort) {
			params["effort"] = effort
		}
	}
	s.mu.Lock()
	s.told = &to
	s.mu.Unlock()
	return params, nil
}

// defaults are what Codex takes where nothing is chosen: of the person's configuration,
// else its own recommendation.
// One that does not tell in time is left with what its thread has.
func (s *session) defaults(ctx context.Context) (agent.Settings, error) {
	ctx, cancel := context.WithTimeout(ctx, defaultsTimeout)
	defer cancel()
	o, err := s.offered(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.Log.Warn("codex does not tell its models in time")
		err = nil
	}
	d := agent.Settings{Model: o.DefaultModel, Effort: o.DefaultEffort}
	for _, m := range o.Models {
		if m.ID == d.Model && d.Effort == "" {
			d.Effort = m.DefaultEffort
		}
	}
	return d, err
}

// Takes reports whether the session can go on with other settings: it always can.
func (s *session) Takes(agent.Settings) bool { return true }
