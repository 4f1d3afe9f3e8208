//go:build realagents && linux

package firstrun

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"catamaran/internal/agent"
	"catamaran/internal/agent/agenttest"
	"catamaran/internal/api"
	"catamaran/test/page"
	"catamaran/test/product"
)

const (
	// patience bounds a whole story; alone on a machine one takes seconds.
	patience = 5 * time.Minute
	// looks is how often agents are looked for: a slow machine may need more than the time one look has.
	looks = 5
	env   = "local"
)

func TestMain(m *testing.M) {
	code := m.Run()
	product.Clean()
	os.Exit(code)
}

// user is somebody who has just started the app for the first time.
type user struct {
	t    *testing.T
	ctx  context.Context
	page page.Page
	repo string
}

// meet starts the desktop in home with more variables. path is the PATH of a new
// terminal, which the start-up file of the login shell makes as well.
func meet(t *testing.T, home, repo, path string, more ...string) *user {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	tmp := filepath.Join(home, "tmp") // Codex wants its folder outside the one for temporary files
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, ".profile"), fmt.Sprintf("PATH='%s'\nexport PATH\n", path))
	desktop := product.StartDesktop(t, product.Options{Env: append([]string{"HOME=" + home, "PATH=" + path, "TMPDIR=" + tmp}, more...)})
	u := &user{t: t, ctx: ctx, page: page.Page{Base: desktop.Base}, repo: repo}
	u.do("signin", desktop.URL)
	u.do("ready", env)
	return u
}

// do does a word of package page that has to work and returns what it prints.
func (u *user) do(verb string, args ...string) string {
	u.t.Helper()
	out, err := u.try(verb, args...)
	if err != nil {
		timeline, _ := u.try("timeline", env)
		u.t.Fatalf("%s %v: %v\n%s", verb, args, err, timeline)
	}
	return out
}

func (u *user) try(verb string, args ...string) (string, error) {
	var out bytes.Buffer
	err := u.page.Do(u.ctx, &out, verb, args, func(p string) string { return p })
	return out.String(), err
}

// agents lists the agents; done says whether the list will do, or is worth another look.
func (u *user) agents(done func([]api.Agent) bool) []api.Agent {
	u.t.Helper()
	var all api.Agents
	for i := range looks {
		if err := u.page.Call(u.ctx, env, api.MethodAgentList, api.AgentList{Rescan: i > 0}, &all); err != nil {
			u.t.Fatal(err)
		}
		if done(all.Agents) {
			break
		}
	}
	return all.Agents
}

func named(all []api.Agent, id string) api.Agent {
	i := slices.IndexFunc(all, func(a api.Agent) bool { return a.ID == id })
	if i < 0 {
		return api.Agent{}
	}
	return all[i]
}

// turn adds the repository, prompts an agent in it and allows once what it asks until the
// turn is completed. It returns how often it asked.
func (u *user) turn(agentID, prompt string) int {
	u.t.Helper()
	u.do("add", env, u.repo)
	u.do("thread", env, agentID)
	u.do("prompt", env, prompt)
	for asked := 0; ; asked++ {
		if _, err := u.try("approve", env, "allow_once"); err != nil {
			if !strings.Contains(err.Error(), "ended as completed without asking") {
				timeline, _ := u.try("timeline", env)
				u.t.Fatalf("after %d approvals: %v\n%s", asked, err, timeline)
			}
			return asked
		}
	}
}

func (u *user) has(what, text string, want ...string) {
	u.t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			u.t.Errorf("no %q in the %s:\n%s", w, what, text)
		}
	}
}

// file checks a file of the repository.
func (u *user) file(name, want string) {
	u.t.Helper()
	b, err := os.ReadFile(filepath.Join(u.repo, name))
	if err != nil {
		u.t.Error(err)
		return
	}
	u.has(name, string(b), want)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Each agent, freshly installed, does a first turn. One after the other: each takes
// hundreds of megabytes, and the app's own deadlines hold here.
func TestFirstRun(t *testing.T) {
	for _, c := range []struct {
		id, folder string
		// configure points the agent at a model and returns variables.
		configure func(t *testing.T, home, model string) []string
	}{
		{"codex", "codex@0.169.0", codex},
		{"claude", "claude-code@2.1.330", claude},
		{"opencode", "opencode-ai@1.18.33", openCode},
		{"gemini", "gemini-cli@0.61.0", gemini},
	} {
		t.Run(c.id, func(t *testing.T) {
			home, repo := t.TempDir(), product.GitRepo(t, t.TempDir())
			program := agenttest.Installed(t, c.folder, c.id)
			path := filepath.Dir(program) + string(os.PathListSeparator) + os.Getenv("PATH")
			u := meet(t, home, repo, path, c.configure(t, home, agenttest.Model(t, repo))...)

			_, version, _ := strings.Cut(c.folder, "@")
			a := named(u.agents(func(all []api.Agent) bool { return named(all, c.id).State == "found" }), c.id)
			if a.State != "found" || a.Path != program || a.Version != version {
				t.Fatalf("agent.list has %+v; want %s found in version %s", a, program, version)
			}
			if asked := u.turn(c.id, "please do the tools"); asked != 2 {
				t.Errorf("it asked %d times; want 2, for the command and for the edit", asked)
			}
			u.file("made.txt", "hello-from-tool")
			u.file("notes.md", "written by the scripted model")
			u.has("timeline", u.do("timeline", env), "turn 1 completed", "Done. I ran the command and wrote `notes.md`.")
			u.has("diff", u.do("diff", env), "added made.txt", "+hello-from-tool", "added notes.md", "+written by the scripted model")
		})
	}
}

// Without any agent the list tells how to install each, and the demo agent works.
func TestFirstRunWithoutAgents(t *testing.T) {
	bin := t.TempDir() // what the machine has on its PATH beside these does not count
	for _, name := range []string{"git", "sh"} {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(real, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	u := meet(t, t.TempDir(), product.GitRepo(t, t.TempDir()), bin)

	// Written out here, as people are to read them.
	want := map[string]string{
		"codex":    "npm install -g @openai/codex",
		"claude":   "npm install -g @anthropic-ai/claude-code",
		"opencode": "npm install -g opencode-ai",
		"gemini":   "npm install -g @google/gemini-cli",
		"cursor":   "curl https://cursor.com/install -fsS | bash",
		"copilot":  "npm install -g @github/copilot",
		"goose":    "curl -fsSL https://github.com/block/goose/releases/download/stable/download_cli.sh | bash",
		"qwen":     "npm install -g @qwen-code/qwen-code",
	}
	if n := len(agent.Presets()); n != len(want) {
		t.Errorf("%d agents are known; this test knows %d", n, len(want))
	}
	all := u.agents(func([]api.Agent) bool { return true })
	for id, install := range want {
		if a := named(all, id); a.State != "missing" || a.Install != install || a.Path != "" || !slices.Contains(a.Searched, bin) {
			t.Errorf("agent.list has %+v; want %s missing, installed by %q", a, id, install)
		}
	}
	if a := named(all, "demo"); a.State != "found" {
		t.Errorf("agent.list has %+v; want the demo agent", a)
	}

	if asked := u.turn("demo", "write notes.md: some text"); asked != 1 {
		t.Errorf("the demo agent asked %d times; want 1", asked)
	}
	u.file("notes.md", "some text")
	u.has("timeline", u.do("timeline", env), "turn 1 completed", "approval approved")
	u.has("diff", u.do("diff", env), "added notes.md", "+some text")

	// An agent that is missing does nothing and says what helps.
	u.do("thread", env, "codex")
	u.do("prompt", env, "hello")
	_, err := u.try("until", env, "completed") // its error tells the turn
	if err == nil {
		t.Fatal("a turn of an agent that is missing was completed")
	}
	u.has("turn", err.Error(), "ended as failed", "Codex is not installed here.", want["codex"])
}

func codex(t *testing.T, home, model string) []string {
	// The model's name decides which tools it is given: apply_patch only with a known one.
	write(t, filepath.Join(home, ".codex", "config.toml"), fmt.Sprintf(`model = "gpt-5.5"
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
`, model))
	return nil
}

func claude(_ *testing.T, _, model string) []string {
	return []string{"ANTHROPIC_BASE_URL=" + model, "ANTHROPIC_API_KEY=none", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "DISABLE_AUTOUPDATER=1"}
}

func openCode(t *testing.T, _, model string) []string {
	config, err := json.Marshal(map[string]any{
		"model": "fake/fake-model", "small_model": "fake/fake-model", "autoupdate": false, "share": "disabled",
		"provider": map[string]any{"fake": map[string]any{
			"npm": "@ai-sdk/openai-compatible", "name": "Fake", "options": map[string]any{"baseURL": model + "/v1", "apiKey": "none"},
			"models": map[string]any{"fake-model": map[string]any{"name": "Fake model", "limit": map[string]any{"context": 100000, "output": 8000}}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return []string{"OPENCODE_CONFIG_CONTENT=" + string(config), "OPENCODE_DISABLE_AUTOUPDATE=1", "OPENCODE_DISABLE_MODELS_FETCH=1"}
}

func gemini(t *testing.T, home, model string) []string {
	write(t, filepath.Join(home, ".gemini", "settings.json"), `{"security":{"auth":{"selectedType":"gemini-api-key"},"folderTrust":{"enabled":false}},`+
		`"telemetry":{"enabled":false},"privacy":{"usageStatisticsEnabled":false},"general":{"enableAutoUpdate":false}}`)
	return []string{"GEMINI_API_KEY=none", "GOOGLE_GEMINI_BASE_URL=" + model}
}
