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

// real returns the target; more is added to its configuration.
func real(t *testing.T, more ...string) agenttest.Target {
	t.Helper()
	return scripted(t, "", more...)
}

// scripted is real with another command than the usual one.
func scripted(t *testing.T, command string, more ...string) agenttest.Target {
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
%s
`, agenttest.ModelOf(t, dir, command), strings.Join(more, "\n")))
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
	target := real(t, "[features]", "default_mode_request_user_input = true")
	target.Report = "Codex"
	target.Ask, target.Told = "please ask a question", `\"answers\":[\"Red\"]`
	target.See, target.Seen = "count the pictures", "I see 1 of them."
	target.Which, target.Model, target.Effort = "which model are you", "gpt-6-sol", "high"
	target.Slow, target.Steering, target.Steered = "take your time", "you are steered", "I was steered."
	target.PlanFor, target.Plan = "make a plan", "1. Look\n2. Leap"
	target.Offers = func(o api.AgentOptions) string {
		switch {
		case !o.Plan || !o.Images || !o.Steer:
			return "it lacks what it has"
		case len(o.Models) < 2 || len(o.Models[0].Efforts) < 2:
			return "models or efforts are missing"
		case o.DefaultModel != "gpt-5.5": // of the configuration
			return "another default model"
		}
		return ""
	}
	agenttest.Run(t, target)
}

// A command that was approved works, also one that begins to write after a while and did not ask to
// leave the sandbox; one that was declined does not run, and edits still ask.
func TestCodexApprovedCommandsWork(t *testing.T) {
	for _, c := range []struct {
		answer string
		ran    bool
	}{{"allow_once", true}, {"reject_once", false}} {
		t.Run(c.answer, func(t *testing.T) {
			t.Parallel()
			s := agenttest.Open(t, scripted(t, "sleep 2; echo late > made.txt"), api.PermissionSupervised)
			s.AnswerAll(c.answer)
			if _, err := s.Prompt("do the tools inside"); err != nil {
				t.Fatal(err)
			}
			kinds := ""
			for _, e := range s.Approvals() {
				kinds += e.Approval.Kind + " "
			}
			if want := map[bool]string{true: "execute edit ", false: "execute "}[c.ran]; kinds != want {
				t.Errorf("asked for %s; want %s", kinds, want)
			}
			if s.Exists("made.txt") != c.ran || s.Exists("notes.md") != c.ran {
				t.Errorf("made %v, wrote %v; want both %v", s.Exists("made.txt"), s.Exists("notes.md"), c.ran)
			}
			for id, tool := range s.Tools() {
				if c.ran && tool.Status != api.ToolCompleted {
					t.Errorf("%s: %+v", id, tool)
				}
			}
		})
	}
}

func TestCodexNeedsSignIn(t *testing.T) {
	target := real(t)
	target.Env = func(t *testing.T, _, state string) []string {
		return home(t, state, "check_for_update_on_startup = false\n")
	}
	dir := t.TempDir()
	_, err := target.Driver.Open(t.Context(), agent.OpenOptions{Agent: target.Config, Dir: dir, Env: target.Env(t, dir, t.TempDir()), Sink: func(agent.Event) {}})
	e := api.AsError(err)
	if e == nil || e.Code != api.CodeAgentSignIn || !strings.Contains(e.Hint, "codex login") {
		t.Errorf("open = %+v; want sign-in", e)
	}
}

// Codex 0.169 marks only Git repositories as trusted.
func TestCodexTellsOfTrust(t *testing.T) {
	for mode, told := range map[api.PermissionMode]bool{api.PermissionSupervised: false, api.PermissionAcceptEdits: true, api.PermissionFull: true} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			target := real(t)
			env := target.Env
			target.Env = func(t *testing.T, dir, state string) []string {
				for _, d := range []string{"objects", "refs"} {
					if err := os.MkdirAll(filepath.Join(dir, ".git", d), 0o755); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.WriteFile(filepath.Join(dir, ".git", "HEAD"), []byte("ref: refs/heads/main\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return env(t, dir, state)
			}
			s := agenttest.Open(t, target, mode)
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

// Codex 0.169 gives the model its tools for questions and permissions only with
// features that are under development.
func TestCodexAsksOtherThings(t *testing.T) {
	for _, c := range []struct{ name, feature, prompt, title, kind, option, told string }{
		{"for permissions", "request_permissions_tool", "please ask for permissions", "Wanted: network access", "allow_once", "Allow for this turn", `\"network\":{\"enabled\":true}`},
		{"for permissions, declined", "request_permissions_tool", "please ask for permissions", "Wanted: network access", "reject_once", "Allow for this turn", `\"network\":null`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := agenttest.Open(t, real(t, "[features]", c.feature+" = true"), api.PermissionAcceptEdits)
			s.AnswerAll(c.kind)
			if stop, err := s.Prompt(c.prompt); err != nil || stop != agent.StopEndTurn {
				t.Fatalf("prompt = %q, %v", stop, err)
			}
			if text := s.Text(agent.KindMessage); !strings.Contains(text, c.told) {
				t.Errorf("text = %q; want %q in it", text, c.told)
			}
			asked := s.Approvals()
			if len(asked) != 1 || !strings.Contains(asked[0].Approval.Title, c.title) || asked[0].Approval.Options[0].Name != c.option {
				for _, e := range s.Events() {
					t.Logf("%s %s %q %+v %+v", e.Kind, e.ID, e.Append, e.Tool, e.Approval)
				}
				t.Errorf("asked = %+v", asked)
			}
		})
	}
}

// A thread continues in the mode it is opened in, whatever it was before, and with its history.
func TestCodexModeAfterResume(t *testing.T) {
	s := agenttest.Open(t, real(t), api.PermissionFull)
	for i, c := range []struct {
		mode  api.PermissionMode
		asked int
	}{{api.PermissionFull, 0}, {api.PermissionSupervised, 2}, {api.PermissionAcceptEdits, 1}, {api.PermissionFull, 0}} {
		if i > 0 {
			cursor := s.Session.Info().Resume
			s.Close(s.Session)
			s.Target.Restart(t, s.Dir, s.State)
			s.Reopen(c.mode, cursor)
			if !s.Session.Info().Resumed {
				t.Fatalf("%s: not resumed", c.mode)
			}
		}
		s.AnswerAll("allow_once")
		if stop, err := s.Prompt(s.Target.Work); err != nil || stop != agent.StopEndTurn {
			t.Fatalf("%s: prompt = %q, %v", c.mode, stop, err)
		}
		if n := len(s.Approvals()); n != c.asked {
			t.Errorf("%s: %d approvals; want %d", c.mode, n, c.asked)
		}
		for id, tool := range s.Tools() {
			if tool.Status != api.ToolCompleted {
				t.Errorf("%s: tool %s is %s", c.mode, id, tool.Status)
			}
		}
		for _, e := range s.Events() {
			if e.Kind == agent.KindUsage && i > 0 && e.Usage.InputTokens > 3*1200 {
				t.Errorf("%s: usage %+v is not the turn's", c.mode, *e.Usage)
			}
		}
	}
}
