package codex_test

import (
	"os"
	"testing"

	"catamaran/internal/proc"
	"go.uber.org/goleak"
)

// roleVar makes this test program act as an agent.
const roleVar = "CATAMARAN_TEST_AGENT"

func TestMain(m *testing.M) {
	proc.GuardMain()
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
