//go:build unix && !linux

package proc

import (
	"os/exec"
	"syscall"
)

func childAttr(own bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: own} }

// awaitExit: waitid also returns for stopped processes on these systems.
func awaitExit(int) bool { return false }

// guard needs a subreaper, which only Linux has.
type guard struct{}

func newGuard(*exec.Cmd, bool) (*guard, error) { return nil, nil }
func (*guard) started(*exec.Cmd) (int, error)  { return 0, nil }
func (*guard) wait(*exec.Cmd) exit             { return exit{} }
func (*guard) command(byte)                    {}
func (*guard) release()                        {}

func guardMain() {}
