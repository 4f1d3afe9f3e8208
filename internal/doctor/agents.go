package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"catamaran/internal/api"
	"catamaran/internal/noderange"
	"catamaran/internal/proc"
)

const (
	// demoID is the agent that is always there.
	demoID = "demo"
	// maxPackage bounds a package.json, maxClimb how far above a program it is looked for.
	maxPackage = 1 << 20
	maxClimb   = 6
)

func (d *Doctor) agents(ctx context.Context, env []string, fresh bool) []api.Finding {
	agents, err := d.o.Agents(ctx, fresh)
	if err != nil {
		f := api.Finding{ID: "agents", Severity: api.SeverityWarning, Title: "Agents could not be looked for: " + err.Error(), Why: "Without an agent no thread can run.", Repair: "Run the checks again."}
		return []api.Finding{f}
	}
	node := d.findNode(ctx, env)
	var all []api.Finding
	real := 0
	for _, a := range agents {
		if a.ID == demoID {
			continue
		}
		f := d.agent(a, node, env)
		if a.State == "found" && f.Severity != api.SeverityWarning {
			real++
		}
		all = append(all, f)
	}
	if real == 0 {
		f := api.Finding{ID: "agents", Severity: api.SeverityWarning, Title: "No agent that could do work is installed here.", Why: "Only the demo agent can be used.", Repair: "Install an agent, then run the checks again."}
		for _, a := range agents {
			if a.Install != "" {
				f.Repair, f.Command = a.Install, true
				break
			}
		}
		all = append([]api.Finding{f}, all...)
	}
	return all
}

// agent says in how far one agent can be used (W9.2): the tool is missing, or
// node is, or node is too old, or it does not run, or all is well.
func (d *Doctor) agent(a api.Agent, node nodeFound, env []string) api.Finding {
	f := api.Finding{ID: "agent:" + a.ID, Severity: api.SeverityWarning}
	if a.Path == "" {
		f.Severity, f.Title = api.SeverityInfo, a.Name+" is not installed here."
		f.Repair, f.Command = a.Install, a.Install != ""
		if a.Foreign != "" {
			f.Title = fmt.Sprintf("%s is installed on Windows only (%s), not in this distro.", a.Name, a.Foreign)
			f.Why = "A Windows program would work on the wrong files with Windows' account, so it is not used here."
		}
		return f
	}
	var engine string
	if program, ok := nodeProgram(a.Path); ok {
		engine = engineRange(program)
		if bad := nodeFinding(a, node, engine, d.o.OS); bad != nil {
			bad.ID = f.ID
			return *bad
		}
	}
	if a.State != "found" {
		f.Title = a.Name + " was found at " + a.Path + " but does not run."
		f.Why = "Threads with it fail."
		if a.Error != nil {
			f.Title += " " + a.Error.Message
		}
		f.Repair, f.Command = ShellQuote(a.Path)+" --version", true
		return f
	}
	f.Severity, f.Title = api.SeverityOK, a.Name+" "+a.Version+" is "+a.Path
	if engine != "" {
		f.Title += fmt.Sprintf(" (Node.js %s, needs %s)", node.version, engine)
	}
	switch d.signedIn(a.ID, env) {
	case signYes:
		f.Title += "; a sign-in or an API key is there."
	case signNo:
		f.Severity = api.SeverityInfo
		f.Title += "; no sign-in was found."
		f.Why = "It will ask for one, or fail, at its first turn."
		f.Repair, f.Command = a.SignIn, a.SignIn != ""
	default:
		f.Title += "."
	}
	return f
}

// nodeFinding is nil when node satisfies what the program asks for.
func nodeFinding(a api.Agent, node nodeFound, engine, goos string) *api.Finding {
	f := &api.Finding{Severity: api.SeverityWarning, Why: a.Name + " is a Node.js program and cannot start without it."}
	f.Repair, f.Command = nodeInstall(goos)
	needs := engine
	if needs == "" {
		needs = "any version"
	}
	if node.path == "" {
		f.Title = fmt.Sprintf("%s needs Node.js (%s), and node is missing from the login PATH.", a.Name, needs)
		if node.err != nil {
			f.Title = fmt.Sprintf("%s needs Node.js (%s), but node does not run: %v.", a.Name, needs, node.err)
		}
		return f
	}
	want, err := noderange.Parse(engine)
	have, verr := noderange.ParseVersion(node.version)
	if err != nil || verr != nil || want.Contains(have) {
		return nil // what cannot be read is not held against it
	}
	f.Why = a.Name + " says that it does not work with other versions."
	f.Title = fmt.Sprintf("Node.js is not the right one for %s: found %s, needs %s.", a.Name, have, want)
	if want.Below(have) {
		f.Title = fmt.Sprintf("Node.js is too old for %s: found %s, needs %s.", a.Name, have, want)
	}
	return f
}

func nodeInstall(goos string) (repair string, command bool) {
	switch goos {
	case "windows":
		return "winget install OpenJS.NodeJS.LTS", true
	case "darwin":
		return "brew install node", true
	}
	return "Install a newer Node.js: https://nodejs.org/en/download", false
}

type nodeFound struct {
	path, version string
	err           error
}

// findNode looks where agents are looked for, never on the Windows side.
func (d *Doctor) findNode(ctx context.Context, env []string) nodeFound {
	path, err := proc.LookPath("node", strings.Join(d.o.Dirs(env), string(os.PathListSeparator)))
	if err != nil {
		return nodeFound{}
	}
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	r, err := proc.Run(ctx, proc.Spec{Name: "node", Path: path, Args: []string{"--version"}, Env: env}, nil, 4<<10)
	if err == nil && r.ExitCode != 0 {
		err = fmt.Errorf("%s --version ended with exit code %d", path, r.ExitCode)
	}
	if err != nil {
		return nodeFound{err: err}
	}
	return nodeFound{path: path, version: strings.TrimSpace(proc.Text(r.Stdout))}
}

// shim is the line of npm's Windows wrappers that names the script.
var shim = regexp.MustCompile(`(?i)%~?dp0%?\\(node_modules\\[^"\r\n]+\.[cm]?js)"`)

// nodeProgram tells whether a program is a script for node, and where the script is.
func nodeProgram(path string) (string, bool) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", false
	}
	f, err := os.Open(real)
	if err != nil {
		return "", false
	}
	defer f.Close()
	head, _ := io.ReadAll(io.LimitReader(f, 4<<10))
	switch ext := strings.ToLower(filepath.Ext(real)); {
	case ext == ".cmd":
		m := shim.FindSubmatch(head)
		if m == nil {
			return "", false
		}
		return filepath.Join(filepath.Dir(real), filepath.FromSlash(strings.ReplaceAll(string(m[1]), `\`, "/"))), true
	case slices.Contains([]string{".js", ".mjs", ".cjs"}, ext):
		return real, true
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	if !bytes.HasPrefix(line, []byte("#!")) {
		return "", false
	}
	for _, w := range strings.Fields(string(line[2:])) {
		if filepath.Base(w) == "node" {
			return real, true
		}
	}
	return "", false
}

// engineRange reads "engines.node" of the package that a script belongs to; "" where there is none.
func engineRange(script string) string {
	dir := filepath.Dir(script)
	for range maxClimb {
		f, err := os.Open(filepath.Join(dir, "package.json"))
		if err == nil {
			b, rerr := io.ReadAll(io.LimitReader(f, maxPackage))
			f.Close()
			var p struct {
				Name    string `json:"name"`
				Engines struct {
					Node string `json:"node"`
				} `json:"engines"`
			}
			// A package.json without a name only tells Node how to read the files beside it.
			if err := json.Unmarshal(b, &p); rerr == nil && err == nil && p.Name != "" {
				return clean(p.Engines.Node)
			}
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	return ""
}

func clean(s string) string {
	s = strings.TrimSpace(proc.Text([]byte(s)))
	if len(s) > 120 {
		return ""
	}
	return s
}

type signState int

const (
	signUnknown signState = iota
	signYes
	signNo
)

// signs are where agents keep a sign-in, and the variables they take instead.
// complete lists name every usual place, so that none there means not signed in.
// Sources: the agents' own documentation, 2026-11.
var signs = map[string]struct {
	complete bool
	env      []string
	files    []string // below the home
}{
	"opencode": {true, []string{"ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY", "GROQ_API_KEY", "MISTRAL_API_KEY", "XAI_API_KEY", "DEEPSEEK_API_KEY", "OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT"}, []string{".local/share/opencode/auth.json", ".config/opencode/opencode.json", ".config/opencode/opencode.jsonc"}},
	"gemini":   {true, []string{"GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA"}, []string{".gemini/oauth_creds.json", ".gemini/.env", ".env"}},
	"qwen":     {true, []string{"OPENAI_API_KEY", "DASHSCOPE_API_KEY"}, []string{".qwen/oauth_creds.json", ".qwen/.env", ".env"}},
	// Both can keep a sign-in in the system's key store, too.
	"codex":   {false, []string{"OPENAI_API_KEY", "CODEX_API_KEY"}, []string{".codex/auth.json"}},
	"claude":  {false, []string{"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"}, []string{".claude/.credentials.json"}},
	"cursor":  {false, []string{"CURSOR_API_KEY"}, nil},
	"copilot": {false, []string{"COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"}, nil},
	"goose":   {false, nil, []string{".config/goose/config.yaml"}},
}

func (d *Doctor) signedIn(id string, env []string) signState {
	s, ok := signs[id]
	if !ok {
		return signUnknown
	}
	for _, name := range s.env {
		if v, ok := proc.EnvValue(env, name); ok && v != "" {
			return signYes
		}
	}
	for _, name := range s.files {
		if info, err := os.Stat(filepath.Join(d.o.Home, filepath.FromSlash(name))); err == nil && info.Size() > 2 {
			return signYes
		}
	}
	if s.complete && d.o.Home != "" {
		return signNo
	}
	return signUnknown
}
