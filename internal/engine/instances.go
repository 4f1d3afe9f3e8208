package engine

import (
	"context"

	"catamaran/internal/api"
)

func (e *Engine) agentSettings() (AgentSettings, error) {
	if s, ok := e.o.Agents.(AgentSettings); ok {
		return s, nil
	}
	return nil, &api.Error{Code: api.CodeUnavailable, Message: "This backend keeps no settings of agents."}
}

// ListInstances tells what was set for agents, without secrets.
func (e *Engine) ListInstances(_ context.Context, _ api.Empty) (api.AgentInstances, error) {
	s, err := e.agentSettings()
	if err != nil {
		return api.AgentInstances{}, err
	}
	all, err := s.Instances()
	return api.AgentInstances{Instances: all}, e.clientError("read the settings of agents", err)
}

// SaveInstance makes or changes settings of an agent; live sessions go on as they are.
func (e *Engine) SaveInstance(ctx context.Context, commandID string, r api.AgentInstanceSave) (api.AgentInstance, error) {
	return run(e, ctx, commandID, api.MethodInstanceSave, func(*command) (api.AgentInstance, error) {
		s, err := e.agentSettings()
		if err != nil {
			return api.AgentInstance{}, err
		}
		saved, err := s.SaveInstance(r.Instance)
		e.options.forget()
		return saved, err
	})
}

// RemoveInstance drops settings of an agent.
func (e *Engine) RemoveInstance(ctx context.Context, commandID string, r api.AgentInstanceRef) (api.Empty, error) {
	return run(e, ctx, commandID, api.MethodInstanceRemove, func(*command) (api.Empty, error) {
		s, err := e.agentSettings()
		if err != nil {
			return api.Empty{}, err
		}
		e.options.forget()
		return api.Empty{}, s.RemoveInstance(r.ID)
	})
}
