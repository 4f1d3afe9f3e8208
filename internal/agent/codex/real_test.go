//go:build realagents

package codex_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/agent/agenttest"
	"catamaran/internal/agent/codex"
	"catamaran/internal/api"
)

// home makes a CODEX_HOME. It must not be below the folder for temporary files:
// Codex puts no helper programs there, and its sandbox needs one. So TMPDIR lies
// deeper (agenttest.Bare's is replaced).
func home(t *testing.T, state, config string) []string {
	t.Helper()
	codexHome, tmp := filepath.Join(state, "codex"), filepath.Join(state, "tmp")
	for _, d := range []string{codexHome, tmp} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(codexHome, "config.toml")
	if _, err := os.Stat(file); err != nil {
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return agenttest.Bare(state, "CODEX_HOME="+codexHome, "TMPDIR="+tmp)
}

func real(t *testing.T) agenttest.Target {
	t.Helper()
	return agenttest.Scripted(agenttest.Target{
		Driver: codex.New(agenttest.Log(t)),
		Config: agent.Config{ID: "codex", Name: "Codex", Path: agenttest.Installed(t, "codex@0.169.0", "codex"), Args: []string{"app-server"}, SignIn: "codex login"},
		Output: "hello-from-tool", Timeout: 2 * time.Minute,
		Env: func(t *testing.T, dir, state string) []string {
			// The model's name decides which tools it is given: apply_patch only with a known one.
			return home(t, state, fmt.Sprintf(`model = "gpt-5.5"
model_provider = "fake"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.fake]
name = "Fake"
base_url = "%s/v1"
wire_api = "responses"
requires_openai_auth = false
supports_websockets = false
`, agenttest.Model(t, dir)))
		},
		Restart: func(t *testing.T, _, state string) {
			// The model of the earlier process is still there; the next one gets its own.
			if err := os.Remove(filepath.Join(state, "codex", "config.toml")); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func TestCodex(t *testing.T) {
	agenttest.Run(t, real(t))
}

func TestCodexNeedsSignIn(t *testing.T) {
	target := real(t)
	target.Env = func(t *testing.T, _, state string) []string { return home(t, state, "check_for_update_on_startup = false\n") }
	dir := t.TempDir()
	_, err := target.Driver.Open(t.Context(), agent.OpenOptions{Agent: target.Config, Dir: dir, Env: target.Env(t, dir, t.TempDir()), Sink: func(agent.Event) {}})
	e := api.AsError(err)
	if e == nil || e.Code != api.CodeAgentSignIn || !strings.Contains(e.Hint, "codex login") {
		t.Errorf("open = %+v; want sign-in", e)
	}
}

func TestCodexTellsOfTrust(t *testing.T) {
	for mode, told := range map[api.PermissionMode]bool{api.PermissionSupervised: false, api.PermissionAcceptEdits: true, api.PermissionFull: true} {
		t.Run(string(mode), func(t *testing.T) {
			s := agenttest.Open(t, real(t), mode)
			notice := s.Text(agent.KindNotice)
			if got := strings.Contains(notice, "marked the project as trusted"); got != told {
				t.Errorf("notice = %q; want one: %v", notice, told)
			}
			s.Close(s.Session)
			s.Reopen(mode, "")
			if notice := s.Text(agent.KindNotice); strings.Contains(notice, "trusted") {
				t.Errorf("second notice = %q", notice)
			}
		})
	}
}

func TestCodexAsksAQuestion(t *testing.T) {
	s := agenttest.Open(t, real(t), api.PermissionSupervised)
	s.AnswerAll("allow_once")
	if stop, err := s.Session.Prompt(s.Ctx, "please ask a question"); err != nil || stop != agent.StopEndTurn {
		t.Fatalf("prompt = %q, %v", stop, err)
	}
	t.Logf("%+v", s.Approvals())
}
