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
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"catamaran/tools/debian/root"
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

const testTimeout = 20 * time.Minute

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
	if err := root.Command(ctx, "", "go", "run", "./tools/debian", "-for", "other releases of Git", "mmdebstrap", "util-linux"); err != nil {
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
		dir, err := unpack(ctx, s.name)
		if err != nil {
			return err
		}
		if err := root.Command(ctx, "", "bash", enter, dir, tmp, "git", "version"); err != nil {
			return err
		}
		for _, p := range s.packages {
			if err := s.test(ctx, p, dir, tmp, enter); err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s with the Git of %s: %w", p, s.name, err))
			}
		}
	}
	return failed
}

// test builds one package's tests here and runs them there.
func (s suite) test(ctx context.Context, pkg, dir, tmp, enter string) error {
	program := filepath.Join(tmp, strings.ReplaceAll(pkg[2:], "/", "-")+".test")
	if err := root.Command(ctx, "CGO_ENABLED=0", "go", "test", "-c", "-tags", s.tags, "-o", program, pkg); err != nil {
		return err
	}
	folder, err := filepath.Abs(pkg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	fmt.Println("==", s.name, pkg)
	return root.Command(ctx, "", "bash", enter, dir, folder, program, "-test.run", s.run, "-test.count=1")
}

// unpack makes the root of a release where it is missing.
func unpack(ctx context.Context, name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "catamaran-gits", name)
	return dir, root.Unpack(ctx, dir, name, "essential", "git,procps", "Git and a quarter of a gigabyte around it")
}
