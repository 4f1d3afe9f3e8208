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
	"catamaran/internal/agent/acp"
	"catamaran/internal/agent/demoagent"
	"catamaran/internal/api"
	"catamaran/internal/engine"
	"catamaran/internal/git"
)

func openLog(dir, level string) (*slog.Logger, io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, "backend.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return slog.New(slog.NewJSONHandler(f, nil)), f, nil
}

type noAgents struct{ log *slog.Logger }

func (noAgents) List(context.Context, bool) ([]api.Agent, error) {
	return []api.Agent{{ID: "demo", Name: "Demo agent", Driver: "acp", State: "found"}}, nil
}
func (a noAgents) Resolve(_ context.Context, id string) (agent.Driver, agent.Config, []string, error) {
	if id != "demo" {
		return nil, agent.Config{}, nil, errors.New("none")
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, agent.Config{}, nil, err
	}
	return acp.New(a.log), agent.Config{ID: "demo", Name: "Demo agent", Path: exe, Args: []string{"demo-agent"}}, os.Environ(), nil
}

func newAgents(log *slog.Logger, forward map[string]string) (engine.Agents, error) {
	return noAgents{log}, nil
}

func page() http.Handler { return http.NotFoundHandler() }

func demoAgent() int {
	if err := demoagent.Main(os.Stdin, os.Stdout); err != nil {
		return fatal(err)
	}
	return exitOK
}

func gitState(ctx context.Context, dir string) (bool, string) {
	r, err := git.Open(ctx, dir)
	return err == nil, r.Branch
}
