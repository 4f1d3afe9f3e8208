package acp_test

import (
	"fmt"
	"os"
	"testing"

	"catamaran/internal/agent/acp"
	"catamaran/internal/agent/agenttest"
	"catamaran/internal/agent/demoagent"
	"catamaran/internal/api"
	"catamaran/internal/proc"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	proc.GuardMain()
	switch role := os.Getenv(agenttest.RoleVar); role {
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
	return agenttest.Self(t, acp.New(nil), role)
}

func TestDemoAgentConforms(t *testing.T) {
	t.Parallel()
	target := own(t, "demo")
	target.Work = "demo"
	target.Output = "total"
	target.Wrote, target.WroteText = "catamaran-demo.md", "Written by the demo agent"
	target.Stream = "stream 30"
	target.Ask, target.Told = "ask me", "A red boat with sail, called 7"
	target.See, target.Seen = "what is this?", "number 1 is a PNG of 64 by 64 points"
	target.Which, target.Model, target.Effort = "which model is it?", "demo-thorough", "high"
	target.PlanFor, target.Plan = "list", "Do what you asked for: list"
	target.Offers = func(o api.AgentOptions) string {
		if !o.Plan || !o.Images || o.Steer || len(o.Models) != 2 || len(o.Efforts) != 2 || len(o.Commands) != 3 || o.DefaultModel != "demo-quick" {
			return "it offers something else"
		}
		return ""
	}
	agenttest.Run(t, target)
}
