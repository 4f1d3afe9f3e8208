// Command ttyd unpacks ttyd, which the benchmarks put our terminals beside, from Debian's
// testing release into the user's cache: this release does not have it. It needs Linux,
// root and Debian's package tools, and says what it installs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"

	"catamaran/tools/debian/root"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "ttyd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(cache, "catamaran-ttyd", "forky")
	plugins := filepath.Join(dir, "plugins")
	// What is made last tells that all is there.
	if _, err := os.Stat(plugins); err == nil {
		return nil
	}
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return errors.New("what Debian has is unpacked on Linux only, as root")
	}
	if err := root.Command(ctx, "", "go", "run", "./tools/debian", "-for", "ttyd", "mmdebstrap"); err != nil {
		return err
	}
	if err := root.Unpack(ctx, dir, "forky", "extract", "ttyd", "ttyd and its libraries"); err != nil {
		return err
	}
	// It looks for its event loop along LD_LIBRARY_PATH, which the shell in it sees as well:
	// there is nothing else in that folder.
	loops, err := filepath.Glob(filepath.Join(dir, "usr", "lib", "*", "libwebsockets-evlib_uv.so"))
	if err != nil {
		return err
	}
	if len(loops) == 0 {
		return errors.New("the package has no event loop")
	}
	part := plugins + ".part"
	if err := errors.Join(os.RemoveAll(part), os.Mkdir(part, 0o755), os.Symlink(loops[0], filepath.Join(part, filepath.Base(loops[0])))); err != nil {
		return err
	}
	return os.Rename(part, plugins)
}
