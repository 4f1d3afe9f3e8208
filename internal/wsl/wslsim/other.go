//go:build !linux

package wslsim

import (
	"errors"
	"os"
)

// The Linux side needs Linux; elsewhere only the verbs answer.
var errOnlyLinux = errors.New("wslsim: distros are only simulated on Linux")

func (m *machine) launch(command) uint32 { return refuse("launching outside Linux") }

func forward([]string) uint32 { return refuse("a forwarder outside Linux") }

func hostMain([]string) int { return exitRefused }

const envInner = "WSLSIM_INNER"

func initMain([]string) int { return exitRefused }
func relayMain() int        { return exitRefused }
func sessionMain() int      { return exitRefused }

// Running reports whether the distro runs.
func Running(dir, distro string) bool { return false }

// Processes lists the process ids of the programs of a running distro.
func Processes(dir, distro string) ([]int, error) { return nil, errOnlyLinux }

// Terminate kills every process of the distro at once.
func Terminate(dir, distro string) error { return errOnlyLinux }

// Shutdown terminates every distro of the scenario.
func Shutdown(dir string) error { return errOnlyLinux }

// LockFile serialises nothing outside Linux, where a scenario has one caller at a time.
func LockFile(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}
