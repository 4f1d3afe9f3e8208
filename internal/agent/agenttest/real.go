package agenttest

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"catamaran/internal/agent/modelsim"
)

// The helpers here are for tests with the build tag realagents.

// Installed returns the path of a real agent's program; `go run ./tools/agents install` puts it there.
func Installed(t *testing.T, folder, program string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cache, "catamaran-agents", folder, "node_modules", ".bin", program)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v; run: go run ./tools/agents install", err)
	}
	return path
}

// Model starts a scripted model for one working directory and returns its URL. It
// makes made.txt by a command and writes notes.md.
func Model(t *testing.T, dir string) string { return ModelOf(t, dir, "") }

// ModelOf is Model with another command; "" is the usual one.
func ModelOf(t *testing.T, dir, command string) string {
	if command == "" {
		command = "echo hello-from-tool > made.txt; cat made.txt"
	}
	sim := modelsim.Start(modelsim.Script{
		Command: command, File: filepath.Join(dir, "notes.md"),
		Text: "# notes\nwritten by the scripted model\n", Say: "Done. I ran the command and wrote `notes.md`.\n",
	}, t.Logf)
	t.Cleanup(sim.Close)
	return sim.URL
}

// Scripted fills in what a target driven by Model does.
func Scripted(target Target) Target {
	target.Work, target.Stream = "please do the tools", "please stream a lot"
	target.Made, target.Wrote, target.WroteText = "made.txt", "notes.md", "written by the scripted model"
	return target
}

// Bare is an environment that knows nothing of the developer's own agents.
func Bare(state string, more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + state, "TMPDIR=" + state, "LANG=C.UTF-8", "TERM=dumb"}, more...)
}

// Log is a log that goes to the test's.
func Log(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(writer{t}, nil)) }

type writer struct{ t *testing.T }

func (w writer) Write(b []byte) (int, error) { w.t.Logf("%s", b); return len(b), nil }
