// Package wsltest is the test kit for everything that talks to wsl.exe: a
// simulated machine per test, and a conformance suite of what product code
// relies on, which runs against the simulator and is written so that it can run
// against the real wsl.exe too. Only tests import it.
package wsltest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"catamaran/internal/proc"
	"catamaran/internal/wsl/wslsim"
)

// Machine is a simulated Windows machine with WSL.
type Machine struct {
	// Dir is the scenario directory, Exe its wsl.exe: give it to wsl.Options.Exe or
	// CATAMARAN_WSL_EXE. It finds its scenario by itself.
	Dir, Exe string
	t        testing.TB
	mu       sync.Mutex
	scenario wslsim.Scenario
}

// Scenario makes a simulated machine for the test and takes every process of it
// down at the end. Without distros it gets Ubuntu, the default, and Debian. Use
// Empty for a machine without any.
func Scenario(t testing.TB, s wslsim.Scenario) *Machine {
	t.Helper()
	if len(s.Distros) == 0 {
		two := wslsim.Two()
		s.Distros, s.Default = two.Distros, two.Default
	}
	return machine(t, s)
}

// Empty makes a simulated machine without a distro.
func Empty(t testing.TB, s wslsim.Scenario) *Machine {
	t.Helper()
	s.Distros, s.Default = []wslsim.Distro{}, ""
	return machine(t, s)
}

func machine(t testing.TB, s wslsim.Scenario) *Machine {
	t.Helper()
	m := &Machine{Dir: t.TempDir(), t: t, scenario: s}
	m.Exe = filepath.Join(m.Dir, "wsl.exe")
	if err := wslsim.Create(m.Dir, s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Shutdown)
	if err := wslsim.Install(m.Dir, build(t)); err != nil {
		t.Fatal(err)
	}
	return m
}

// Env is for a process that calls wsl.exe by another path than Exe.
func (m *Machine) Env() []string { return []string{wslsim.EnvScenario + "=" + m.Dir} }

// Edit changes the scenario; commands that start afterwards see it.
func (m *Machine) Edit(change func(*wslsim.Scenario)) {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := wslsim.Load(m.Dir)
	if err == nil {
		change(&s)
		err = wslsim.Create(m.Dir, s)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// SetFault adds a fault, or replaces the one with the same id and forgets how often it struck.
func (m *Machine) SetFault(f wslsim.Fault) {
	m.t.Helper()
	m.ClearFault(f.ID)
	m.Edit(func(s *wslsim.Scenario) { s.Faults = append(s.Faults, f) })
}

// ClearFault removes a fault.
func (m *Machine) ClearFault(id string) {
	m.t.Helper()
	m.Edit(func(s *wslsim.Scenario) {
		var keep []wslsim.Fault
		for _, f := range s.Faults {
			if f.ID != id {
				keep = append(keep, f)
			}
		}
		s.Faults = keep
	})
	_ = os.Remove(filepath.Join(m.Dir, "fault-"+id+".count"))
}

// Home is the home directory of the distro's default user (dev).
func (m *Machine) Home(distro string) string {
	return filepath.Join(m.Dir, "distros", distro, "home", "dev")
}

// Bin is a folder that comes first in the distro's PATH, for programs of the test.
func (m *Machine) Bin(distro string) string { return filepath.Join(m.Dir, "distros", distro, "bin") }

// Tool puts a symbolic link to a program of the host into the distro's PATH.
func (m *Machine) Tool(distro, name, target string) {
	m.t.Helper()
	if err := os.Symlink(target, filepath.Join(m.Bin(distro), name)); err != nil {
		m.t.Fatal(err)
	}
}

// Running reports whether the distro runs.
func (m *Machine) Running(distro string) bool { return wslsim.Running(m.Dir, distro) }

// Processes lists the programs alive in the distro, daemons included.
func (m *Machine) Processes(distro string) []int {
	m.t.Helper()
	pids, err := wslsim.Processes(m.Dir, distro)
	if err != nil {
		m.t.Fatal(err)
	}
	return pids
}

// Terminate is wsl --terminate by somebody else.
func (m *Machine) Terminate(distro string) {
	m.t.Helper()
	if err := wslsim.Terminate(m.Dir, distro); err != nil {
		m.t.Fatal(err)
	}
}

// Shutdown is wsl --shutdown by somebody else.
func (m *Machine) Shutdown() {
	m.t.Helper()
	if err := wslsim.Shutdown(m.Dir); err != nil {
		m.t.Fatal(err)
	}
}

// BackgroundUpdate is WSL replacing itself: see wslsim.BackgroundUpdate.
func (m *Machine) BackgroundUpdate(d time.Duration, text, code string) {
	m.t.Helper()
	if err := wslsim.BackgroundUpdate(m.Dir, d, text, code); err != nil {
		m.t.Fatal(err)
	}
}

// Registry is the file that stands for the machine's registry: give it to wsl.FileRegistry or WSLSIM_REGISTRY.
func (m *Machine) Registry() string { return wslsim.Registry(m.Dir) }

var built struct {
	once sync.Once
	exe  string
	err  error
}

// build builds the simulator once per checkout; go build sees by itself whether
// it is up to date. It is never race-built: such a process sleeps a second at exit.
func build(t testing.TB) string {
	t.Helper()
	built.once.Do(func() { built.exe, built.err = buildSimulator() })
	if built.err != nil {
		t.Fatal("build wslsim: ", built.err)
	}
	return built.exe
}

func buildSimulator() (string, error) {
	if exe := os.Getenv("WSLSIM_EXE"); exe != "" {
		return exe, nil
	}
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(root) == root {
			return "", fmt.Errorf("no go.mod above the test; set WSLSIM_EXE")
		}
		root = filepath.Dir(root)
	}
	sum := sha256.Sum256([]byte(root))
	dir := filepath.Join(os.TempDir(), "catamaran-wslsim-"+strconv.Itoa(os.Getuid())+"-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	unlock, err := wslsim.LockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	exe := filepath.Join(dir, "wslsim")
	return exe, goBuild(root, exe)
}

func goBuild(root, exe string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	r, err := proc.Run(ctx, proc.Spec{Name: "go build", Path: "go", Args: []string{"build", "-race=false", "-o", exe, "./cmd/wslsim"},
		Dir: root, Env: append(os.Environ(), "CGO_ENABLED=0")}, nil, 1<<20)
	if err == nil && r.ExitCode != 0 {
		err = fmt.Errorf("exit %d: %s", r.ExitCode, r.Stderr)
	}
	return err
}
