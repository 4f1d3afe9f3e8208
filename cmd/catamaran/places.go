package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/environment"
	"catamaran/internal/shell"
	"catamaran/internal/stage"
	"catamaran/internal/wsl"
)

// places is where the programs that belong to this one lie.
type places struct {
	exeDir string
	// backend is the native backend, carried the folder of the Linux ones; each is
	// where it should be when it is not there.
	backend, carried string
}

// findPlaces looks beside the executable, then in ../lib/catamaran, which is
// where a package puts them.
func findPlaces() (places, error) {
	exe, err := program()
	if err != nil {
		return places{}, err
	}
	dir := filepath.Dir(exe)
	return placesIn(dir, runtime.GOOS, func(p string) bool { _, err := os.Stat(p); return err == nil }), nil
}

// program is the app's own file.
func program() (string, error) {
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	return exe, nil
}

func placesIn(dir, goos string, exists func(string) bool) places {
	name := "catamaran-backend"
	if goos == "windows" {
		name += ".exe"
	}
	find := func(name string) string {
		beside := filepath.Join(dir, name)
		if exists(beside) {
			return beside
		}
		if packaged := filepath.Join(dir, "..", "lib", "catamaran", name); exists(packaged) {
			return packaged
		}
		return beside
	}
	return places{exeDir: dir, backend: find(name), carried: find("carried")}
}

// pool makes the supervisor; it starts nothing.
func (t *terminal) pool(pl places, logs *logs, desk *desk) (*environment.Pool, error) {
	client := wslClient()
	o := environment.Options{
		StateDir: t.desktop, LocalBackend: pl.backend, LocalHome: t.state,
		WSL: client, Forward: desk.forwarded, LogLevel: os.Getenv("CATAMARAN_LOG"), LogDir: t.logDir(), Log: logs.log,
	}
	if v := os.Getenv("CATAMARAN_CHANGE_TIMEOUT"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return nil, fmt.Errorf("CATAMARAN_CHANGE_TIMEOUT is %q, not a duration such as 5m", v)
		}
		o.ChangeTimeout = d
	}
	if client != nil {
		carried, err := stage.Load(pl.carried)
		if err != nil {
			// The native backend works without; a WSL environment says what is missing when it starts.
			logs.log.Warn("the Linux backends are not carried", "folder", pl.carried, "error", err)
		}
		o.Carried = carried
	}
	return environment.New(o)
}

// wslClient is nil where WSL mode does not exist.
func wslClient() *wsl.Client { return wsl.New(wsl.Options{Exe: os.Getenv("CATAMARAN_WSL_EXE")}) }

func (t *terminal) logDir() string { return filepath.Join(t.desktop, "logs") }

// offline is the state of things without a running desktop: the configuration
// and what discovery finds. ErrRunning when one has come up meanwhile.
func (t *terminal) offline() (api.Environments, error) {
	pl, err := findPlaces()
	if err != nil {
		return api.Environments{}, err
	}
	// Reading the configuration may settle a change that was cut off, which only the owner may do.
	inst, err := shell.Claim(t.ctx, t.desktop)
	if err != nil {
		return api.Environments{}, err
	}
	p, err := t.pool(pl, discardLogs(), t.newDesk(pl, discardLogs()))
	var now api.Environments
	if err == nil {
		now = p.Snapshot()
	}
	inst.Close()
	if err != nil {
		return api.Environments{}, err
	}
	if client := wslClient(); client != nil {
		now.WSL = client.Discover(t.ctx)
	}
	return now, nil
}
