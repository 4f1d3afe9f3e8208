package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"catamaran/internal/agent"
	"catamaran/internal/agent/acp"
	"catamaran/internal/agent/codex"
	"catamaran/internal/agent/demoagent"
	"catamaran/internal/engine"
	"catamaran/internal/git"
	"catamaran/internal/logfile"
	"catamaran/internal/loginenv"
)

// openLog opens dir/logs/backend.log. CATAMARAN_LOG wins over the level the
// desktop asked for; what the desktop forwards must not show in it.
func openLog(dir, level string, forward map[string]string) (*slog.Logger, io.Closer, error) {
	if own := os.Getenv("CATAMARAN_LOG"); own != "" {
		level = own
	}
	least, levelErr := logfile.Level(level)
	f, err := logfile.Open(filepath.Join(dir, "logs", "backend.log"), logfile.Options{Level: least})
	if err != nil {
		return nil, nil, err
	}
	for _, value := range forward {
		logfile.Secret(value)
	}
	log := slog.New(f.Handler())
	if levelErr != nil {
		log.Warn("log level", "err", levelErr.Error())
	}
	return log, f, nil
}

// newAgents makes the registry of agents: found in the person's login
// environment, with what the desktop forwards where that has none of the name.
func newAgents(log *slog.Logger, forward map[string]string) (engine.Agents, error) {
	env := loginenv.New(loginenv.Options{Forward: forward})
	return agent.NewRegistry(agent.RegistryOptions{
		Drivers: map[string]agent.Driver{"acp": acp.New(log), "codex": codex.New(log)},
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
