package wine

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

//go:embed build.sh
var buildScript []byte

//go:embed enter.sh
var enterScript []byte

// buildTimeout bounds the making of the Wine folder, downloads included.
const buildTimeout = 20 * time.Minute

// Dir is where Install puts this version of the folder: below the user's cache.
func Dir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(append([]byte(nil), buildScript...), enterScript...))
	return filepath.Join(cache, "catamaran-wine", hex.EncodeToString(sum[:6])), nil
}

// Install makes the Wine folder where it is missing, with what that needs from
// Debian, and says so on log. It returns the folder.
func Install(ctx context.Context, log io.Writer) (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", errors.New("the Windows programs can only be tested on Linux on amd64")
	}
	if os.Geteuid() != 0 {
		return "", errors.New("running Windows programs in namespaces needs root")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	if err := packages(ctx, log); err != nil {
		return "", err
	}
	fmt.Fprintf(log, "unpacking Wine 10 from Debian 13 into %s (half a gigabyte, about two minutes, once)\n", dir)
	part := dir + ".part"
	if err := errors.Join(os.RemoveAll(part), os.MkdirAll(part, 0o755)); err != nil {
		return "", err
	}
	for name, b := range map[string][]byte{"build.sh": buildScript, "enter.sh": enterScript} {
		if err := os.WriteFile(filepath.Join(part, name), b, 0o755); err != nil {
			return "", err
		}
	}
	if err := command(ctx, log, "bash", filepath.Join(part, "build.sh"), part); err != nil {
		return "", fmt.Errorf("make the Wine folder: %w", err)
	}
	return dir, os.Rename(part, dir)
}

// packages installs from Debian what the making of the folder needs.
func packages(ctx context.Context, log io.Writer) error {
	var missing []string
	for _, p := range []struct{ program, debian string }{{"mmdebstrap", "mmdebstrap"}, {"strip", "binutils"}, {"unshare", "util-linux"}} {
		if _, err := exec.LookPath(p.program); err != nil {
			missing = append(missing, p.debian)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("install %v with your package manager, then run this again", missing)
	}
	fmt.Fprintln(log, "installing from Debian:", missing)
	if err := command(ctx, io.Discard, "apt-get", "update", "-qq"); err != nil {
		return fmt.Errorf("apt-get update: %w", err)
	}
	if err := command(ctx, io.Discard, "apt-get", append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)...); err != nil {
		return fmt.Errorf("apt-get install: %w", err)
	}
	return nil
}

func command(ctx context.Context, log io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = log, os.Stderr
	cmd.WaitDelay = 5 * time.Second
	return cmd.Run()
}
