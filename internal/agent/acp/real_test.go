//go:build realagents

package acp_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/agent/acp"
	"catamaran/internal/agent/agenttest"
	"catamaran/internal/api"
)

// real returns a target for an installed program.
func real(t *testing.T, folder, program string, args ...string) agenttest.Target {
	t.Helper()
	d := acp.New(agenttest.Log(t))
	d.SetOpenTimeout(5 * time.Minute)
	return agenttest.Scripted(agenttest.Target{
		Driver:  d,
		Config:  agent.Config{ID: program, Name: program, Path: agenttest.Installed(t, folder, program), Args: args},
		Timeout: 12 * time.Minute, // OpenCode starts in 2 s alone and in 10 s beside seven others
	})
}

func TestOpenCode(t *testing.T) {
	target := real(t, "opencode-ai@1.18.33", "opencode", "acp")
	target.Output = "hello-from-tool"
	target.Report = "OpenCode"
	target.PlanFor, target.Plan = "make a plan", "1. Look\n2. Leap"
	target.Config.Prepare = agent.OpenCodePrepare
	target.See, target.Seen = "count the pictures", "I see 1 of them."
	target.Which, target.Model = "which model are you", "fake/other-model"
	target.Named = "other-model"
	target.Offers = func(o api.AgentOptions) string {
		switch {
		case !o.Plan || !o.Images || o.Steer:
			return "it offers something else"
		case o.DefaultModel != "fake/fake-model" || !slices.ContainsFunc(o.Models, func(m api.AgentModel) bool { return m.ID == "fake/other-model" }):
			return "models are missing"
		case !slices.ContainsFunc(o.Commands, func(c api.AgentCommand) bool { return c.Name == "init" }):
			return "the command init is missing"
		}
		return ""
	}
	target.Env = func(t *testing.T, dir, state string) []string {
		config, err := json.Marshal(map[string]any{
			"model": "fake/fake-model", "small_model": "fake/fake-model", "autoupdate": false, "share": "disabled",
			"provider": map[string]any{"fake": map[string]any{
				"npm": "@ai-sdk/openai-compatible", "name": "Fake", "options": map[string]any{"baseURL": agenttest.Model(t, dir) + "/v1", "apiKey": "none"},
				"models": map[string]any{
					"fake-model": map[string]any{"name": "Fake model", "limit": map[string]any{"context": 100000, "output": 8000}, "attachment": true,
						"modalities": map[string]any{"input": []string{"text", "image"}, "output": []string{"text"}}},
					"other-model": map[string]any{"name": "Other model", "limit": map[string]any{"context": 100000, "output": 8000}},
				},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return agenttest.Bare(state, "XDG_DATA_HOME="+state+"/data", "XDG_CONFIG_HOME="+state+"/config", "XDG_CACHE_HOME="+state+"/cache", "XDG_STATE_HOME="+state+"/state",
			"OPENCODE_CONFIG_CONTENT="+string(config), "OPENCODE_DISABLE_AUTOUPDATE=1", "OPENCODE_DISABLE_MODELS_FETCH=1")
	}
	agenttest.Run(t, target)
}

func TestGeminiCLI(t *testing.T) {
	target := real(t, "gemini-cli@0.61.0", "gemini", "--acp")
	target.Report = "Gemini CLI"
	target.PlanAsked = true
	target.PlanFor, target.Plan = "make a plan", "1. Look\n2. Leap"
	target.See, target.Seen = "count the pictures", "I see 1 of them."
	target.Which, target.Model = "which model are you", "gemini-2.5-pro"
	target.Offers = func(o api.AgentOptions) string {
		switch {
		case !o.Plan || !o.Images || o.Steer:
			return "it offers something else"
		case len(o.Models) < 2 || o.DefaultModel == "":
			return "models are missing"
		case !slices.ContainsFunc(o.Commands, func(c api.AgentCommand) bool { return c.Name == "init" }):
			return "the command init is missing"
		}
		return ""
	}
	target.Env = func(t *testing.T, dir, state string) []string {
		settings := filepath.Join(state, ".gemini", "settings.json")
		if err := os.MkdirAll(filepath.Dir(settings), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(settings, []byte(`{"security":{"auth":{"selectedType":"gemini-api-key"},"folderTrust":{"enabled":false}},"telemetry":{"enabled":false},"privacy":{"usageStatisticsEnabled":false},"general":{"disableAutoUpdate":true,"disableUpdateNag":true,"enableAutoUpdate":false}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		return agenttest.Bare(state, "GEMINI_API_KEY=none", "GOOGLE_GEMINI_BASE_URL="+agenttest.Model(t, dir))
	}
	target.Restart = func(t *testing.T, _, state string) {
		// Gemini CLI 0.61 names a session's file by the minute and wipes it when the
		// session is loaded in the minute it began; so it began a while ago.
		files, err := filepath.Glob(filepath.Join(state, ".gemini/tmp/*/chats/session-*.jsonl"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no session files: %v", err)
		}
		for _, f := range files {
			id := filepath.Base(f)[strings.LastIndex(filepath.Base(f), "-"):]
			if err := os.Rename(f, filepath.Join(filepath.Dir(f), "session-2026-01-01T00-00"+id)); err != nil {
				t.Fatal(err)
			}
		}
	}
	agenttest.Run(t, target)
}
