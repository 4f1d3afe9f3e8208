package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"catamaran/internal/api"
	"catamaran/internal/proc"
)

func TestMain(m *testing.M) {
	proc.GuardMain()
	home, err := os.MkdirTemp("", "git-test-home-")
	if err != nil {
		panic(err)
	}
	// A parent's variables would lead every call astray if they got through.
	for k, v := range map[string]string{
		"HOME": home, "XDG_CONFIG_HOME": home, "USERPROFILE": home,
		"GIT_DIR": "/nonexistent", "GIT_INDEX_FILE": "/nonexistent/index", "GIT_EDITOR": "false", "EDITOR": "false",
		"LC_ALL": "de_DE.UTF-8", "PAGER": "false",
	} {
		os.Setenv(k, v)
	}
	code := m.Run()
	os.RemoveAll(home)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := Run(t.Context(), Command{Dir: dir, Args: args, Env: []string{
		"GIT_AUTHOR_NAME=T", "GIT_AUTHOR_EMAIL=t@example.invalid", "GIT_COMMITTER_NAME=T", "GIT_COMMITTER_EMAIL=t@example.invalid"}})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out.Stdout))
}

// tempDir is a temporary folder by its real name, as git prints it.
func tempDir(t *testing.T) string {
	t.Helper()
	d, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOpen(t *testing.T) {
	t.Parallel()
	base := tempDir(t)
	repo := filepath.Join(base, "my repo ü")
	sub := filepath.Join(repo, "a", "b")
	plain := filepath.Join(base, "plain")
	for _, d := range []string{sub, plain} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run(t, repo, "init", "-q", "-b", "trunk/x")
	check := func(dir string, want Repo, wantErr error) {
		t.Helper()
		got, err := Open(t.Context(), dir)
		if !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) || got != want {
			t.Errorf("%s: %+v, %v; want %+v, %v", dir, got, err, want, wantErr)
		}
	}
	at := func(r Repo, want CheckedOut) {
		t.Helper()
		want.Repo = true
		if got, err := r.CheckedOut(t.Context()); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", r.Top, got, err, want)
		}
	}
	want := Repo{Top: repo, GitDir: filepath.Join(repo, ".git")}
	at(want, CheckedOut{Branch: "trunk/x"})
	check(repo, want, nil)
	check(sub, want, nil)
	check(plain, Repo{}, ErrNotRepo)
	check(filepath.Join(repo, ".git"), Repo{}, ErrNotRepo)

	run(t, repo, "commit", "-q", "--allow-empty", "-m", "one")
	work := filepath.Join(base, "work")
	run(t, repo, "worktree", "add", "-q", work, "-b", "side")
	side := Repo{Top: work, GitDir: filepath.Join(repo, ".git", "worktrees", "work")}
	check(work, side, nil)
	at(side, CheckedOut{Branch: "side"})
	run(t, repo, "checkout", "-q", "--detach")
	check(repo, want, nil)
	head := run(t, repo, "rev-parse", "HEAD")
	at(want, CheckedOut{DetachedAt: head})
	// What HEAD's file does not tell is asked: a ref that is no branch, refs that are no files.
	run(t, repo, "update-ref", "refs/elsewhere/x", "HEAD")
	run(t, repo, "symbolic-ref", "HEAD", "refs/elsewhere/x")
	at(want, CheckedOut{DetachedAt: head})

	fake := filepath.Join(base, "fake")
	if err := os.MkdirAll(filepath.Join(fake, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	check(fake, Repo{}, ErrNotRepo)
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), Command{Dir: tempDir(t), Args: []string{"rev-parse", "--show-toplevel"}})
	var e *Error
	if !errors.As(err, &e) || e.Exit != 128 || !strings.Contains(e.Stderr, "not a git repository") {
		t.Fatalf("error %v", err)
	}
}

func TestRunBoundsOutput(t *testing.T) {
	t.Parallel()
	out, err := Run(t.Context(), Command{Args: []string{"help", "-a"}, Max: 10})
	if err != nil || !out.Truncated || len(out.Stdout) != 10 {
		t.Fatalf("%d bytes, truncated %v, %v", len(out.Stdout), out.Truncated, err)
	}
}

func TestRunDeadline(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	// An alias is a program that never ends.
	_, err := Run(ctx, Command{Args: []string{"-c", "alias.wait=!sleep 60", "wait"}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v", err)
	}
}

func TestRunStdin(t *testing.T) {
	t.Parallel()
	out, err := Run(t.Context(), Command{Args: []string{"hash-object", "--stdin"}, Stdin: []byte("hello\n")})
	if got := strings.TrimSpace(string(out.Stdout)); err != nil || got != "ce013625030ba8dba906f756967f9e9ca394464a" {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestCleanEnv(t *testing.T) {
	t.Parallel()
	got := cleanEnv([]string{"PATH=/bin", "GIT_DIR=/x", "git_work_tree=/x", "EDITOR=vi", "LC_ALL=de", "GITHUB_TOKEN=1", "HOME=/h"})
	want := append([]string{"PATH=/bin", "GITHUB_TOKEN=1", "HOME=/h"}, overrides...)
	if !slices.Equal(got, want) {
		t.Fatalf("%q", got)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for out, want := range map[string]struct {
		version string
		code    api.Code
	}{
		"git version 2.39.5\n":                 {"2.39.5", ""},
		"git version 2.34.1":                   {"2.34.1", ""},
		"git version 2.47.0.windows.1\r\n":     {"2.47.0.windows.1", ""},
		"git version 2.39.5 (Apple Git-154)\n": {"2.39.5 (Apple Git-154)", ""},
		"git version 3.0.0":                    {"3.0.0", ""},
		"git version 2.33.9":                   {"2.33.9", api.CodeUnavailable},
		"git version 1.99.9":                   {"1.99.9", api.CodeUnavailable},
		"busybox":                              {"", api.CodeUnavailable},
		"git version 99999999999999999999.1":   {"99999999999999999999.1", api.CodeUnavailable},
	} {
		version, err := parseVersion(out)
		if version != want.version || api.CodeOf(err) != want.code {
			t.Errorf("%q: %q, %v", out, version, err)
		}
	}
	if v, err := Check(t.Context()); err != nil || v == "" {
		t.Fatalf("%q, %v", v, err)
	}
}

func FuzzVersion(f *testing.F) {
	f.Add("git version 2.39.5\n")
	f.Add("git version 2.")
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := parseVersion(s); err == nil && v == "" {
			t.Fatal("taken without a version")
		}
	})
}

func TestNoGit(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), Command{Args: []string{"version"}, Env: []string{"PATH=" + tempDir(t)}})
	if e := api.AsError(err); e == nil || e.Code != api.CodeUnavailable || e.Hint == "" {
		t.Fatalf("error %v", err)
	}
}
