//go:build realwsl

package real

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/link/linktest"
	"catamaran/internal/proc"
	"catamaran/internal/wsl"
	"catamaran/internal/wsl/wsltest"
)

// Variables of a run.
const (
	// envExe is another wsl.exe than System32's, envDistro another distro than the default one.
	envExe    = "CATAMARAN_REAL_WSL"
	envDistro = "CATAMARAN_REAL_DISTRO"
)

// patience bounds every call; a cold start was seen to take more than a minute.
const patience = 3 * time.Minute

func TestMain(m *testing.M) {
	proc.GuardMain()
	os.Exit(m.Run())
}

// target finds the machine's wsl.exe and the distro by the product's own discovery.
func target(t *testing.T) (*wsl.Client, api.Distro, wsltest.Target) {
	t.Helper()
	exe := os.Getenv(envExe)
	if exe == "" {
		exe = filepath.Join(os.Getenv("SystemRoot"), "System32", "wsl.exe")
	}
	client := wsl.New(wsl.Options{Exe: exe})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	found := client.Discover(ctx)
	want := os.Getenv(envDistro)
	for _, d := range found.Distros {
		if want == "" && d.Default || d.Name == want {
			return client, d, wsltest.Target{Exe: exe, Distro: d.Name}
		}
	}
	t.Fatalf("no distro %q (empty is the default one): %+v", want, found)
	return nil, api.Distro{}, wsltest.Target{}
}

// TestConformance: what product code relies on, as the simulator promises it.
func TestConformance(t *testing.T) {
	_, _, g := target(t)
	wsltest.Conformance(t, g)
}

// run runs a program in the distro to its end.
func run(t *testing.T, client *wsl.Client, d api.Distro, stdin []byte, argv ...string) (string, int) {
	t.Helper()
	p, err := client.Launch(d, argv, nil)
	if err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, p.Kill)
	defer late.Stop()
	go func() {
		_, _ = p.Stdin().Write(stdin)
		_ = p.Stdin().Close()
	}()
	var out bytes.Buffer
	_, _ = out.ReadFrom(p.Stdout())
	<-p.Done()
	return out.String(), p.ExitCode()
}

// TestLink: the link's conformance suite through wsl.exe, with a peer in the distro.
func TestLink(t *testing.T) {
	client, d, _ := target(t)
	arch, _ := run(t, client, d, nil, "uname", "-m")
	name := map[string]string{"x86_64": "peer-linux-amd64", "aarch64": "peer-linux-arm64"}[strings.TrimSpace(arch)]
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	peer, err := os.ReadFile(filepath.Join(filepath.Dir(exe), name))
	if name == "" || err != nil {
		t.Fatalf("no peer for %q beside this program (make real-kit): %v", strings.TrimSpace(arch), err)
	}
	path := fmt.Sprintf("/tmp/catamaran-peer-%d", time.Now().UnixNano())
	if out, code := run(t, client, d, peer, "sh", "-c", `cat > "$0" && chmod 700 "$0"`, path); code != 0 {
		t.Fatalf("put the peer into the distro: exit %d: %s", code, out)
	}
	t.Cleanup(func() {
		if p, err := client.Launch(d, []string{"rm", "-f", path}, nil); err == nil {
			_ = p.Stdin().Close()
			_ = p.Stdout().Close()
			<-p.Done()
		}
	})
	linktest.Run(t, linktest.Config{Start: func(t *testing.T) linktest.End {
		p, err := client.Launch(d, []string{path}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := p.Stop(context.Background(), proc.Ladder{CloseStdin: 10 * time.Second, Kill: 10 * time.Second}); err != nil {
				t.Error(err)
			}
			_ = p.Stdout().Close()
		})
		return linktest.End{R: p.Stdout(), W: p.Stdin()}
	}})
}
