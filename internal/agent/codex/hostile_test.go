//go:build unix

package codex_test

import (
	"testing"

	"catamaran/internal/agent/agenttest"
)

func TestHostileAgents(t *testing.T) { agenttest.Hostile(t, own) }
