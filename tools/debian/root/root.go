// Package root unpacks packages of another release of Debian into a folder, for tools
// that run what this release does not have. It needs Linux, root and mmdebstrap.
package root

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const timeout = 20 * time.Minute

// Unpack makes root (absolute) out of packages of a release, where it is missing, and says
// so with what. Variant is mmdebstrap's: how much comes along.
func Unpack(ctx context.Context, root, release, variant, packages, what string) error {
	if _, err := os.Stat(root); err == nil {
		return nil
	}
	part := root + ".part"
	if err := errors.Join(os.RemoveAll(part), os.MkdirAll(filepath.Dir(root), 0o755)); err != nil {
		return err
	}
	fmt.Printf("unpacking %s from Debian %s into %s (once)\n", what, release, root)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// A mirror may be older than a testing release's own date of expiry; it is signed all the same.
	args := []string{"--quiet", "--variant=" + variant, "--include=" + packages, `--aptopt=Acquire::Check-Valid-Until "false"`, release, part}
	if m := mirror(); m != "" {
		args = append(args, m)
	}
	if err := Command(ctx, "", "mmdebstrap", args...); err != nil {
		return fmt.Errorf("unpack %s from Debian %s: %w", what, release, err)
	}
	return os.Rename(part, root)
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

// Command runs a program with one more variable, "" for none, and what it says on this program's streams.
func Command(ctx context.Context, env, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	if env != "" {
		cmd.Env = append(os.Environ(), env)
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.WaitDelay = 5 * time.Second
	return cmd.Run()
}
