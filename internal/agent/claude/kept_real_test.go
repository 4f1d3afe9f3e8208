//go:build realagents

package claude_test

import (
	"testing"

	"catamaran/internal/agent/agenttest"
)

func TestClaudeCodeSessionFromDisk(t *testing.T) { agenttest.KeepsOn(t, installed(t)) }
