// Command gits runs the tests of everything that calls git with other releases of Git than
// the machine's: that of Debian 13, with which all must pass, and that of Debian 11 (2.30),
// which is older than what is needed and must be refused. Each release is unpacked from
// Debian into the user's cache, once, and entered as a root of its own. It needs Linux, root
// and Debian's package tools, and says what it installs.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

//go:embed enter.sh
var enterScript []byte

// suite is a release of Debian and what its Git is asked.
type suite struct {
	name     string
	tags     string
	run      string
	packages []string
}

var suites = []suite{
	{"bullseye", "oldgit", "^TestTooOld$", []string{"./internal/git"}},
	{"trixie", "", ".", []string{"./internal/git", "./internal/git/watch", "./internal/checkpoint", "./internal/worktree"}},
}

const (
	unpackTimeout = 20 * time.Minute
	testTimeout   = 20 * time.Minute
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "gits:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return errors.New("a root of one's own needs Linux, and root")
	}
	if err := command(ctx, "", "go", "run", "./tools/debian", "-for", "other releases of Git", "mmdebstrap", "util-linux"); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "gits-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	enter := filepath.Join(tmp, "enter.sh")
	if err := os.WriteFile(enter, enterScript, 0o755); err != nil {
		return err
	}
	var failed error
	for _, s := range suites {
		root, err := unpack(ctx, s.name)
		if err != nil {
			return fmt.Errorf("unpack Git from Debian %s: %w", s.name, err)
		}
		if err := command(ctx, "", "bash", enter, root, tmp, "git", "version"); err != nil {
			return err
		}
		for _, p := range s.packages {
			if err := s.test(ctx, p, root, tmp, enter); err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s with the Git of %s: %w", p, s.name, err))
			}
		}
	}
	return failed
}

// test builds one package's tests here and runs them there.
func (s suite) test(ctx context.Context, pkg, root, tmp, enter string) error {
	program := filepath.Join(tmp, strings.ReplaceAll(pkg[2:], "/", "-")+".test")
	if err := command(ctx, "CGO_ENABLED=0", "go", "test", "-c", "-tags", s.tags, "-o", program, pkg); err != nil {
		return err
	}
	folder, err := filepath.Abs(pkg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	fmt.Println("==", s.name, pkg)
	return command(ctx, "", "bash", enter, root, folder, program, "-test.run", s.run, "-test.count=1")
}

// unpack makes the root of a release where it is missing.
func unpack(ctx context.Context, name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	root := filepath.Join(cache, "catamaran-gits", name)
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	part := root + ".part"
	if err := errors.Join(os.RemoveAll(part), os.MkdirAll(filepath.Dir(root), 0o755)); err != nil {
		return "", err
	}
	fmt.Printf("unpacking Git from Debian %s into %s (a quarter of a gigabyte, once)\n", name, root)
	ctx, cancel := context.WithTimeout(ctx, unpackTimeout)
	defer cancel()
	args := []string{"--quiet", "--variant=essential", "--include=git,procps", name, part}
	if m := mirror(); m != "" {
		args = append(args, m)
	}
	if err := command(ctx, "", "mmdebstrap", args...); err != nil {
		return "", err
	}
	return root, os.Rename(part, root)
}

// mirror is the one that the machine's apt uses, "" for mmdebstrap's own default.
func mirror() string {
	b, err := os.ReadFile("/etc/apt/sources.list.d/debian.sources")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if uri, ok := strings.CutPrefix(line, "URIs:"); ok {
			return strings.TrimSpace(uri)
		}
	}
	return ""
}

func command(ctx context.Context, env, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	if env != "" {
		cmd.Env = append(os.Environ(), env)
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.WaitDelay = 5 * time.Second
	return cmd.Run()
}
