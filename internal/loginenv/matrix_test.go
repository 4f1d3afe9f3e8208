//go:build !windows

package loginenv_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"catamaran/internal/loginenv"
	"catamaran/internal/proc"
)

// startUp is where each shell looks when it logs in as a person at a keyboard.
var startUp = map[string][]string{
	"bash": {".bash_profile"}, "dash": {".profile"}, "sh": {".profile"}, "zsh": {".zprofile", ".zshrc"}, "fish": {".config/fish/config.fish"},
}

func shellOf(t *testing.T, name string) string {
	t.Helper()
	shell, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed; `go run ./tools/check -only tools` installs it", name)
		}
		t.Skipf("%s is not installed; `go run ./tools/check -only tools` installs it", name)
	}
	return shell
}

// TestMatrix is W3.5: every shell with every kind of start-up file.
func TestMatrix(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "dash", "sh", "zsh", "fish"} {
		for _, c := range []struct {
			name, text string
			fish       string // where its grammar differs
			warning    string
		}{
			{"quiet", `export FROM=profile`, "", ""},
			{"noisy", "echo hello; echo trouble >&2; printf '\\033]0;title\\007'; printf 'FROM=fake\\0'; export FROM=profile", "", ""},
			{"binary noise", "head -c 70000 /dev/urandom; export FROM=profile", "", ""},
			{"looks like an environment", "env; env -0; export FROM=profile", "", ""},
			{"slow", "sleep 0.4; export FROM=profile", "", ""},
			{"asks", "read -r answer; export FROM=profile", "read answer; set -gx FROM profile", ""},
			{"fails", "no-such-program; false; export FROM=profile", "", ""},
			{"changes directory", "cd /; export FROM=profile", "", ""},
			{"newline in a value", "export FROM=profile; export LINES2='a\nb=c'", "", ""},
			{"closes its output", "exec >/dev/null; export FROM=profile", "echo unsupported >/dev/null; exec sleep 0", "could not be read"},
			{"hangs", "sleep 60", "", "not done with its start-up files"},
			{"hangs after noise", "echo hello; cat /dev/zero | head -c 100000 >&2; sleep 60", "", "not done with its start-up files"},
			{"exits", "exit 3", "exec sh -c 'exit 3'", "exit code 3"}, // fish goes on after an exit in config.fish
			{"dies", "kill -9 $$", "kill -9 $fish_pid", "could not be read"},
		} {
			t.Run(shell+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				path := shellOf(t, shell)
				home := t.TempDir()
				text := c.text
				if shell == "fish" && c.fish != "" {
					text = c.fish
				}
				file := filepath.Join(home, startUp[shell][0])
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				timeout := 30 * time.Second
				if strings.HasPrefix(c.name, "hangs") {
					timeout = 2 * time.Second
				}
				began := time.Now()
				env, warning := loginenv.New(loginenv.Options{
					Base:  []string{"HOME=" + home, "PATH=/usr/local/bin:/usr/bin:/bin", "KEPT=1", "FROM=base", "XDG_CONFIG_HOME=" + filepath.Join(home, ".config"), "XDG_DATA_HOME=" + filepath.Join(home, ".data")},
					Shell: path, HasTerminal: noTerminal, Timeout: timeout, Forward: map[string]string{"HANDED": "on", "FROM": "forwarded"},
				}).Env(context.Background(), false)
				if took := time.Since(began); strings.HasPrefix(c.name, "hangs") && took > timeout+8*time.Second {
					t.Errorf("took %v", took)
				}
				if (warning == "") != (c.warning == "") || !strings.Contains(warning, c.warning) {
					t.Errorf("warning = %q; want %q", warning, c.warning)
				}
				want := "profile"
				if c.warning != "" {
					want = "base" // the plain environment
				}
				if got := value(env, "FROM"); got != want {
					t.Errorf("FROM = %q; want %q", got, want)
				}
				if value(env, "KEPT") != "1" || value(env, "HANDED") != "on" {
					t.Errorf("env = %q", env)
				}
			})
		}
	}
}

// TestPrecedence is W3.6: the distro's own value stays unless the list says
// otherwise; nothing is there twice; this product's variables go nowhere.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		profile string
		base    []string
		forward map[string]string
		wins    []string
		want    string // NAME=value, or NAME for one that is not there
	}{
		{"nobody has it", "", nil, map[string]string{"K": "f"}, nil, "K=f"},
		{"the base has it", "", []string{"K=b"}, map[string]string{"K": "f"}, nil, "K=b"},
		{"the profile sets it", "export K=p", nil, map[string]string{"K": "f"}, nil, "K=p"},
		{"the profile wins over the base", "export K=p", []string{"K=b"}, map[string]string{"K": "f"}, nil, "K=p"},
		{"the profile sets it empty", "export K=", nil, map[string]string{"K": "f"}, nil, "K="},
		{"the profile unsets it", "unset K", []string{"K=b"}, map[string]string{"K": "f"}, nil, "K=f"},
		{"forwarded wins over the profile", "export K=p", nil, map[string]string{"K": "f"}, []string{"K"}, "K=f"},
		{"forwarded wins over the base", "", []string{"K=b"}, map[string]string{"K": "f"}, []string{"K"}, "K=f"},
		{"a winner that is not forwarded", "export K=p", nil, nil, []string{"K"}, "K=p"},
		{"another name wins", "export K=p", nil, map[string]string{"K": "f", "L": "l"}, []string{"L"}, "K=p"},
		{"names are not parts of each other", "export K2=p", nil, map[string]string{"K": "f"}, []string{"K"}, "K2=p"},
		{"this product's own", "", []string{"CATAMARAN_X=1"}, map[string]string{"CATAMARAN_X": "f"}, []string{"CATAMARAN_X"}, "CATAMARAN_X"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			home := profile(t, c.profile)
			env, warning := loginenv.New(loginenv.Options{
				Base: append([]string{"HOME=" + home, "PATH=/usr/bin:/bin"}, c.base...), Shell: "/bin/sh", HasTerminal: noTerminal, Timeout: 30 * time.Second, Forward: c.forward, Wins: c.wins,
			}).Env(context.Background(), false)
			if warning != "" {
				t.Fatal(warning)
			}
			name, want, set := strings.Cut(c.want, "=")
			if got, has := proc.EnvValue(env, name); got != want || has != set {
				t.Errorf("%s = %q, %v", name, got, has)
			}
			if n := len(slices.DeleteFunc(slices.Clone(env), func(e string) bool { return !strings.HasPrefix(e, name+"=") })); set && n != 1 {
				t.Errorf("%s is there %d times", name, n)
			}
		})
	}
}

func TestPathKeepsWhatStartUpFilesDrop(t *testing.T) {
	t.Parallel()
	home := profile(t, `export PATH="/from/profile:/bin:/usr/bin"`)
	env, warning := loginenv.New(loginenv.Options{
		Base: []string{"HOME=" + home, "PATH=/usr/bin::/usr/lib/wsl/lib:/bin:/opt/x"}, Shell: "/bin/sh", HasTerminal: noTerminal, Timeout: 30 * time.Second,
	}).Env(context.Background(), false)
	if got := value(env, "PATH"); got != "/from/profile:/bin:/usr/bin:/usr/lib/wsl/lib:/opt/x" || warning != "" {
		t.Errorf("PATH = %q, %s", got, warning)
	}
}

func TestShellIsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ shell, want string }{{"/bin/zsh", "/bin/zsh"}, {"/usr/sbin/nologin", ""}} {
		if got := loginenv.New(loginenv.Options{Base: []string{"SHELL=" + c.shell}}).Shell(); got != c.want {
			t.Error(fmt.Sprint(c, got))
		}
	}
}
