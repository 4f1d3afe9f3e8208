package wsltest

import (
	"testing"

	"catamaran/internal/wsl/wslsim"
)

func TestMachineBuilds(t *testing.T) {
	t.Parallel()
	m := Scenario(t, wslsim.Scenario{})
	if m.Running("Ubuntu") || len(m.Processes("Ubuntu")) != 0 {
		t.Fatal("a fresh distro runs")
	}
}
