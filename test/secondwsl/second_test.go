//go:build linux

// Package secondwsl runs the product against another wsl.exe than wslsim, one
// written from the facts alone, so that the two cannot be wrong together.
package secondwsl

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/test/product"
)

func TestMain(m *testing.M) {
	code := m.Run()
	product.Clean()
	os.Exit(code)
}

// second installs the program with two distros and returns its path.
func second(t *testing.T) (exe, dir string) {
	t.Helper()
	python, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no python3: ", err)
		}
		t.Skip("no python3: ", err)
	}
	dir = t.TempDir()
	text, err := os.ReadFile("testdata/wsl.py")
	if err != nil {
		t.Fatal(err)
	}
	exe = filepath.Join(dir, "wsl")
	if err := os.WriteFile(exe, append([]byte("#!"+strings.TrimSpace(string(python))+" -ISB\n"), text...), 0o700); err != nil {
		t.Fatal(err)
	}
	var lines string
	for _, name := range []string{"Arch", "Alpine-3.22"} {
		home := filepath.Join(dir, "home "+name)
		if err := os.Mkdir(home, 0o700); err != nil {
			t.Fatal(err)
		}
		lines += name + "\t" + home + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "distros.txt"), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if b, err := exec.Command(exe, "--shutdown").CombinedOutput(); err != nil {
			t.Errorf("shutdown: %v %s", err, b)
		}
		left, err := os.ReadDir(filepath.Join(dir, "run"))
		if err == nil && len(left) > 0 {
			t.Errorf("still running in the distros: %v", left)
		}
	})
	return exe, dir
}

type cli struct {
	t   *testing.T
	env []string
}

func (c cli) run(args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(c.t.Context(), filepath.Join(product.Bin(c.t), "catamaran"), args...)
	cmd.Env = c.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// must runs a command that has to work and reads its JSON document.
func (c cli) must(out any, args ...string) {
	c.t.Helper()
	stdout, stderr, err := c.run(append(args, "--json")...)
	if err != nil {
		c.t.Fatalf("catamaran %v: %v\n%s%s", args, err, stdout, stderr)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal([]byte(stdout), out); err != nil {
		c.t.Fatalf("catamaran %v printed %q: %v", args, stdout, err)
	}
}

func (c cli) environment(id string) api.Environment {
	c.t.Helper()
	var now api.Environments
	c.must(&now, "env", "list")
	for _, e := range now.Environments {
		if e.ID == id {
			return e
		}
	}
	c.t.Fatalf("no environment %s in %+v", id, now.Environments)
	return api.Environment{}
}

// Discover, stage, start, work, switch, survive and stop.
func TestSecondWSL(t *testing.T) {
	exe, dir := second(t)
	env := append(product.CleanEnv(t), "CATAMARAN_HOME="+t.TempDir(), "CATAMARAN_WSL_EXE="+exe)
	c := cli{t, env}

	// Discovery without a desktop.
	doctor, _, err := c.run("doctor")
	if err != nil || !strings.Contains(doctor, "2.6.3.0") {
		t.Errorf("doctor: %v\n%s", err, doctor)
	}

	var home string
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "CATAMARAN_HOME="); ok {
			home = v
		}
	}
	d := product.StartDesktop(t, product.Options{Home: home, Env: env})
	// Stage and start, the name in any spelling.
	var change api.ModeChange
	c.must(&change, "env", "use", "both", "--distro", "alpine-3.22")
	first := c.environment("wsl:Alpine-3.22")
	if change.Phase != api.PhaseDone || first.State != api.EnvReady || first.Distro != "Alpine-3.22" {
		t.Fatalf("%+v %+v", change, first)
	}
	var found api.Environments
	c.must(&found, "env", "list")
	if w := found.WSL; w.Error != nil || w.Default != "Arch" || len(w.Distros) != 2 || w.Version != "2.6.3.0" {
		t.Fatalf("discovered %+v", found.WSL)
	}

	staged, err := filepath.Glob(filepath.Join(dir, "home Alpine-3.22", ".catamaran", "bin", "*", "catamaran-backend"))
	if err != nil || len(staged) != 1 {
		t.Errorf("staged: %v %v", staged, err)
	}
	// A change between distros.
	c.must(&change, "env", "use", "wsl-only", "--distro", "Arch")
	if e := c.environment("wsl:Arch"); e.State != api.EnvReady {
		t.Fatalf("%+v", e)
	}

	// An unknown distro is refused, and what runs stays.
	if _, stderr, err := c.run("env", "use", "wsl-only", "--distro", "Gentoo"); err == nil || !strings.Contains(stderr, "Gentoo") {
		t.Errorf("%v %s", err, stderr)
	}

	// A distro that is terminated is noticed and started again (W5.7).
	pid := c.environment("wsl:Arch").PID
	if b, err := exec.Command(exe, "--terminate", "Arch").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, b)
	}
	for end := time.Now().Add(30 * time.Second); ; {
		if e := c.environment("wsl:Arch"); e.State == api.EnvReady && e.PID != pid {
			break
		} else if time.Now().After(end) {
			t.Fatalf("not started again: %+v", e)
		}
	}

	c.must(&change, "env", "use", "local")
	if e := c.environment("local"); e.State != api.EnvReady {
		t.Errorf("%+v", e)
	}
	d.Stop(t)
}
