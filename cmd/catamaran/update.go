package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/build"
	"catamaran/internal/proc"
	"catamaran/internal/shell"
	"catamaran/internal/update"
)

const (
	// idleWait bounds the wait of an install for the app's end, tryWait the new version's first word.
	idleWait = 60 * time.Second
	tryWait  = 30 * time.Second
	// askWait bounds one question to the new version, which may not be ready to answer.
	askWait  = 5 * time.Second
	planFile = "plan.json"
)

// plan is what the desktop leaves for the program that puts the update in place.
type plan struct {
	Archive, SHA256, Dir, From, To string
	Args                           []string // of the app, to start it the same way
}

// updater makes the updater of the desktop; begin ends it.
func (t *terminal) updater(pl places, d *desktop) *update.Updater {
	return update.New(update.Options{
		URL: build.UpdateURL, Key: build.UpdateKey, Current: build.Version, Dir: pl.exeDir, State: t.desktop, Log: d.logs.log,
		Busy: func(ctx context.Context) []string { return d.gateway.Busy(ctx) },
		Begin: func(archive string, f update.File, version string) error {
			err := t.beginUpdate(plan{Archive: archive, SHA256: f.SHA256, Dir: pl.exeDir, From: build.Version, To: version, Args: os.Args[1:]})
			if err == nil {
				d.logs.log.Info("ending for an update", "to", version)
				d.quit()
			}
			return err
		},
	})
}

// beginUpdate starts a copy of this program, from outside the folder that is going to be replaced.
func (t *terminal) beginUpdate(p plan) error {
	dir := filepath.Join(t.desktop, "updates")
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, planFile), b, 0o600); err != nil {
		return err
	}
	exe, err := program()
	if err != nil {
		return err
	}
	installer := filepath.Join(dir, "install"+filepath.Ext(exe))
	if err := copyProgram(exe, installer); err != nil {
		return err
	}
	started, err := shell.StartDetached(dir, installer, "install-update")
	if err != nil {
		return err
	}
	return started.Release()
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	_ = os.Remove(to)
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

type installCommand struct{}

// Run puts the update in place that the desktop has prepared. It is started by the desktop and logs into its folder.
func (c *installCommand) Run(t *terminal) error {
	logs, err := openLogs(filepath.Join(t.logDir(), "update"))
	if err != nil {
		return err
	}
	defer logs.Close()
	b, err := os.ReadFile(filepath.Join(t.desktop, "updates", planFile))
	if err != nil {
		return fmt.Errorf("no update was prepared: %w", err)
	}
	var p plan
	if err := json.Unmarshal(b, &p); err != nil {
		return fmt.Errorf("the update's plan is damaged: %w", err)
	}
	os.Remove(filepath.Join(t.desktop, "updates", planFile))
	name := "catamaran"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	var started *os.Process
	var ended chan struct{}
	err = update.Install(t.ctx, update.Plan{
		Archive: p.Archive, SHA256: p.SHA256, Dir: p.Dir, State: t.desktop, From: p.From, To: p.To,
		Idle: t.idle,
		Start: func() error {
			var err error
			if started, err = shell.StartDetached(t.desktop, filepath.Join(p.Dir, name), p.Args...); err != nil {
				return err
			}
			ended = make(chan struct{})
			go func(p *os.Process, ended chan struct{}) {
				_, _ = p.Wait()
				close(ended)
			}(started, ended)
			return nil
		},
		Healthy: func(ctx context.Context, version string) error { return t.answers(ctx, version, ended) },
		Stop: func(ctx context.Context) error {
			_ = shell.NewClient(t.desktop).Call(ctx, api.MethodQuit, api.Quit{Force: true}, nil)
			if started != nil {
				_ = started.Kill()
				select {
				case <-ended:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			return nil
		},
		Try: func(ctx context.Context, dir string) (string, error) {
			ctx, cancel := context.WithTimeout(ctx, tryWait)
			defer cancel()
			r, err := proc.Run(ctx, proc.Spec{Name: "new version", Path: filepath.Join(dir, name), Args: []string{"version", "--json"}}, nil, 64<<10)
			var v api.VersionInfo
			if err == nil {
				err = json.Unmarshal(r.Stdout, &v)
			}
			return v.Version, err
		},
	})
	if err != nil {
		logs.log.Error("the update failed", "from", p.From, "to", p.To, "error", err)
		return err
	}
	logs.log.Info("updated", "from", p.From, "to", p.To)
	return nil
}

// idle takes the app's place once the desktop and its backends are gone: the
// desktop gives its lock back only after it has seen them end.
func (t *terminal) idle(ctx context.Context) (func(), error) {
	ctx, cancel := context.WithTimeout(ctx, idleWait)
	defer cancel()
	for {
		inst, err := shell.Claim(ctx, t.desktop)
		if err == nil {
			return func() { inst.Close() }, nil
		}
		if !errors.Is(err, shell.ErrRunning) {
			return nil, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, errors.New("the app did not end")
		}
	}
}

// answers waits until the desktop tells the wanted version; one that has ended never will.
func (t *terminal) answers(ctx context.Context, version string, ended <-chan struct{}) error {
	for {
		var l api.Launch
		ask, cancel := context.WithTimeout(ctx, askWait)
		err := shell.NewClient(t.desktop).Call(ask, api.MethodLaunch, api.Empty{}, &l)
		cancel()
		if err == nil && l.Version == version {
			return nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ended:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
