//go:build unix

package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
)

func TestOpenCodeKeepsThePersonsRules(t *testing.T) {
	t.Parallel()
	for rules, want := range map[string]string{
		``:                                     "map[bash:ask edit:ask webfetch:ask]",
		`null`:                                 "map[bash:ask edit:ask webfetch:ask]",
		`{}`:                                   "map[bash:ask edit:ask webfetch:ask]",
		`"allow"`:                              "map[bash:ask edit:ask webfetch:ask]",
		`"deny"`:                               "map[]",
		`"ask"`:                                "map[]",
		`{"bash":"deny","edit":"allow"}`:       "map[webfetch:ask]",
		`{"bash":{"rm *":"deny","*":"allow"}}`: "map[edit:ask webfetch:ask]",
		`{"*":"deny"}`:                         "map[]",
		`{"*":"allow","edit":"deny"}`:          "map[bash:ask webfetch:ask]",
		`{"*":{"a":"deny"}}`:                   "map[]",
		`{"websearch":"deny","bash":7}`:        "map[edit:ask webfetch:ask]",
	} {
		if got := fmt.Sprint(openCodeAsks(json.RawMessage(rules))); got != want {
			t.Errorf("%s: %s, want %s", rules, got, want)
		}
	}
}

// Not beside other tests: a program is written and run, and a process started meanwhile
// would still have the file open for writing.
func TestOpenCodePrepare(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "opencode")
	script := "#!/bin/sh\ncase \"$WANT\" in fail) echo broken >&2; exit 3;; junk) echo hello;; *) echo \"$WANT\";; esac\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	prepare := func(mode api.PermissionMode, want string) ([]string, error) {
		return OpenCodePrepare(ctx, Config{Name: "OpenCode", Path: path}, dir, append(os.Environ(), "WANT="+want), mode)
	}
	if env, err := prepare(api.PermissionSupervised, `{"permission":{"bash":"deny"}}`); err != nil || fmt.Sprint(env) != `[OPENCODE_PERMISSION={"edit":"ask","webfetch":"ask"}]` {
		t.Errorf("%v, %v, %s", env, err, api.AsError(err).Details)
	}
	if env, err := prepare(api.PermissionFull, "fail"); err != nil || env != nil {
		t.Errorf("full access: %v, %v", env, err)
	}
	for _, want := range []string{"fail", "junk"} {
		if _, err := prepare(api.PermissionAcceptEdits, want); api.CodeOf(err) != api.CodeAgentFailed || !strings.Contains(api.AsError(err).Hint, "debug config") {
			t.Errorf("%s: %v", want, err)
		}
	}
}
