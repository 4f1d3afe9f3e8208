package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"catamaran/internal/api"
	"catamaran/internal/proc"
)

// configMost bounds the text of a configuration, in bytes.
const configMost = 4 << 20

// openCodeTools are the tools that change something or reach out, which OpenCode uses unasked by itself.
var openCodeTools = []string{"bash", "edit", "webfetch"}

// OpenCodePrepare makes OpenCode ask: its modes say nothing about permissions and by
// itself it runs commands and edits files unasked. The variable OPENCODE_PERMISSION is
// merged over the person's own configuration (config loader of opencode 1.18), so it
// names only tools that this configuration says nothing about: rules of the person's
// own, a "deny" above all, stay as they are. It takes as long as a start of the program,
// at most as ctx allows. It is a Config.Prepare.
func OpenCodePrepare(ctx context.Context, c Config, dir string, env []string, mode api.PermissionMode) ([]string, error) {
	if mode == api.PermissionFull {
		return nil, nil
	}
	r, err := proc.Run(ctx, proc.Spec{Name: "opencode config", Path: c.Path, Args: []string{"debug", "config"}, Dir: dir, Env: slices.Concat(env, c.Env), Guard: true}, nil, configMost)
	if err == nil && r.ExitCode != 0 {
		err = fmt.Errorf("it ended with exit code %d: %s", r.ExitCode, r.Stderr)
	}
	var config struct {
		Permission json.RawMessage `json:"permission"`
	}
	if err == nil {
		err = json.Unmarshal(r.Stdout, &config)
	}
	if err != nil {
		// Going on could let it act unasked, or undo what the person forbade.
		return nil, &api.Error{Code: api.CodeAgentFailed, Message: c.Name + " did not tell which permissions it has.",
			Hint: "Run this in the project's folder to see why: opencode debug config", Details: err.Error(), Retryable: true}
	}
	add := openCodeAsks(config.Permission)
	if len(add) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(add)
	if err != nil {
		return nil, err
	}
	return []string{"OPENCODE_PERMISSION=" + string(b)}, nil
}

// openCodeAsks are the tools to ask for, given the person's own rules: one rule for all,
// or one, or several by pattern, for each tool, "*" standing for the others. A general
// "allow" is no answer to what the mode promises; everything else is the person's word.
func openCodeAsks(permission json.RawMessage) map[string]string {
	rules := map[string]json.RawMessage{}
	if json.Unmarshal(permission, &rules) != nil {
		rules = map[string]json.RawMessage{"*": permission}
	}
	general := ""
	_ = json.Unmarshal(rules["*"], &general) // patterns for all tools are left alone below
	add := map[string]string{}
	for _, tool := range openCodeTools {
		_, own := rules[tool]
		_, all := rules["*"]
		if !own && (!all || general == "allow" || string(rules["*"]) == "null" || len(rules["*"]) == 0) {
			add[tool] = "ask"
		}
	}
	return add
}
