//go:build realagents

package codex_test

import (
	"testing"

	"catamaran/internal/agent/agenttest"
)

func TestCodexSessionFromDisk(t *testing.T) { agenttest.KeepsOn(t, real(t)) }
