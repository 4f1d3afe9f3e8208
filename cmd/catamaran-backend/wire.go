package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"catamaran/internal/agent"
	"catamaran/internal/agent/acp"
	"catamaran/internal/agent/demoagent"
	"catamaran/internal/engine"
	"catamaran/internal/git"
	"catamaran/internal/loginenv"
)

// openLog appends JSON lines to dir/backend.log. CATAMARAN_LOG wins over the
// level the desktop asked for.
func openLog(dir, level string) (*slog.Logger, io.Closer, error) {
	if own := os.Getenv("CATAMARAN_LOG"); own != "" {
		level = own
	}
	f, err := os.OpenFile(filepath.Join(dir, "backend.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return slog.New(slog.NewJSONHandler(f, &slog.HandlerOptions{Level: parseLevel(level)})), f, nil
}

func parseLevel(s string) slog.Level {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// newAgents makes the registry of agents: found in the person's login
// environment, with what the desktop forwards where that has none of the name.
func newAgents(log *slog.Logger, forward map[string]string) (engine.Agents, error) {
	env := loginenv.New(loginenv.Options{Forward: forward})
	return agent.NewRegistry(agent.RegistryOptions{
		Drivers: map[string]agent.Driver{"acp": acp.New(log)},
		Env:     env.Env,
		Log:     log,
	})
}

func gitState(ctx context.Context, dir string) (isRepo bool, branch string) {
	r, err := git.Open(ctx, dir)
	return err == nil, r.Branch
}

// demoAgent is this program as an agent.
func demoAgent() int {
	if err := demoagent.Main(os.Stdin, os.Stdout); err != nil {
		return fatal(err)
	}
	return exitOK
}
