package agent

// Presets are the agents the app knows, in the order they are shown. The demo
// agent is not among them: its path is the backend itself (see RegistryOptions).
// Programs, arguments and commands: the agents' own documentation, 2026-11;
// codex, claude, opencode and gemini are driven in tests, the others are taken on trust.
func Presets() []Preset {
	version := []string{"--version"}
	return []Preset{
		{ID: "codex", Name: "Codex", Driver: "codex", Program: "codex", Args: []string{"app-server"}, VersionArgs: version, StatusArgs: []string{"login", "status"},
			Install: "npm install -g @openai/codex", SignIn: "codex login"},
		{ID: "claude", Name: "Claude Code", Driver: "claude", Program: "claude", VersionArgs: version, StatusArgs: []string{"auth", "status"},
			Install: "npm install -g @anthropic-ai/claude-code", SignIn: "claude auth login"},
		{ID: "opencode", Name: "OpenCode", Driver: "acp", Program: "opencode", Args: []string{"acp"}, VersionArgs: version,
			Install: "npm install -g opencode-ai", SignIn: "opencode auth login", Prepare: OpenCodePrepare},
		{ID: "gemini", Name: "Gemini CLI", Driver: "acp", Program: "gemini", Args: []string{"--acp"}, VersionArgs: version,
			OldArgs: []string{"--experimental-acp"}, ArgsSince: "0.33.0", Install: "npm install -g @google/gemini-cli", SignIn: "gemini"},
		{ID: "cursor", Name: "Cursor", Driver: "acp", Program: "cursor-agent", Args: []string{"acp"}, VersionArgs: version,
			Install: "curl https://cursor.com/install -fsS | bash", SignIn: "cursor-agent login"},
		{ID: "copilot", Name: "GitHub Copilot CLI", Driver: "acp", Program: "copilot", Args: []string{"--acp"}, VersionArgs: version,
			Install: "npm install -g @github/copilot", SignIn: "copilot login"},
		{ID: "goose", Name: "Goose", Driver: "acp", Program: "goose", Args: []string{"acp"}, VersionArgs: version,
			Install: "curl -fsSL https://github.com/block/goose/releases/download/stable/download_cli.sh | bash", SignIn: "goose configure"},
		{ID: "qwen", Name: "Qwen Code", Driver: "acp", Program: "qwen", Args: []string{"--acp"}, VersionArgs: version,
			Install: "npm install -g @qwen-code/qwen-code", SignIn: "qwen"},
	}
}
