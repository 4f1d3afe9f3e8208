package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"catamaran/internal/agent"
	"catamaran/internal/agent/acp"
	"catamaran/internal/agent/claude"
	"catamaran/internal/agent/codex"
	"catamaran/internal/agent/demoagent"
	"catamaran/internal/checkpoint"
	"catamaran/internal/doctor"
	"catamaran/internal/engine"
	"catamaran/internal/file"
	"catamaran/internal/git"
	"catamaran/internal/job"
	"catamaran/internal/logfile"
	"catamaran/internal/loginenv"
	"catamaran/internal/term"
	"catamaran/internal/worktree"
)

// openLog opens dir/logs/backend.log. CATAMARAN_LOG wins over the level the
// desktop asked for; what the desktop forwards must not show in it.
func openLog(dir, level string, forward map[string]string) (*slog.Logger, io.Closer, error) {
	if own := os.Getenv("CATAMARAN_LOG"); own != "" {
		level = own
	}
	least, levelErr := logfile.Level(level)
	f, err := logfile.Open(logPath(dir), logfile.Options{Level: least})
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

// tools are what looks at the environment: its agents and its doctor.
type tools struct {
	agents engine.Agents
	doctor *doctor.Doctor
	files  *file.Files
	env    *loginenv.Source
}

// newTools makes the registry of agents, found in the person's login environment
// with what the desktop forwards, and the doctor that sees the same.
func newTools(st state, log *slog.Logger, o options) (tools, error) {
	lo := loginenv.Options{Forward: o.forward, Wins: o.forwardWins}
	if strings.HasPrefix(o.name, "wsl:") {
		// wsl.exe gives every program a terminal; nobody logged in at it.
		lo.HasTerminal = func() bool { return false }
	}
	env := loginenv.New(lo)
	agents, err := agent.NewRegistry(agent.RegistryOptions{
		Drivers: map[string]agent.Driver{"acp": acp.New(log), "codex": codex.New(log), "claude": claude.New(log)},
		Env:     env.Env,
		Dir:     st.dir,
		Log:     log,
	})
	if err != nil {
		return tools{}, err
	}
	d, err := doctor.New(doctor.Options{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Home: st.userHome, StateDir: st.dir,
		Env: env.Env, Shell: env.Shell, Dirs: agent.SearchDirs, Agents: agents.List,
		Log: logPath(st.dir), Redact: logfile.Redact,
	})
	files := file.New(func(ctx context.Context) []string {
		environ, _ := env.Env(ctx, false)
		return environ
	})
	return tools{agents, d, files, env}, err
}

// newTerminals makes the owner of terminals, which start with the login environment where the engine says.
func newTerminals(st state, log *slog.Logger, env *loginenv.Source, folder func(ctx context.Context, projectID, threadID string) (string, error)) (*term.Manager, error) {
	var m *term.Manager
	var room garbageRoom
	m, err := term.New(term.Options{Dir: filepath.Join(st.dir, "terminals"), Env: env.Env, Shell: env.Shell, Folder: folder, Log: log, Grew: func() { room.fit(m.Held()) }})
	return m, err
}

// desk is what works with Git for people.
type desk struct {
	checkpoints *checkpoint.Store
	jobs        *job.Jobs
	trees       *worktree.Trees
}

func newDesk(st state, log *slog.Logger, env func(context.Context) ([]string, error)) (desk, error) {
	k := desk{checkpoints: checkpoint.New(filepath.Join(st.dir, "checkpoints")), jobs: job.New()}
	var err error
	k.trees, err = worktree.New(worktree.Options{Root: filepath.Join(st.dir, "worktrees"), Jobs: k.jobs, Env: env, Log: log})
	return k, err
}

func logPath(dir string) string { return filepath.Join(dir, "logs", "backend.log") }

// gitState tells what is checked out in a folder.
func gitState(ctx context.Context, dir string) (git.CheckedOut, error) {
	r, err := git.Open(ctx, dir)
	if errors.Is(err, git.ErrNotRepo) {
		return git.CheckedOut{}, nil
	}
	if err != nil {
		// There is a repository, and why it can't be used is told with its status.
		return git.CheckedOut{Repo: true}, err
	}
	return r.CheckedOut(ctx)
}

// demoAgent is this program as an agent.
func demoAgent() int {
	if err := demoagent.Main(os.Stdin, os.Stdout); err != nil {
		return fatal(err)
	}
	return exitOK
}
