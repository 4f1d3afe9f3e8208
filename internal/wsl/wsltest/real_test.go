//go:build realwsl

package wsltest

import (
	"os"
	"testing"
)

// TestRealWSL holds a real machine to the same promises (B43): set WSL_CONFORMANCE_EXE
// to its wsl.exe and WSL_CONFORMANCE_DISTRO to a distro that may be started.
func TestRealWSL(t *testing.T) {
	g := Target{Exe: os.Getenv("WSL_CONFORMANCE_EXE"), Distro: os.Getenv("WSL_CONFORMANCE_DISTRO")}
	if g.Exe == "" || g.Distro == "" {
		t.Fatal("WSL_CONFORMANCE_EXE and WSL_CONFORMANCE_DISTRO are not set")
	}
	Conformance(t, g)
}
