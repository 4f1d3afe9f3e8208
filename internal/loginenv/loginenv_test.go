//go:build !windows

package loginenv_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"catamaran/internal/loginenv"
	"catamaran/internal/proc"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	proc.GuardMain()
	goleak.VerifyTestMain(m)
}

func noTerminal() bool { return false }

// profile returns a home whose start-up files of every shell hold text.
func profile(t *testing.T, text string) string {
	t.Helper()
	home := t.TempDir()
	for _, name := range []string{".profile", ".bash_profile", ".zprofile", ".config/fish/config.fish"} {
		p := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

func value(env []string, name string) string {
	v, _ := proc.EnvValue(env, name)
	return v
}

func TestShells(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bash", "dash", "sh", "zsh", "fish"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shell, err := exec.LookPath(name)
			if err != nil {
				if os.Getenv("CI") != "" {
					t.Fatalf("%s is not installed", name)
				}
				t.Skipf("%s is not installed", name)
			}
			home := profile(t, `export FROM_PROFILE="two
lines"; export PATH="/from/profile:$PATH"; echo "welcome <to> this host"`)
			env, warning := loginenv.New(loginenv.Options{
				Base:        []string{"HOME=" + home, "PATH=/usr/bin:/bin", "SHELL=" + shell, "CATAMARAN_HOME=/x", "SHLVL=7", "KEPT=1", "TWICE=base"},
				Forward:     map[string]string{"FORWARDED": "f", "TWICE": "forwarded", "CATAMARAN_SECRET": "s"},
				HasTerminal: noTerminal, Timeout: 20 * time.Second,
			}).Env(context.Background(), false)
			if warning != "" {
				t.Fatalf("warning: %s", warning)
			}
			for name, want := range map[string]string{
				"FROM_PROFILE": "two\nlines", "KEPT": "1", "FORWARDED": "f", "TWICE": "base", "SHLVL": "7", "CATAMARAN_HOME": "", "CATAMARAN_SECRET": "", "TERM": "", "GIT_TERMINAL_PROMPT": "",
			} {
				if got := value(env, name); got != want {
					t.Errorf("%s = %q; want %q", name, got, want)
				}
			}
			if got := value(env, "PATH"); !strings.HasPrefix(got, "/from/profile:") {
				t.Errorf("PATH = %q", got)
			}
		})
	}
}

func TestBadProfiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, warning string }{
		{"hangs", "sleep 60", "not done with its start-up files"},
		{"exits", "exit 3", "exit code 3"},
		{"replaces the shell", "exec sleep 60", "not done"},
		{"never stops printing", "yes", "print too much"},
		{"reads", "read answer; export ASKED=yes", ""},
		{"noisy on both streams", "for i in 1 2 3; do echo x; echo y >&2; done", ""},
		{"leaves a daemon that keeps the pipe", "(sleep 5 &)", ""},
		{"fails", "no-such-command; false", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			timeout := 20 * time.Second
			if c.warning != "" {
				timeout = 1500 * time.Millisecond
			}
			if c.warning == "print too much" {
				timeout = 20 * time.Second
			}
			home := profile(t, c.text)
			env, warning := loginenv.New(loginenv.Options{
				Base: []string{"HOME=" + home, "PATH=/usr/bin:/bin", "KEPT=1"}, Shell: "/bin/bash", Forward: map[string]string{"F": "1"}, HasTerminal: noTerminal, Timeout: timeout,
			}).Env(context.Background(), false)
			if !strings.Contains(warning, c.warning) || (c.warning == "") != (warning == "") {
				t.Errorf("warning = %q; want %q", warning, c.warning)
			}
			if value(env, "KEPT") != "1" || value(env, "F") != "1" {
				t.Errorf("env = %q", env)
			}
		})
	}
}

func TestCapturesOnce(t *testing.T) {
	t.Parallel()
	home := profile(t, `echo x >> "$HOME/count"`)
	s := loginenv.New(loginenv.Options{Base: []string{"HOME=" + home, "PATH=/usr/bin:/bin"}, Shell: "/bin/sh", HasTerminal: noTerminal})
	done := make(chan []string)
	for range 5 {
		go func() { env, _ := s.Env(context.Background(), false); done <- env }()
	}
	for range 5 {
		<-done
	}
	count := func() int { b, _ := os.ReadFile(filepath.Join(home, "count")); return len(b) / 2 }
	if n := count(); n != 1 {
		t.Errorf("the shell ran %d times", n)
	}
	s.Env(context.Background(), true)
	if n := count(); n != 2 {
		t.Errorf("the shell ran %d times after a fresh one was wanted", n)
	}
}

func TestWithoutAShell(t *testing.T) {
	t.Parallel()
	base := []string{"PATH=/bin", "CATAMARAN_X=1"}
	for _, c := range []struct {
		name     string
		shell    string
		terminal bool
		warns    bool
	}{
		{"started from a terminal", "/bin/sh", true, false}, {"nologin", "/usr/sbin/nologin", false, false}, {"gone", "/nowhere/bash", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			env, warning := loginenv.New(loginenv.Options{Base: base, Shell: c.shell, HasTerminal: func() bool { return c.terminal }}).Env(context.Background(), false)
			if !slices.Equal(env, []string{"PATH=/bin"}) || (warning != "") != c.warns {
				t.Errorf("env = %q, warning %q", env, warning)
			}
		})
	}
}
