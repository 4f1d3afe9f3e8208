package claude_test

import (
	"fmt"
	"os"
	"reflect"
	"testing"

	"catamaran/internal/agent"
	"catamaran/internal/agent/agenttest"
	"catamaran/internal/agent/claude"
	"catamaran/internal/api"
	"catamaran/internal/proc"
	"go.uber.org/goleak"
)

// roleVar makes this test program act as an agent, stateVar tells where it keeps its
// sessions, recordVar which recorded one it plays.
const (
	roleVar   = "CATAMARAN_TEST_AGENT"
	stateVar  = "CATAMARAN_TEST_STATE"
	recordVar = "CATAMARAN_TEST_RECORD"
)

func TestMain(m *testing.M) {
	proc.GuardMain()
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(fake(role))
	}
	goleak.VerifyTestMain(m)
}

// own returns a target that is this program in a role.
func own(t *testing.T, role string) agenttest.Target {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return agenttest.Target{
		Driver: claude.New(nil),
		Config: agent.Config{ID: role, Name: "Agent " + role, Path: exe},
		Env: func(_ *testing.T, _, state string) []string {
			return append(os.Environ(), roleVar+"="+role, stateVar+"="+state, "GORACE=atexit_sleep_ms=0")
		},
	}
}

func TestFakeConforms(t *testing.T) {
	t.Parallel()
	target := own(t, "works")
	target.Work, target.Stream = "work", "stream"
	target.Made, target.Wrote, target.WroteText, target.Output = "made.txt", "notes.md", "written by the fake", "hello"
	target.Ask, target.Told = "a question", `"answers":{"Which?":"Red"}`
	target.See, target.Seen = "count pictures", "I see 1"
	target.Which, target.Model, target.Effort = "which model", "big", "low"
	target.Slow, target.Steering, target.Steered = "slowly", "faster", "steered by faster"
	target.PlanFor, target.Plan = "make a plan", "1. Look"
	target.Offers = func(o api.AgentOptions) string {
		want := api.AgentOptions{Version: "1.2.3", DefaultModel: "small", Plan: true, Images: true, Steer: true, Sessions: true, Commands: []api.AgentCommand{{Name: "init", Description: "Begin", Hint: "[how]"}},
			Models: []api.AgentModel{{ID: "small", Name: "Small", Efforts: []string{"low", "high"}}, {ID: "big", Name: "big"}}}
		if !reflect.DeepEqual(o, want) {
			return fmt.Sprintf("want %+v", want)
		}
		return ""
	}
	agenttest.Run(t, target)
}
