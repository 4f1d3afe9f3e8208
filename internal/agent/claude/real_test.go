//go:build realagents

package claude_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/agent/agenttest"
	"catamaran/internal/agent/claude"
	"catamaran/internal/agent/modelsim"
	"catamaran/internal/api"
)

// version is the one `go run ./tools/agents install` puts into the cache.
const version = "2.1.330"

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) { w.t.Logf("%s", b); return len(b), nil }

// command writes made.txt. Where edits are accepted, Claude Code takes commands that
// plainly only write files of the project for edits and does not ask; it cannot see
// through this one.
const command = `sh -c 'echo hello-from-tool > made.txt'; cat made.txt`

// installed returns a target for the real program with a scripted model, without
// anything of the developer's own.
func installed(t *testing.T, more ...string) agenttest.Target {
	t.Helper()
	return running(t, command, more...)
}

func running(t *testing.T, command string, more ...string) agenttest.Target {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cache, "catamaran-agents", "claude-code@"+version, "node_modules", ".bin", "claude")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v; run: go run ./tools/agents install", err)
	}
	return agenttest.Target{
		Driver: claude.New(slog.New(slog.NewTextHandler(testWriter{t}, nil))),
		Config: agent.Config{ID: "claude", Name: "Claude Code", Path: path},
		Work:   "please do the tools", Stream: "please stream a lot", Output: "hello-from-tool",
		Made: "made.txt", Wrote: "notes.md", WroteText: "written by the scripted model",
		Timeout: 3 * time.Minute,
		Env: func(t *testing.T, dir, state string) []string {
			sim := modelsim.Start(modelsim.Script{
				Command: command, File: filepath.Join(dir, "notes.md"),
				Text: "# notes\nwritten by the scripted model\n", Say: "Done. I ran the command and wrote `notes.md`.\n",
			}, t.Logf)
			t.Cleanup(sim.Close)
			return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + state, "TMPDIR=" + state, "LANG=C.UTF-8", "TERM=dumb", "CLAUDE_CONFIG_DIR=" + filepath.Join(state, ".claude"),
				"ANTHROPIC_BASE_URL=" + sim.URL, "ANTHROPIC_API_KEY=none", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "DISABLE_AUTOUPDATER=1"}, more...)
		},
	}
}

func TestClaudeCode(t *testing.T) {
	target := installed(t)
	target.Report = "Claude Code"
	target.Ask, target.Told = "ask me something", `"Which colour?"="Red"`
	target.See, target.Seen = "count the pictures", "I see 1 of them."
	target.Which, target.Model, target.Effort = "which model are you", "haiku", "high"
	target.Slow, target.Steering, target.Steered = "take your time", "you are steered", "I was steered."
	target.PlanFor, target.Plan = "make a plan", "1. Look\n2. Leap"
	target.Offers = func(o api.AgentOptions) string {
		switch {
		case !o.Plan || !o.Images || !o.Steer:
			return "it lacks what it has"
		case len(o.Models) < 2 || len(o.Models[0].Efforts) < 2 || o.DefaultModel == "":
			return "models or efforts are missing"
		case !slices.ContainsFunc(o.Commands, func(c api.AgentCommand) bool { return c.Name == "init" }):
			return "the command init is missing"
		}
		return ""
	}
	agenttest.Run(t, target)
}

func TestClaudeCodeFullAccess(t *testing.T) {
	for _, c := range []struct {
		name, env string
		told      bool
	}{
		// As root the program bypasses permissions only where it is told that it is in a sandbox.
		{"bypassing", "IS_SANDBOX=1", false},
		{"refused", "IS_SANDBOX=", os.Geteuid() == 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := agenttest.Open(t, installed(t, c.env), api.PermissionFull)
			if _, err := s.Prompt(s.Target.Work); err != nil {
				t.Fatal(err)
			}
			if !s.Exists(s.Target.Made) || !s.Exists(s.Target.Wrote) || len(s.Approvals()) != 0 {
				t.Errorf("made %v, wrote %v, asked %d times", s.Exists(s.Target.Made), s.Exists(s.Target.Wrote), len(s.Approvals()))
			}
			if told := s.Text(agent.KindNotice) != ""; told != c.told {
				t.Errorf("notice = %q", s.Text(agent.KindNotice))
			}
		})
	}
}

func TestClaudeCodeShowsItsPlan(t *testing.T) {
	for _, c := range []struct{ answer, result string }{{"allow_once", "approved"}, {"reject_once", "does not approve the plan"}} {
		t.Run(c.answer, func(t *testing.T) {
			t.Parallel()
			s := agenttest.Open(t, installed(t), api.PermissionSupervised)
			s.AnswerAll(c.answer)
			if _, err := s.Prompt("make a plan"); err != nil {
				t.Fatal(err)
			}
			asked := s.Approvals()
			if len(asked) != 1 || asked[0].Approval.Title != "Carry out this plan?" {
				t.Fatalf("asked %+v", asked)
			}
			if p := s.Of(agent.KindPlan); len(p) != 1 || !strings.Contains(p[0].Append, "1. Look\n2. Leap") {
				t.Errorf("plans %+v", p)
			}
			if out := s.Tools()[asked[0].ToolID].Output; !strings.Contains(out, c.result) {
				t.Errorf("the agent took it as %q", out)
			}
		})
	}
}

func TestClaudeCodeKeepsWhatWasAllowedForTheSession(t *testing.T) {
	s := agenttest.Open(t, running(t, "echo hello-from-tool > made.txt; cat made.txt"), api.PermissionSupervised)
	s.AnswerAll("allow_always")
	for range 2 {
		if _, err := s.Prompt(s.Target.Work); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.Approvals()); n != 2 {
		t.Errorf("asked %d times in two turns; want 2, in the first", n)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, ".claude", "settings.local.json")); err == nil {
		t.Error("what was allowed for the session was kept in the project")
	}
}

func TestClaudeCodeFails(t *testing.T) {
	for _, c := range []struct {
		name, env, message string
		code               api.Code
	}{
		{"not signed in", "ANTHROPIC_API_KEY=", "not signed in", api.CodeAgentSignIn},
		{"no model", "ANTHROPIC_BASE_URL=http://127.0.0.1:9", "API Error", api.CodeAgentFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := agenttest.Open(t, installed(t, c.env, "CLAUDE_CODE_MAX_RETRIES=1"), api.PermissionSupervised)
			_, err := s.Prompt("hello")
			if e := api.AsError(err); e == nil || e.Code != c.code || !strings.Contains(e.Message, c.message) {
				t.Errorf("prompt = %+v", e)
			}
			if text := s.Text(agent.KindMessage); text != "" {
				t.Errorf("the failure came as a message too: %q", text)
			}
		})
	}
}
