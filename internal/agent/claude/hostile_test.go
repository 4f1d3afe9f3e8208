//go:build unix

package claude_test

import (
	"testing"

	"catamaran/internal/agent/agenttest"
)

func TestHostileAgents(t *testing.T) { agenttest.Hostile(t, own) }
