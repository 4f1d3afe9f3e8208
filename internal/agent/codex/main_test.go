package codex_test

import (
	"os"
	"testing"

	"catamaran/internal/agent/agenttest"
	"catamaran/internal/agent/codex"
	"catamaran/internal/proc"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	proc.GuardMain()
	if role := os.Getenv(agenttest.RoleVar); role != "" {
		os.Exit(fake(role))
	}
	goleak.VerifyTestMain(m)
}

// own returns a target that is this program in a role.
func own(t *testing.T, role string) agenttest.Target {
	t.Helper()
	d := codex.New(nil)
	d.SetFirstWait(1)
	return agenttest.Self(t, d, role)
}
