// Command agents installs the real agent programs, in pinned versions, that the
// tests with the build tag realagents drive: into the user's cache folder, never
// into the tree. It needs npm; `go run ./tools/agents install` does nothing where
// the right versions are there. `table FOLDER` writes what a run of those tests
// showed into docs/agents.md.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"catamaran/internal/proc"
)

// program is one npm package, pinned.
type program struct {
	name, version string
	folder        string // below the cache folder; the tests know it
	bin           string
}

var programs = []program{
	{"opencode-ai", "1.18.33", "opencode-ai@1.18.33", "opencode"},
	{"@google/gemini-cli", "0.61.0", "gemini-cli@0.61.0", "gemini"},
	{"@openai/codex", "0.169.0", "codex@0.169.0", "codex"},
	// A native program since 2.x: it runs without Node, and npm only warns of an older one.
	{"@anthropic-ai/claude-code", "2.1.330", "claude-code@2.1.330", "claude"},
}

// installTimeout bounds one installation: the packages have up to 450 MB.
const installTimeout = 15 * time.Minute

func main() {
	proc.GuardMain()
	if len(os.Args) == 3 && os.Args[1] == "table" {
		if err := table(os.Args[2], "docs/agents.md"); err != nil {
			fmt.Fprintln(os.Stderr, "agents:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) != 2 || (os.Args[1] != "install" && os.Args[1] != "list") {
		fmt.Fprintln(os.Stderr, "usage: go run ./tools/agents install|list|table FOLDER")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1] == "install"); err != nil {
		fmt.Fprintln(os.Stderr, "agents:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, install bool) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	for _, p := range programs {
		dir := filepath.Join(cache, "catamaran-agents", p.folder)
		state := "installed"
		if !installed(dir, p) {
			state = "missing"
			if install {
				fmt.Printf("installing %s %s into %s\n", p.name, p.version, dir)
				if err := npm(ctx, dir, p); err != nil {
					return fmt.Errorf("install %s: %w", p.name, err)
				}
				state = "installed"
			}
		}
		fmt.Printf("%-9s %s %s %s\n", state, p.name, p.version, dir)
	}
	return nil
}

// installed reports whether the pinned version is there, with its program.
func installed(dir string, p program) bool {
	raw, err := os.ReadFile(filepath.Join(dir, "node_modules", p.name, "package.json"))
	var manifest struct {
		Version string `json:"version"`
	}
	if err != nil || json.Unmarshal(raw, &manifest) != nil || manifest.Version != p.version {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, "node_modules", ".bin", p.bin))
	return err == nil
}

func npm(ctx context.Context, dir string, p program) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte("{\"private\":true}\n"), 0o644); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	r, err := proc.Run(ctx, proc.Spec{
		Name: "npm", Path: "npm", Dir: dir, Guard: true, Stderr: os.Stderr,
		Args: []string{"install", "--no-audit", "--no-fund", "--save-exact", p.name + "@" + p.version},
	}, nil, 1<<20)
	if err != nil {
		return err
	}
	if r.ExitCode != 0 {
		return fmt.Errorf("npm ended with exit code %d", r.ExitCode)
	}
	if !installed(dir, p) {
		return fmt.Errorf("npm ended well, but %s is not there", p.bin)
	}
	return nil
}
