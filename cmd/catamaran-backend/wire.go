package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"catamaran/internal/agent"
	"catamaran/internal/api"
	"catamaran/internal/engine"
)

func openLog(dir, level string) (*slog.Logger, io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, "backend.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return slog.New(slog.NewJSONHandler(f, nil)), f, nil
}

type noAgents struct{}

func (noAgents) List(context.Context, bool) ([]api.Agent, error) { return nil, nil }
func (noAgents) Resolve(context.Context, string) (agent.Driver, agent.Config, []string, error) {
	return nil, agent.Config{}, nil, errors.New("none")
}

func newAgents(log *slog.Logger, forward map[string]string) (engine.Agents, error) {
	return noAgents{}, nil
}

func page() http.Handler { return http.NotFoundHandler() }

func demoAgent() int { return exitFailed }
