package acp_test

import (
	"fmt"
	"os"
	"testing"

	"catamaran/internal/agent"
	"catamaran/internal/agent/acp"
	"catamaran/internal/agent/agenttest"
	"catamaran/internal/agent/demoagent"
	"catamaran/internal/proc"
	"go.uber.org/goleak"
)

// roleVar makes this test program act as an agent.
const roleVar = "CATAMARAN_TEST_AGENT"

func TestMain(m *testing.M) {
	proc.GuardMain()
	switch role := os.Getenv(roleVar); role {
	case "":
		goleak.VerifyTestMain(m)
	case "demo":
		if err := demoagent.Main(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	default:
		os.Exit(fake(role))
	}
}

// own returns a target that is this program in a role.
func own(t *testing.T, role string) agenttest.Target {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return agenttest.Target{
		Driver: acp.New(nil),
		Config: agent.Config{ID: role, Name: "Agent " + role, Path: exe},
		Env: func(*testing.T, string, string) []string {
			return append(os.Environ(), roleVar+"="+role, "GORACE=atexit_sleep_ms=0")
		},
	}
}

func TestDemoAgentConforms(t *testing.T) {
	t.Parallel()
	target := own(t, "demo")
	target.Work = "demo"
	target.Output = "total"
	target.Wrote, target.WroteText = "catamaran-demo.md", "Written by the demo agent"
	target.Stream = "stream 30"
	agenttest.Run(t, target)
}
